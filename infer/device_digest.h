// DeviceDigest: names the weights that what was trained for a network's device part depends on.
#pragma once

#include <string>

#include "layers/model_file.h"

namespace branchy {

/// SHA-256 of the configuration, the normalisation and the state of `part` of `network`. An edge
/// file gives the digest of that part of the whole model.
[[nodiscard]] std::string part_digest(MultiExitNetwork& network, const ModelInfo& info,
                                      const NetworkPart& part);

/// The trunk up to the last early exit, and all early exits.
[[nodiscard]] NetworkPart device_part(const MultiExitNetwork& network);
/// The digest of `device_part`: it stays when the part behind the last early exit is trained on,
/// and with it an exit predictor of the model. Unlike `model_digest` of the logits cache, which
/// covers all weights.
[[nodiscard]] std::string device_digest(const LoadedModel& model);

}  // namespace branchy
