#include "train/cache_subset.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {

namespace {

Tensor take_rows(const Tensor& tensor, const CacheSubset& subset) {
  const std::int64_t columns = tensor.dim(1);
  const std::int64_t rows = (tensor.dim(0) - subset.index) / subset.step + 1;
  Tensor taken(Shape{rows, columns});
  const auto src = tensor.data();
  const auto dst = taken.mutable_data();
  for (std::int64_t row = 0; row < rows; ++row)
    std::copy_n(src.begin() + (subset.index - 1 + row * subset.step) * columns, columns,
                dst.begin() + row * columns);
  return taken;
}

std::vector<std::int64_t> take(const std::vector<std::int64_t>& values, const CacheSubset& subset) {
  std::vector<std::int64_t> taken;
  for (auto i = static_cast<std::size_t>(subset.index - 1); i < values.size();
       i += static_cast<std::size_t>(subset.step))
    taken.push_back(values[i]);
  return taken;
}

}  // namespace

CacheSubset parse_cache_subset(std::string_view text) {
  const auto slash = std::min(text.find('/'), text.size());
  const auto number = [](std::string_view word) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    return error == std::errc() && end == word.data() + word.size() ? value : 0;
  };
  const CacheSubset subset{.index = number(text.substr(0, slash)),
                           .step = slash < text.size() ? number(text.substr(slash + 1)) : 0};
  if (subset.index < 1 || subset.index > subset.step)
    throw ConfigError(
        fmt::format("[subset] '{}', expected I/N with 1 <= I <= N, such as 1/2", printable(text)));
  return subset;
}

std::string to_text(const CacheSubset& subset) {
  return fmt::format("{}/{}", subset.index, subset.step);
}

bool overlap(const CacheSubset& a, const CacheSubset& b) {
  return (a.index - b.index) % std::gcd(a.step, b.step) == 0;
}

LogitsCache take_subset(const LogitsCache& cache, const CacheSubset& subset) {
  if (subset.whole()) return cache;
  if (subset.index > cache.num_samples())
    throw ConfigError(fmt::format("[subset] {}/{} of {} samples is empty", subset.index,
                                  subset.step, cache.num_samples()));
  LogitsCache taken = cache;
  for (Tensor& logits : taken.logits) logits = take_rows(logits, subset);
  if (cache.scores.defined()) taken.scores = take_rows(cache.scores, subset);
  taken.labels = take(cache.labels, subset);
  taken.indices = take(cache.indices, subset);
  return taken;
}

}  // namespace branchy
