// The policy that a model is to be run with: the user's, else the one that was chosen for it.
#pragma once

#include <functional>
#include <string>

#include "infer/policies/exit_policy.h"
#include "layers/model_file.h"

namespace branchy {

/// What the user asked for; at most one of both.
struct PolicyWish {
  std::string policy = {};      ///< as `parse_policy` takes it
  std::string thresholds = {};  ///< of max-probability, as `parse_thresholds` takes them
};

/// The wish or, without one, the model's record (PolicyRecord); `warn` is told when the model was
/// calibrated since that was chosen. Throws ConfigError when there is neither, for a wrong text,
/// and for a predictor policy by hand whose thresholds are not those that the model's predictor was
/// trained for: it knows of no others. (Tables of `branchy adapt` vary them on purpose, with one
/// predictor, as Dong et al. do; they do not come this way.)
[[nodiscard]] PolicyPtr choose_policy(const PolicyWish& wish, const ModelInfo& info,
                                      const std::function<void(const std::string&)>& warn = {});

}  // namespace branchy
