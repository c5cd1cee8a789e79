#include "infer/model.h"

#include <malloc.h>

#include <algorithm>
#include <string>

#include "core/buffer_pool.h"
#include "infer/feature_coder.h"

namespace branchy {

const Attachment* ServedModel::attachment(std::string_view name) const {
  const auto found = attachments.find(std::string(name));
  return found == attachments.end() ? nullptr : &found->second;
}

std::int64_t ServedModel::num_edge_exits() const {
  return std::count_if(exit_depths.begin(), exit_depths.end(),
                       [this](std::int64_t depth) { return depth <= cut_blocks; });
}

namespace {

ServedModel lower_model(const std::filesystem::path& path) {
  const LoadedModel loaded = load_model(path);
  const MultiExitNetwork& network = *loaded.network;
  ServedModel model;
  model.info = loaded.info;
  model.attachments = loaded.attachments;
  for (const MultiExitNetwork::Block& block : network.blocks())
    model.block_names.push_back(block.name);
  for (const MultiExitNetwork::Exit& exit : network.exits())
    model.exit_depths.push_back(exit.after_block);
  model.plan = Plan::lower(network, loaded.info.part, int8_ranges(loaded.info));
  const NetworkPart& part = loaded.info.part;
  if (part.first_block == 0) model.image_shape = network.input_shape();
  if (loaded.info.cut.empty()) {
    model.cut_blocks = part.end_block;
  } else {
    model.cut_blocks = network.blocks_through(loaded.info.cut);
    model.feature_shape = network.feature_shape(model.cut_blocks);
    require_codec_cut(loaded.info, loaded.attachments, loaded.info.cut);
  }
  return model;
}

}  // namespace

ServedModel load_served_model(const std::filesystem::path& path) {
  ServedModel model = lower_model(path);
  // The network as it was loaded is gone, but the pool and the allocator keep its memory for more
  // of the same size, which will not come: of MobileNetV2 9 MiB.
  buffer_pool::trim();
  ::malloc_trim(0);
  return model;
}

}  // namespace branchy
