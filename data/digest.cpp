#include "data/digest.h"

#include <fmt/core.h>
#include <openssl/evp.h>

#include <array>
#include <fstream>
#include <vector>

#include "core/error.h"

namespace branchy {

struct Digest::Impl {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};
};

namespace {
void require(bool done) {
  if (!done) throw IoError("[digest] the system's OpenSSL refuses the digest; check its policy");
}
}  // namespace

Digest::Digest(DigestKind kind) : impl_(std::make_unique<Impl>()) {
  const EVP_MD* method = kind == DigestKind::kMd5 ? EVP_md5() : EVP_sha256();
  require(impl_->context && EVP_DigestInit_ex(impl_->context.get(), method, nullptr) == 1);
}

Digest::~Digest() = default;

void Digest::update(std::span<const std::uint8_t> bytes) {
  require(EVP_DigestUpdate(impl_->context.get(), bytes.data(), bytes.size()) == 1);
}

std::string Digest::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
  unsigned int length = 0;
  require(EVP_DigestFinal_ex(impl_->context.get(), value.data(), &length) == 1);
  std::string text;
  for (unsigned int i = 0; i < length; ++i) text += fmt::format("{:02x}", value[i]);
  return text;
}

std::string file_digest(DigestKind kind, const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  Digest digest(kind);
  std::vector<char> chunk(1U << 20U);
  while (file) {
    file.read(chunk.data(), std::ssize(chunk));
    digest.update({reinterpret_cast<const std::uint8_t*>(chunk.data()),
                   static_cast<std::size_t>(file.gcount())});
  }
  if (!file.eof())
    throw IoError(
        fmt::format("[{}] cannot read the file; check its path and permissions", path.string()));
  return digest.finish();
}

}  // namespace branchy
