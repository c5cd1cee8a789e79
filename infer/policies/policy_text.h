// Exit policies by their texts: `max-probability:0.9`, `p-tar:0.8,active=2+3`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "infer/policies/exit_policy.h"
#include "infer/policies/policy_reader.h"

namespace branchy {

/// Makes the policy that `text` names, for a network of `num_exits` exits, the final one included.
///
/// 1. `NAME[:VALUES][,KEY=VALUES]...`; several values are joined by `+`, the first list may use
///    commas too. A policy's header says what it takes; `policy_names()` lists them.
/// 2. `parse_policy(policy->text(), n, records)` makes the same policy.
/// 3. `records` of the model file serve policies whose parameters were learned (`gate`).
///
/// Throws ConfigError with the text and what is expected.
[[nodiscard]] PolicyPtr parse_policy(std::string_view text, std::int64_t num_exits,
                                     const PolicyRecords& records = {});

/// Names in the order of the documentation, and one line on how each is written (for `--help`).
[[nodiscard]] std::vector<std::string> policy_names();
[[nodiscard]] std::string policy_usage();

}  // namespace branchy
