// From the flags of branchy-edge to a pipeline that is ready.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "infer/edge_command.h"
#include "infer/edge_pipeline.h"

namespace branchy {

/// Throws ConfigError for flags that do not go together or mean nothing; before anything is loaded.
void check_edge_options(const EdgeCommandOptions& options);

/// With the policy, and the cloud if one is wanted: a cloud that is away is told through `warn`,
/// one that serves another model is a ConfigError. With `--adapt` the link has been measured once.
/// Throws what EdgePipeline, `choose_policy` and PolicyFollower do.
[[nodiscard]] std::unique_ptr<EdgePipeline> make_edge_pipeline(
    const EdgeCommandOptions& options, ServedModel model,
    const std::function<void(const std::string&)>& warn);

}  // namespace branchy
