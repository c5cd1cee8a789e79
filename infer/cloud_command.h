// `branchy-cloud`: serves model files over HTTP.
#pragma once

#include "infer/cloud_options.h"

namespace branchy {

/// Serves until SIGINT or SIGTERM; gives the exit code. SIGHUP reads models,
/// tokens and certificate again.
int run_cloud_command(const CloudCommandOptions& options);

}  // namespace branchy
