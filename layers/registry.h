// The layer types that the project knows; tests run over the cases of all of them.
#pragma once

#include <string>
#include <vector>

#include "layers/layer.h"

namespace branchy {

struct RegisteredLayer {
  std::string type;
  std::vector<LayerCase> cases;
};
[[nodiscard]] std::vector<RegisteredLayer> registered_layers();

}  // namespace branchy
