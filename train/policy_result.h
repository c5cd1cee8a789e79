// PolicyResult: what `branchy policy` found out, as table, JSON and CSV.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "infer/policies/policy_record.h"
#include "train/gate_fit.h"
#include "train/policy_report.h"

namespace branchy {

/// Reports of policies on the samples of one cache.
struct CacheReports {
  std::string cache;   ///< file as given
  std::string digest;  ///< SHA-256 of the file
  std::string data, data_checksum, part;
  std::string subset;  ///< see CacheSubset
  std::int64_t samples = 0;
  std::vector<PolicyReport> reports = {};
  std::vector<bool> on_front = {};  ///< of each report: see pareto_front, over PolicyResult::cost
};

struct PolicyResult {
  std::string network, model_digest;
  std::vector<float> temperatures;  ///< one an exit, as applied
  OperationsOn cost = OperationsOn::kDevice;
  CacheReports main = {};
  std::optional<CacheReports> test = {};    ///< the chosen policy, or all, on other samples
  std::optional<GateFit> gate = {};         ///< learned on the samples of `main`
  std::optional<PolicyRecord> chosen = {};  ///< among the reports of `main`
  bool front_only = false;                  ///< show of `main` only the front and the chosen one
};

/// With exits in detail for up to `detailed` policies, else one line a policy.
void print_policies(const PolicyResult& result, std::int64_t detailed);
/// Begins with `provenance()`.
[[nodiscard]] std::string to_json(const PolicyResult& result);
/// One row a policy and cache, header first. Shares and accuracies are 0..1, what does not exist is
/// empty.
[[nodiscard]] std::string to_csv(const PolicyResult& result);

}  // namespace branchy
