#include "train/frozen_trunk.h"

#include "core/error.h"
#include "infer/plan.h"

namespace branchy {

FrozenTrunk::FrozenTrunk(const MultiExitNetwork& network)
    : FrozenTrunk(network, network.feature_depths()) {}

FrozenTrunk::FrozenTrunk(const MultiExitNetwork& network, const std::vector<std::int64_t>& depths) {
  std::int64_t begin = 0;
  for (const std::int64_t depth : depths) {
    BRANCHY_DCHECK(depth > begin);
    pieces_.emplace_back(Plan::lower(network, {.first_block = begin, .end_block = depth}));
    shapes_.push_back(network.feature_shape(depth));
    begin = depth;
  }
}

std::vector<Tensor> FrozenTrunk::compute(const Tensor& images) {
  std::vector<Tensor> values;
  for (ExitRunner& piece : pieces_) {
    piece.start(values.empty() ? images : values.back());
    values.push_back(piece.feature());
  }
  return values;
}

}  // namespace branchy
