// Channels: which channels of a wider layer's value a narrower one still has, and their weights.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/tensor.h"

namespace branchy {

/// Of `all` channels those in `kept`, rising, without repetition.
struct Channels {
  std::int64_t all = 0;
  std::vector<std::int64_t> kept;

  [[nodiscard]] std::int64_t count() const { return static_cast<std::int64_t>(kept.size()); }
  [[nodiscard]] bool complete() const { return count() == all; }
};

[[nodiscard]] Channels all_channels(std::int64_t count);

/// The `count` filters (first dimension of `weights`) with the largest l2 norm over all of their
/// weights; of equal ones those of lower index. Norms are summed in double, over the full input: a
/// layer's filters do not depend on what is removed ahead of it ("independent pruning" of Li et
/// al., "Pruning Filters for Efficient ConvNets", 2017; they take l1 norms). The weights are
/// finite.
[[nodiscard]] Channels strongest_filters(const Tensor& weights, std::int64_t count);

/// Fills `to` from `from` seen as [rows, columns, inner], taking the given rows and columns.
struct ChannelCopy {
  std::span<const std::int64_t> rows, columns;
  std::int64_t inner = 1;
};
void copy_channels(const Tensor& from, Tensor& to, const ChannelCopy& copy);
/// The same for one value a channel: biases, batch norm.
void copy_channels(const Tensor& from, Tensor& to, const Channels& channels);

}  // namespace branchy
