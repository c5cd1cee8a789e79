// Bearer tokens (RFC 6750): secrets that open a server, read from files and compared in constant
// time.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace branchy {

/// The tokens of a file, one a line; empty lines and those that begin with # are skipped, blanks
/// around a token too. Throws IoError when the file cannot be read; ConfigError when it holds no
/// token, or one that is longer than 512 characters or has others than RFC 6750 allows (letters,
/// digits, `-._~+/`, and `=` at the end). A file that others than its owner may read gets a line of
/// warning on stderr.
[[nodiscard]] std::vector<std::string> read_bearer_tokens(const std::string& file);
/// The only token of a file: what a client sends. Throws as above, and ConfigError when the file
/// holds more than one.
[[nodiscard]] std::string read_bearer_token(const std::string& file);

/// The tokens that a server accepts, kept as SHA-256 digests. Immutable; thread-safe.
class BearerTokens {
 public:
  explicit BearerTokens(const std::vector<std::string>& tokens);
  /// No token is needed.
  [[nodiscard]] bool empty() const { return digests_.empty(); }
  /// Whether an Authorization header's value is `Bearer` and one of the tokens. Takes the same time
  /// whichever token fits and wherever a wrong one differs.
  [[nodiscard]] bool allow(std::string_view authorization) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  std::vector<Digest> digests_;
};

}  // namespace branchy
