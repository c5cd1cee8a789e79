// Options of networks: text from a command line or a model file, read with types and ranges.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "layers/network.h"

namespace branchy {

using NetworkOptions = std::map<std::string, std::string>;

/// Adds "KEY=VALUE". Throws ConfigError for another form, or a key given twice.
void add_option(NetworkOptions& options, const std::string& text);
/// "KEY=VALUE" of each option, in order of the keys.
[[nodiscard]] std::vector<std::string> to_lines(const NetworkOptions& options);

/// Reads the options of one network. Every error is a ConfigError that names network, key, value
/// and what was expected. A network reads all of its keys, then calls `finish()`.
class OptionReader {
 public:
  explicit OptionReader(const NetworkConfig& config)
      : network_(config.name), options_(config.options) {}

  [[nodiscard]] const std::string& network() const { return network_; }
  [[nodiscard]] bool has(const std::string& key) const { return options_.contains(key); }
  /// One of `allowed`; the first of them when the key is not given.
  std::string choice(const std::string& key, const std::vector<std::string>& allowed);
  std::string text(const std::string& key);  ///< "" when the key is not given
  std::int64_t integer(const std::string& key, std::int64_t fallback, std::int64_t low,
                       std::int64_t high);
  double number(const std::string& key, double fallback, double low, double high);
  /// Integers separated by commas.
  std::vector<std::int64_t> integers(const std::string& key, std::vector<std::int64_t> fallback,
                                     std::int64_t low, std::int64_t high);
  /// Throws for options that nobody read, listing the known keys.
  void finish() const;

  /// "[alexnet] option KEY is VALUE, expected EXPECTED".
  [[noreturn]] void fail(const std::string& key, const std::string& expected) const;

 private:
  const std::string* find(const std::string& key);

  std::string network_;
  NetworkOptions options_;
  std::vector<std::string> known_;
};

/// The parts of `text` between commas, empty ones too; none of an empty text.
[[nodiscard]] std::vector<std::string> split_list(const std::string& text);

}  // namespace branchy
