#include "infer/policies/policy_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

#include "core/error.h"
#include "core/printable.h"
#include "infer/policies/ensemble.h"
#include "infer/policies/entropy.h"
#include "infer/policies/fixed.h"
#include "infer/policies/gate.h"
#include "infer/policies/margin.h"
#include "infer/policies/max_probability.h"
#include "infer/policies/oracle.h"
#include "infer/policies/p_tar.h"
#include "infer/policies/patience.h"
#include "infer/policies/predictor.h"

namespace branchy {

namespace {

struct PolicyKind {
  std::string_view name, usage;
  PolicyPtr (*parse)(PolicyReader&, std::int64_t);
};

constexpr std::array kKinds = {
    PolicyKind{MaxProbabilityPolicy::kName, "max-probability:0.9[+0.85...]",
               &MaxProbabilityPolicy::parse},
    PolicyKind{PTarPolicy::kName, "p-tar:0.8[,active=2+3]", &PTarPolicy::parse},
    PolicyKind{EntropyPolicy::kName, "entropy:0.3[+0.4...][,drop=0.95][,active=2]",
               &EntropyPolicy::parse},
    PolicyKind{MarginPolicy::kName, "margin:0.5[+0.4...]", &MarginPolicy::parse},
    PolicyKind{PatiencePolicy::kName, "patience:AGREEING", &PatiencePolicy::parse},
    PolicyKind{EnsemblePolicy::kName, "ensemble:0.9[+0.85...]", &EnsemblePolicy::parse},
    PolicyKind{GatePolicy::kName, "gate[:0.5...][,w1=W+W+W+W+BIAS,w2=...]", &GatePolicy::parse},
    PolicyKind{PredictorPolicy::kName, "predictor:0.9[+0.85...],gamma=0.5[+0.4...]",
               &PredictorPolicy::parse},
    PolicyKind{OraclePolicy::kName, "oracle:0.9[+0.85...]", &OraclePolicy::parse},
    PolicyKind{FixedPolicy::kName, "fixed:EXIT", &FixedPolicy::parse}};

}  // namespace

PolicyPtr parse_policy(std::string_view text, std::int64_t num_exits,
                       const PolicyRecords& records) {
  PolicyReader reader(text, records);
  for (const PolicyKind& kind : kKinds) {
    if (kind.name != reader.name()) continue;
    PolicyPtr policy;
    try {
      policy = kind.parse(reader, num_exits);
    } catch (const ConfigError& error) {
      // What the thresholds say does not name the text yet.
      const std::string what = error.what();
      if (what.starts_with("[policy")) throw;
      reader.refuse(what);
    }
    reader.finish();
    return policy;
  }
  reader.refuse(fmt::format("no policy '{}'; there are {}", printable(reader.name()),
                            fmt::join(policy_names(), ", ")));
}

std::vector<std::string> policy_names() {
  std::vector<std::string> names;
  names.reserve(kKinds.size());
  for (const PolicyKind& kind : kKinds) names.emplace_back(kind.name);
  return names;
}

std::string policy_usage() {
  std::vector<std::string_view> usages;
  usages.reserve(kKinds.size());
  for (const PolicyKind& kind : kKinds) usages.push_back(kind.usage);
  return fmt::format("{}", fmt::join(usages, ", "));
}

}  // namespace branchy
