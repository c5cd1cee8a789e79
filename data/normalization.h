// Normalisation constants by name, for weights that do not say how their images were prepared.
#pragma once

#include <string>
#include <string_view>

#include "data/dataset.h"

namespace branchy {

/// "imagenet", "cifar10", "cifar100", "pacheco", or "MEAN,STD": six numbers separated by commas,
/// the means of R, G, B and then the deviations, for pixels in 0..1. Throws ConfigError otherwise.
[[nodiscard]] Normalization parse_normalization(std::string_view text);
/// Six numbers that parse_normalization() reads back exactly.
[[nodiscard]] std::string to_text(const Normalization& normalization);

}  // namespace branchy
