// PolicyReader: the words of a policy's text, handed out to the policy that it names.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace branchy {

/// Records of a model file (ModelInfo::records).
using PolicyRecords = std::map<std::string, std::string>;

/// `NAME[:VALUES][,KEY=VALUES]...`: several values are joined by `+`; the first list may use commas
/// too. Whatever is wrong throws ConfigError with the whole text and what is expected.
class PolicyReader {
 public:
  PolicyReader(std::string_view text, const PolicyRecords& records);

  [[nodiscard]] const std::string& name() const { return name_; }
  /// What stands behind the colon; empty without one.
  [[nodiscard]] const std::vector<std::string>& values() const { return values_; }
  /// The values as numbers, at least one.
  [[nodiscard]] std::vector<float> numbers() const;
  /// The only value, an integer within low..high.
  [[nodiscard]] std::int64_t only_whole_number(std::int64_t low, std::int64_t high) const;
  /// The only value, a number within 0..1.
  [[nodiscard]] float only_share() const;

  /// The words of an option, which from now on counts as known; empty when it was not given.
  [[nodiscard]] std::vector<std::string> option(const std::string& key);
  /// Its words as numbers.
  [[nodiscard]] std::vector<float> option_numbers(const std::string& key);
  /// Its only word, a number within 0..1; `absent` when it was not given.
  [[nodiscard]] float option_share(const std::string& key, float absent);
  /// Throws for an option that nobody asked for.
  void finish() const;

  /// Numbers joined by `+` in the model's record of this key; none when it has no such record.
  [[nodiscard]] std::vector<float> record_numbers(const std::string& key) const;

  [[nodiscard]] std::int64_t whole_number(const std::string& word, const std::string& what,
                                          std::int64_t low, std::int64_t high) const;
  [[noreturn]] void refuse(const std::string& why) const;

 private:
  [[nodiscard]] std::vector<float> to_numbers(const std::vector<std::string>& words) const;
  [[nodiscard]] float to_share(const std::vector<std::string>& words,
                               const std::string& what) const;

  std::string text_, name_;
  std::vector<std::string> values_;
  struct Option {
    std::vector<std::string> words;
    bool known = false;
  };
  std::map<std::string, Option> options_;
  const PolicyRecords& records_;
};

}  // namespace branchy
