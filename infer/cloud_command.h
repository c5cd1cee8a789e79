// `branchy-cloud`: serves model files over HTTP.
#pragma once

#include "infer/cloud_options.h"

namespace branchy {

/// Serves until SIGINT or SIGTERM; gives the exit code. SIGHUP reads models and certificates again.
int run_cloud_command(const CloudCommandOptions& options);

}  // namespace branchy
