#include "infer/classification.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "core/printable.h"

namespace branchy {

WireTensor classify(const WireTensor& scores, std::int64_t k, std::span<const std::string> labels) {
  if (scores.datatype != "FP32" || scores.shape.size() != 2) {
    throw HttpError(400,
                    fmt::format("[output {}] is {} {}, \"classification\" needs FP32 [rows, "
                                "classes]",
                                printable(scores.name), scores.datatype, shape_text(scores.shape)));
  }
  const std::vector<float> values = fp32_values(scores);
  const std::int64_t classes = scores.shape[1];
  const std::int64_t count = std::min(k, classes);
  std::vector<std::string> words;
  std::vector<std::int64_t> order(static_cast<std::size_t>(classes));
  for (std::int64_t row = 0; row < scores.shape[0]; ++row) {
    const std::span one = std::span(values).subspan(static_cast<std::size_t>(row * classes),
                                                    static_cast<std::size_t>(classes));
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](auto a, auto b) {
      const float left = one[static_cast<std::size_t>(a)];
      const float right = one[static_cast<std::size_t>(b)];
      return left > right || (left == right && a < b);
    });
    for (std::int64_t i = 0; i < count; ++i) {
      const auto index = static_cast<std::size_t>(order[static_cast<std::size_t>(i)]);
      std::string word = fmt::format("{}:{}", one[index], index);
      if (index < labels.size()) word += ":" + labels[index];
      words.push_back(std::move(word));
    }
  }
  return bytes_tensor(scores.name, {scores.shape[0], count}, words);
}

}  // namespace branchy
