#include "infer/bearer_token.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "core/error.h"

namespace branchy {
namespace {

constexpr std::size_t kMaxLength = 512;

std::string_view trimmed(std::string_view line) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t begin = std::min(line.find_first_not_of(kBlank), line.size());
  line.remove_prefix(begin);
  return line.substr(0, line.find_last_not_of(kBlank) + 1);
}

// The token68 of RFC 7235.
bool well_formed(std::string_view token) {
  const std::string_view stem = token.substr(0, token.find_last_not_of('=') + 1);
  return !stem.empty() && std::all_of(stem.begin(), stem.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~+/").find(c) != std::string_view::npos;
  });
}

void warn_when_exposed(const std::string& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0 || (status.st_mode & (S_IRGRP | S_IROTH)) == 0) return;
  fmt::print(stderr, "warning: [{}] others may read the tokens; chmod 600 it\n", file);
}

}  // namespace

std::vector<std::string> read_bearer_tokens(const std::string& file) {
  std::ifstream in(file);
  if (!in) throw IoError(fmt::format("[{}] cannot read the file of tokens", file));
  warn_when_exposed(file);
  std::vector<std::string> tokens;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    const std::string_view token = trimmed(line);
    if (token.empty() || token.front() == '#') continue;
    if (token.size() > kMaxLength || !well_formed(token)) {  // its text is a secret: not shown
      throw ConfigError(
          fmt::format("[{}:{}] no bearer token; give 1..{} letters, digits or -._~+/, "
                      "for example from 'openssl rand -hex 32'",
                      file, number, kMaxLength));
    }
    tokens.emplace_back(token);
  }
  if (in.bad()) throw IoError(fmt::format("[{}] cannot read the file of tokens", file));
  if (tokens.empty()) {
    throw ConfigError(fmt::format(
        "[{}] holds no token; put one in, for example from 'openssl rand -hex 32'", file));
  }
  return tokens;
}

std::string read_bearer_token(const std::string& file) {
  std::vector<std::string> tokens = read_bearer_tokens(file);
  if (tokens.size() > 1) {
    throw ConfigError(fmt::format("[{}] holds {} tokens, a client sends one; keep that one", file,
                                  tokens.size()));
  }
  return std::move(tokens.front());
}

BearerTokens::BearerTokens(const std::vector<std::string>& tokens) : digests_(tokens.size()) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    SHA256(reinterpret_cast<const unsigned char*>(tokens[i].data()), tokens[i].size(),
           digests_[i].data());
  }
}

bool BearerTokens::allow(std::string_view authorization) const {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() < kScheme.size() ||
      !std::equal(kScheme.begin(), kScheme.end(), authorization.begin(), [](char want, char have) {
        return want == (have >= 'A' && have <= 'Z' ? have - 'A' + 'a' : have);
      })) {
    return false;
  }
  const std::string_view token = trimmed(authorization.substr(kScheme.size()));
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data());
  bool allowed = false;
  for (const Digest& known : digests_) {  // all of them: the time must not tell which one fits
    allowed |= CRYPTO_memcmp(known.data(), digest.data(), digest.size()) == 0;
  }
  return allowed;
}

}  // namespace branchy
