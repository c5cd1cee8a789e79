#include "layers/models/exit_head.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/error.h"
#include "layers/batch_norm2d.h"
#include "layers/flatten.h"
#include "layers/linear.h"
#include "layers/pool2d.h"
#include "layers/sequential.h"

namespace branchy {

const std::vector<std::string>& exit_head_kinds() {
  static const std::vector<std::string> kinds{"light", "bnpool", "flatten"};
  return kinds;
}

LayerPtr exit_head(const std::string& kind, const Shape& feature, std::int64_t classes, Rng& rng) {
  const std::vector<std::string>& kinds = exit_head_kinds();
  if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end())
    throw ConfigError(
        fmt::format("[exit] kind '{}', expected one of: {}", kind, fmt::join(kinds, ", ")));
  const std::int64_t channels = feature[1];
  auto layers = std::make_unique<Sequential>();
  if (kind == "bnpool")
    layers->add("bn", std::make_unique<BatchNorm2d>(BatchNorm2dParams{.channels = channels}));
  if (kind != "flatten")
    layers->add("pool", std::make_unique<Pool2d>(PoolOp{.kind = PoolKind::kAverage, .kernel = 0}));
  const std::int64_t inputs = kind == "flatten" ? feature.with_batch(1).size() : channels;
  layers->add("flatten", std::make_unique<Flatten>());
  layers->add("fc", std::make_unique<Linear>(LinearParams{.in = inputs, .out = classes}, rng));
  return layers;
}

}  // namespace branchy
