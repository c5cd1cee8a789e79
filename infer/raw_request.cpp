#include "infer/raw_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace branchy {
namespace {

// The shape that `bytes` bytes have as `input` at batch 1, or nothing when they do not fit.
std::optional<std::vector<std::int64_t>> fitting_shape(const TensorDescription& input,
                                                       std::size_t bytes, bool is_only_one) {
  std::vector<std::int64_t> shape = input.shape;
  if (!shape.empty() && shape.front() < 0) shape.front() = 1;
  const auto variable = std::find_if(shape.begin(), shape.end(), [](auto dim) { return dim < 0; });
  if (variable != shape.end()) {
    if (!is_only_one) return std::nullopt;
    *variable = 1;
    if (std::any_of(shape.begin(), shape.end(), [](auto dim) { return dim < 0; }))
      return std::nullopt;
    *variable = static_cast<std::int64_t>(bytes) /
                std::max<std::int64_t>(implied_bytes(input.datatype, shape, input.name), 1);
  }
  if (std::cmp_not_equal(implied_bytes(input.datatype, shape, input.name), bytes))
    return std::nullopt;
  return shape;
}

}  // namespace

InferRequest parse_raw_request(std::string_view body, std::span<const TensorDescription> inputs) {
  const auto num_main = std::count_if(inputs.begin(), inputs.end(),
                                      [](const auto& input) { return !input.optional; });
  std::optional<WireTensor> tensor;
  for (const TensorDescription& input : inputs) {
    if (input.optional) continue;
    auto shape = fitting_shape(input, body.size(), num_main == 1);
    if (!shape) continue;
    if (tensor) {
      throw HttpError(400,
                      fmt::format("raw body of {} bytes fits more than one input", body.size()));
    }
    tensor = WireTensor{input.name, input.datatype, std::move(*shape), {}};
  }
  if (!tensor) {
    throw HttpError(400,
                    fmt::format("raw body of {} bytes fits no input of the model", body.size()));
  }
  const auto bytes = std::as_bytes(std::span(body));
  tensor->bytes.assign(bytes.begin(), bytes.end());
  require_finite(*tensor);
  InferRequest request;
  request.inputs.push_back(std::move(*tensor));
  request.binary_outputs = true;
  return request;
}

}  // namespace branchy
