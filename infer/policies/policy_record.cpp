#include "infer/policies/policy_record.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>

#include "core/error.h"
#include "core/printable.h"
#include "layers/metadata_reader.h"

namespace branchy {

namespace {

constexpr std::string_view kText = "policy.text";
constexpr std::string_view kChoice = "policy.choice";
constexpr std::string_view kSelectOn = "policy.select_on";
constexpr std::string_view kDataChecksum = "policy.data_checksum";
constexpr std::string_view kCacheDigest = "policy.cache_digest";
constexpr std::string_view kSubset = "policy.subset";
constexpr std::string_view kTemperatures = "policy.temperatures";
constexpr std::string_view kEpsilon = "policy.promise.epsilon";
constexpr std::string_view kDelta = "policy.promise.delta";
constexpr std::string_view kSamples = "policy.promise.samples";
constexpr std::string_view kErrors = "policy.promise.errors";
constexpr std::string_view kBound = "policy.promise.bound";
constexpr std::string_view kAllKeys[] = {kText,        kChoice,  kSelectOn,     kDataChecksum,
                                         kCacheDigest, kSubset,  kTemperatures, kEpsilon,
                                         kDelta,       kSamples, kErrors,       kBound};

[[noreturn]] void refuse(std::string_view key, std::string_view came, std::string_view expected) {
  throw DataError(fmt::format("[policy record] {} is '{}', expected {}; choose the policy again",
                              key, printable(came), expected));
}

const std::string* find(const ModelInfo& info, std::string_view key) {
  const auto found = info.records.find(std::string(key));
  return found == info.records.end() ? nullptr : &found->second;
}

const std::string& text(const ModelInfo& info, std::string_view key) {
  const std::string* value = find(info, key);
  if (value == nullptr) refuse(key, "", "a text");
  return *value;
}

/// A number within low..high.
template <class Number>
Number number(std::string_view key, std::string_view value, Number low, Number high) {
  Number result{};
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
  if (error != std::errc() || end != value.data() + value.size() ||
      !(result >= low && result <= high))
    refuse(key, value, fmt::format("a number from {} to {}", low, high));
  return result;
}

std::vector<float> temperatures(const ModelInfo& info) {
  std::vector<float> values;
  const std::string* list = find(info, kTemperatures);
  if (list == nullptr) return values;
  for (const std::string& word : split_text(*list, ','))
    values.push_back(number(kTemperatures, word, std::numeric_limits<float>::min(),
                            std::numeric_limits<float>::max()));
  return values;
}

RiskPromise promise(const ModelInfo& info) {
  const auto share = [&](std::string_view key) { return number(key, text(info, key), 0.0, 1.0); };
  RiskPromise result{.epsilon = share(kEpsilon), .delta = share(kDelta), .bound = share(kBound)};
  result.samples = number(kSamples, text(info, kSamples), std::int64_t{1}, INT64_MAX);
  result.errors = number(kErrors, text(info, kErrors), std::int64_t{0}, result.samples);
  return result;
}

}  // namespace

std::optional<PolicyRecord> read_policy_record(const ModelInfo& info) {
  if (find(info, kText) == nullptr) return std::nullopt;
  PolicyRecord record{.text = text(info, kText),
                      .choice = text(info, kChoice),
                      .select_on = text(info, kSelectOn),
                      .data_checksum = text(info, kDataChecksum),
                      .cache_digest = text(info, kCacheDigest),
                      .subset = text(info, kSubset),
                      .temperatures = temperatures(info)};
  if (find(info, kEpsilon) != nullptr) record.promise = promise(info);
  return record;
}

void erase_policy_record(ModelInfo& info) {
  for (const std::string_view key : kAllKeys) info.records.erase(std::string(key));
}

void write_policy_record(ModelInfo& info, const PolicyRecord& record) {
  erase_policy_record(info);
  const auto set = [&](std::string_view key, std::string value) {
    info.records[std::string(key)] = std::move(value);
  };
  set(kText, record.text);
  set(kChoice, record.choice);
  set(kSelectOn, record.select_on);
  set(kDataChecksum, record.data_checksum);
  set(kCacheDigest, record.cache_digest);
  set(kSubset, record.subset);
  if (!record.temperatures.empty())
    set(kTemperatures, fmt::format("{}", fmt::join(record.temperatures, ",")));
  if (!record.promise) return;
  set(kEpsilon, fmt::format("{}", record.promise->epsilon));
  set(kDelta, fmt::format("{}", record.promise->delta));
  set(kSamples, fmt::format("{}", record.promise->samples));
  set(kErrors, fmt::format("{}", record.promise->errors));
  set(kBound, fmt::format("{}", record.promise->bound));
}

bool same_temperatures(const PolicyRecord& record, const ModelInfo& info) {
  for (std::size_t i = 0; i < std::max(record.temperatures.size(), info.temperatures.size()); ++i) {
    const float then = i < record.temperatures.size() ? record.temperatures[i] : 1.0F;
    const float now = i < info.temperatures.size() ? info.temperatures[i] : 1.0F;
    if (then != now) return false;
  }
  return true;
}

}  // namespace branchy
