// Digest: MD5 or SHA-256 of a stream of bytes, as lower-case hexadecimal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace branchy {

enum class DigestKind { kMd5, kSha256 };

class Digest {
 public:
  explicit Digest(DigestKind kind);
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;

  void update(std::span<const std::uint8_t> bytes);
  /// Ends the stream; call once.
  [[nodiscard]] std::string finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Throws IoError when the file cannot be read.
[[nodiscard]] std::string file_digest(DigestKind kind, const std::filesystem::path& path);

}  // namespace branchy
