#include "infer/policies/policy_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {

namespace {

/// The parts between separators, empty ones too; at least one.
std::vector<std::string> parts_of(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

void append(std::vector<std::string>& words, std::string_view text) {
  for (std::string& word : parts_of(text, '+')) words.push_back(std::move(word));
}

}  // namespace

PolicyReader::PolicyReader(std::string_view text, const PolicyRecords& records)
    : text_(text), records_(records) {
  const std::size_t name_end = std::min(text.find_first_of(":,"), text.size());
  name_ = text.substr(0, name_end);
  if (name_end == text.size()) return;
  const bool has_values = text[name_end] == ':';
  bool in_values = has_values;
  for (const std::string& part : parts_of(text.substr(name_end + 1), ',')) {
    const std::size_t equals = part.find('=');
    if (equals == std::string::npos) {
      if (!in_values)
        refuse(fmt::format("'{}' is no KEY=VALUE; values stand before options", printable(part)));
      append(values_, part);
      continue;
    }
    in_values = false;
    const auto [place, is_new] = options_.try_emplace(part.substr(0, equals));
    if (!is_new) refuse(fmt::format("option {} is given twice", printable(place->first)));
    append(place->second.words, std::string_view(part).substr(equals + 1));
  }
  if (has_values && values_.empty()) refuse("no value behind the colon");
}

std::vector<float> PolicyReader::numbers() const {
  if (values_.empty())
    refuse(fmt::format("no value; give one behind a colon, as in {}:0.9", printable(name_)));
  return to_numbers(values_);
}

std::int64_t PolicyReader::only_whole_number(std::int64_t low, std::int64_t high) const {
  if (values_.size() != 1)
    refuse(fmt::format("{} values, expected one integer from {} to {}", values_.size(), low, high));
  return whole_number(values_.front(), "the value", low, high);
}

float PolicyReader::only_share() const { return to_share(values_, "the value"); }

std::vector<std::string> PolicyReader::option(const std::string& key) {
  const auto found = options_.find(key);
  if (found == options_.end()) return {};
  found->second.known = true;
  return found->second.words;
}

std::vector<float> PolicyReader::option_numbers(const std::string& key) {
  return to_numbers(option(key));
}

float PolicyReader::option_share(const std::string& key, float absent) {
  const auto words = option(key);
  return words.empty() ? absent : to_share(words, key);
}

void PolicyReader::finish() const {
  for (const auto& [key, given] : options_)
    if (!given.known) refuse(fmt::format("it takes no option '{}'", printable(key)));
}

std::vector<float> PolicyReader::record_numbers(const std::string& key) const {
  const auto found = records_.find(key);
  return found == records_.end() ? std::vector<float>() : to_numbers(parts_of(found->second, '+'));
}

std::int64_t PolicyReader::whole_number(const std::string& word, const std::string& what,
                                        std::int64_t low, std::int64_t high) const {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc() || end != word.data() + word.size() || number < low || number > high)
    refuse(fmt::format("{} is '{}', expected an integer from {} to {}", what, printable(word), low,
                       high));
  return number;
}

void PolicyReader::refuse(const std::string& why) const {
  throw ConfigError(fmt::format("[policy '{}'] {}", printable(text_), why));
}

std::vector<float> PolicyReader::to_numbers(const std::vector<std::string>& words) const {
  std::vector<float> numbers;
  for (const std::string& word : words) {
    float number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || end != word.data() + word.size() || !std::isfinite(number))
      refuse(fmt::format("'{}' is no number", printable(word)));
    numbers.push_back(number);
  }
  return numbers;
}

float PolicyReader::to_share(const std::vector<std::string>& words, const std::string& what) const {
  const auto numbers = to_numbers(words);
  if (numbers.size() != 1 || !(numbers[0] >= 0.0F && numbers[0] <= 1.0F))
    refuse(fmt::format("{} is {}, expected one number from 0 to 1", what,
                       numbers.size() == 1 ? fmt::format("{}", numbers[0])
                                           : fmt::format("{} numbers", numbers.size())));
  return numbers[0];
}

}  // namespace branchy
