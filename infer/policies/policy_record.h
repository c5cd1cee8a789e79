// PolicyRecord: the exit policy that was chosen for a model, kept in its file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "layers/model_file.h"

namespace branchy {

/// With probability 1 - `delta` the policy loses at most `epsilon` of accuracy against the full
/// network. It rests on `samples` samples, of which the full network got `errors` right and the
/// policy did not; `bound` is the upper limit that they prove.
struct RiskPromise {
  double epsilon = 0.0, delta = 0.0;
  std::int64_t samples = 0, errors = 0;
  double bound = 1.0;
};

/// Records `policy.text`, `.choice`, `.select_on`, `.data_checksum`, `.cache_digest`,
/// `.subset`, `.temperatures` and `.promise.*`.
struct PolicyRecord {
  std::string text;           ///< what parse_policy takes
  std::string choice;         ///< how it was chosen: best-accuracy, budget or risk
  std::string select_on;      ///< part of the data that it was chosen on: val, test, ...
  std::string data_checksum;  ///< of that data
  std::string cache_digest;   ///< of the logits that were looked at
  std::string subset = {};    ///< of their samples, as I/N: every Nth from the Ith on
  /// Of the exits when it was chosen; empty for none. With others the policy decides otherwise and
  /// its promise is void.
  std::vector<float> temperatures = {};
  std::optional<RiskPromise> promise = std::nullopt;
};

/// The record of a model; nothing when it has none. Throws DataError naming the key that is missing
/// or wrong.
[[nodiscard]] std::optional<PolicyRecord> read_policy_record(const ModelInfo& info);

/// Removes or replaces the record; other records stay.
void erase_policy_record(ModelInfo& info);
void write_policy_record(ModelInfo& info, const PolicyRecord& record);

/// Whether the model's exits have the temperatures that the policy was chosen with.
[[nodiscard]] bool same_temperatures(const PolicyRecord& record, const ModelInfo& info);

}  // namespace branchy
