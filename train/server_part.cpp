#include "train/server_part.h"

#include <fmt/format.h>

#include "core/error.h"

namespace branchy {

std::int64_t blocks_before_cut(const MultiExitNetwork& network, std::int64_t exit,
                               const std::string& block, const std::string& verb) {
  const std::int64_t early = network.num_exits() - 1;
  std::int64_t blocks = 0;
  if (!block.empty()) {
    blocks = network.blocks_through(block);
  } else {
    if (early == 0)
      throw ConfigError(
          fmt::format("[{}] the network has no early exit to cut at; give --cut-after NAME", verb));
    if (exit < 0 || exit > early)
      throw ConfigError(
          fmt::format("[{}] --cut {}, expected an early exit, 1 to {}", verb, exit, early));
    blocks = network.exit(exit == 0 ? early : exit).after_block;
  }
  if (blocks == network.whole().end_block)
    throw ConfigError(fmt::format("[{}] {} is the last block, nothing is left behind the cut", verb,
                                  network.blocks().back().name));
  return blocks;
}

NetworkPart part_before_cut(const MultiExitNetwork& network, std::int64_t blocks) {
  NetworkPart part{.first_block = 0, .end_block = blocks};
  while (part.last_exit + 1 < network.num_exits() &&
         network.exit(part.last_exit + 1).after_block <= blocks)
    ++part.last_exit;
  return part;
}

NetworkPart part_behind_cut(const MultiExitNetwork& network, std::int64_t blocks) {
  const NetworkPart whole = network.whole();
  return {.first_block = blocks,
          .end_block = whole.end_block,
          .first_exit = part_before_cut(network, blocks).last_exit + 1,
          .last_exit = whole.last_exit};
}

void train_behind_cut(MultiExitNetwork& network, std::int64_t blocks) {
  for (const StateEntry& entry : network.state(part_before_cut(network, blocks)))
    if (!entry.is_buffer) entry.variable->set_requires_grad(false);
  for (const StateEntry& entry : network.state(part_behind_cut(network, blocks)))
    if (!entry.is_buffer) entry.variable->set_requires_grad(true);
}

std::vector<Variable> forward_behind_cut(MultiExitNetwork& network, std::int64_t blocks,
                                         const Variable& feature, const Pass& pass) {
  const NetworkPart part = part_behind_cut(network, blocks);
  std::vector<Variable> logits;
  Variable value = feature;
  std::int64_t depth = blocks;
  for (std::int64_t number = part.first_exit; number <= part.last_exit; ++number) {
    const MultiExitNetwork::Exit& exit = network.exit(number);
    for (; depth < exit.after_block; ++depth)
      value = network.blocks()[static_cast<std::size_t>(depth)].layer->forward(value, pass);
    logits.push_back(exit.layer->forward(value, pass));
  }
  return logits;
}

}  // namespace branchy
