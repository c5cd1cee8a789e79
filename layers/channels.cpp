#include "layers/channels.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"

namespace branchy {

Channels all_channels(std::int64_t count) {
  Channels channels{count, std::vector<std::int64_t>(static_cast<std::size_t>(count))};
  std::iota(channels.kept.begin(), channels.kept.end(), 0);
  return channels;
}

Channels strongest_filters(const Tensor& weights, std::int64_t count) {
  Channels channels = all_channels(weights.dim(0));
  BRANCHY_DCHECK(count >= 1 && count <= channels.all);
  const auto values = weights.data();
  const auto filter_size = values.size() / static_cast<std::size_t>(channels.all);
  std::vector<double> squares;
  for (std::int64_t filter = 0; filter < channels.all; ++filter) {
    const auto start = static_cast<std::size_t>(filter) * filter_size;
    double sum = 0.0;
    for (const float value : values.subspan(start, filter_size))
      sum += static_cast<double>(value) * static_cast<double>(value);
    squares.push_back(sum);
  }
  std::stable_sort(channels.kept.begin(), channels.kept.end(), [&](std::int64_t a, std::int64_t b) {
    return squares[static_cast<std::size_t>(a)] > squares[static_cast<std::size_t>(b)];
  });
  channels.kept.resize(static_cast<std::size_t>(count));
  std::sort(channels.kept.begin(), channels.kept.end());
  return channels;
}

void copy_channels(const Tensor& from, Tensor& to, const ChannelCopy& copy) {
  const auto inner = static_cast<std::size_t>(copy.inner);
  const auto source = from.data();
  const auto target = to.mutable_data();
  const std::size_t row_size = source.size() / static_cast<std::size_t>(from.dim(0));
  BRANCHY_DCHECK(target.size() == copy.rows.size() * copy.columns.size() * inner);
  auto at = target.begin();
  for (const std::int64_t row : copy.rows)
    for (const std::int64_t column : copy.columns) {
      const std::size_t start =
          static_cast<std::size_t>(row) * row_size + static_cast<std::size_t>(column) * inner;
      at = std::ranges::copy(source.subspan(start, inner), at).out;
    }
}

void copy_channels(const Tensor& from, Tensor& to, const Channels& channels) {
  constexpr std::int64_t kOnly[] = {0};
  copy_channels(from, to, {.rows = channels.kept, .columns = kOnly});
}

}  // namespace branchy
