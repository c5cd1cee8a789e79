#include "layers/network.h"

#include <fmt/core.h>

#include <algorithm>

#include "core/error.h"

namespace branchy {

MultiExitNetwork::MultiExitNetwork(NetworkConfig config, Shape input, std::vector<Block> blocks,
                                   std::vector<Exit> exits, std::vector<FilterCount> filters)
    : config_(std::move(config)),
      input_(input),
      blocks_(std::move(blocks)),
      exits_(std::move(exits)),
      filters_(std::move(filters)) {
  BRANCHY_DCHECK(!blocks_.empty() && !exits_.empty());
  BRANCHY_DCHECK(exits_.back().after_block == static_cast<std::int64_t>(blocks_.size()));
  std::int64_t depth = 0;
  for (const Exit& exit : exits_) {
    BRANCHY_DCHECK(exit.after_block > depth || &exit == &exits_.back());
    depth = exit.after_block;
    exit.layer->set_name(exit.name);
  }
  for (const Block& block : blocks_) block.layer->set_name(block.name);
}

const MultiExitNetwork::Exit& MultiExitNetwork::exit(std::int64_t number) const {
  if (number < 1 || number > num_exits())
    throw ConfigError(
        fmt::format("[network] exit {}, {} has exits 1 to {}", number, config_.name, num_exits()));
  return exits_[static_cast<std::size_t>(number - 1)];
}

std::vector<Variable> MultiExitNetwork::forward(const Variable& images, const Pass& pass) {
  if (frozen_.blocks == 0) return forward_features({images}, pass);
  std::vector<Variable> features;
  {
    const NoGradGuard no_grad;
    Variable feature = images;
    std::int64_t depth = 0;
    for (const std::int64_t wanted : feature_depths()) {
      for (; depth < wanted; ++depth)
        feature =
            blocks_[static_cast<std::size_t>(depth)].layer->forward(feature, {.mode = Mode::kEval});
      features.push_back(feature);
    }
  }
  return forward_features(features, pass);
}

std::vector<std::int64_t> MultiExitNetwork::feature_depths() const {
  std::vector<std::int64_t> depths;
  for (const Exit& exit : exits_)
    if (exit.after_block <= frozen_.blocks && (depths.empty() || depths.back() != exit.after_block))
      depths.push_back(exit.after_block);
  const bool blocks_follow = frozen_.blocks < static_cast<std::int64_t>(blocks_.size());
  if (blocks_follow && (depths.empty() || depths.back() != frozen_.blocks))
    depths.push_back(frozen_.blocks);
  return depths;
}

std::vector<Variable> MultiExitNetwork::forward_features(const std::vector<Variable>& features,
                                                         const Pass& pass) {
  const std::vector<std::int64_t> depths = feature_depths();
  BRANCHY_DCHECK(features.size() == depths.size());
  std::vector<Variable> logits;
  std::size_t next_feature = 0;
  Variable feature;
  std::int64_t depth = -1;
  for (const Exit& exit : exits_) {
    while (depth < exit.after_block) {
      if (next_feature < depths.size()) {
        depth = depths[next_feature];
        feature = features[next_feature++];
      } else {
        feature = blocks_[static_cast<std::size_t>(depth++)].layer->forward(feature, pass);
      }
    }
    const Pass exit_pass{.mode = is_frozen(exit) ? Mode::kEval : pass.mode, .seed = pass.seed};
    logits.push_back(exit.layer->forward(feature, exit_pass));
  }
  return logits;
}

void MultiExitNetwork::freeze(const FrozenParts& parts) {
  BRANCHY_DCHECK(parts.blocks >= 0 && parts.blocks <= static_cast<std::int64_t>(blocks_.size()));
  frozen_ = parts;
  for (const StateEntry& entry : state())
    if (!entry.is_buffer) entry.variable->set_requires_grad(false);
  for (const StateEntry& entry : trained_state(whole()))
    if (!entry.is_buffer) entry.variable->set_requires_grad(true);
}

bool MultiExitNetwork::is_frozen(const Exit& exit) const {
  return &exit == &exits_.back() ? frozen_.classifier : frozen_.exits;
}

NetworkPart MultiExitNetwork::whole() const {
  return {.first_block = 0,
          .end_block = static_cast<std::int64_t>(blocks_.size()),
          .first_exit = 1,
          .last_exit = num_exits()};
}

Shape MultiExitNetwork::feature_shape(std::int64_t num_blocks) const {
  Shape shape = input_;
  for (std::int64_t i = 0; i < num_blocks; ++i)
    shape = blocks_.at(static_cast<std::size_t>(i)).layer->output_shape(shape);
  return shape;
}

std::int64_t MultiExitNetwork::blocks_through(const std::string& block_name) const {
  std::string names;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    if (blocks_[i].name == block_name) return static_cast<std::int64_t>(i) + 1;
    names += (i == 0 ? "" : " ") + blocks_[i].name;
  }
  throw ConfigError(fmt::format("[network] {} has no block named '{}'; its blocks are: {}",
                                config_.name, block_name, names));
}

std::vector<StateEntry> MultiExitNetwork::state() { return state(whole()); }

std::vector<StateEntry> MultiExitNetwork::state(const NetworkPart& part) {
  std::vector<StateEntry> entries;
  for (std::int64_t i = part.first_block; i < part.end_block; ++i) {
    const Block& block = blocks_.at(static_cast<std::size_t>(i));
    block.layer->collect_state(block.state_prefix, entries);
  }
  for (std::int64_t number = part.first_exit; number <= part.last_exit; ++number)
    exit(number).layer->collect_state(exit(number).state_prefix, entries);
  return entries;
}

std::vector<StateEntry> MultiExitNetwork::trained_state(const NetworkPart& part) {
  std::vector<StateEntry> entries = state(
      {.first_block = std::max(part.first_block, frozen_.blocks), .end_block = part.end_block});
  for (std::int64_t number = part.first_exit; number <= part.last_exit; ++number)
    if (!is_frozen(exit(number)))
      exit(number).layer->collect_state(exit(number).state_prefix, entries);
  return entries;
}

std::vector<CostRow> MultiExitNetwork::profile_trunk(std::int64_t number) const {
  std::vector<CostRow> rows;
  const std::int64_t begin = number == 1 ? 0 : exit(number - 1).after_block;
  Shape shape = feature_shape(begin);
  for (std::int64_t i = begin; i < exit(number).after_block; ++i) {
    const Block& block = blocks_[static_cast<std::size_t>(i)];
    block.layer->profile(block.name, shape, rows);
    shape = block.layer->output_shape(shape);
  }
  return rows;
}

std::vector<CostRow> MultiExitNetwork::profile_exit(std::int64_t number) const {
  std::vector<CostRow> rows;
  const Exit& chosen = exit(number);
  chosen.layer->profile(chosen.name, feature_shape(chosen.after_block), rows);
  return rows;
}

void copy_state(MultiExitNetwork& from, MultiExitNetwork& to) {
  const auto source = from.state();
  const auto target = to.state();
  BRANCHY_DCHECK(source.size() == target.size());
  for (std::size_t i = 0; i < source.size(); ++i)
    target[i].variable->mutable_value().copy_from(source[i].variable->value());
}

}  // namespace branchy
