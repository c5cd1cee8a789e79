#include "infer/wire_tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "core/printable.h"

namespace branchy {
namespace {

static_assert(std::endian::native == std::endian::little, "the wire format is copied as it lies");

constexpr std::size_t kMaxWireRank = 8;
constexpr std::int64_t kMaxTensorBytes = std::int64_t{1} << 40;

template <class T>
WireTensor make_tensor(std::string name, const char* datatype, std::vector<std::int64_t> shape,
                       std::span<const T> values) {
  WireTensor tensor{std::move(name), datatype, std::move(shape), {}};
  const std::span<const std::byte> bytes = std::as_bytes(values);
  BRANCHY_DCHECK(implied_bytes(datatype, tensor.shape, tensor.name) ==
                 static_cast<std::int64_t>(bytes.size()));
  tensor.bytes.assign(bytes.begin(), bytes.end());
  return tensor;
}

template <class T>
std::vector<T> values_of(const WireTensor& tensor, std::string_view datatype) {
  if (tensor.datatype != datatype) {
    throw HttpError(400, fmt::format("[{}] datatype is {}, expected {}", printable(tensor.name),
                                     printable(tensor.datatype), datatype));
  }
  std::vector<T> values(tensor.bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor.bytes.data(), values.size() * sizeof(T));
  return values;
}

}  // namespace

std::optional<std::int64_t> datatype_bytes(std::string_view datatype) {
  if (datatype == "FP32" || datatype == "INT32") return 4;
  if (datatype == "INT64") return 8;
  if (datatype == "UINT8") return 1;
  return std::nullopt;
}

std::int64_t implied_bytes(std::string_view datatype, std::span<const std::int64_t> shape,
                           std::string_view name) {
  const std::optional<std::int64_t> element = datatype_bytes(datatype);
  if (!element) {
    throw HttpError(400, fmt::format("[{}] datatype '{}' is not supported; send FP32, INT32, INT64 "
                                     "or UINT8",
                                     printable(name), printable(datatype)));
  }
  if (shape.size() > kMaxWireRank) {
    throw HttpError(400, fmt::format("[{}] shape has {} dimensions, at most {} are accepted",
                                     printable(name), shape.size(), kMaxWireRank));
  }
  std::int64_t bytes = *element;
  for (const std::int64_t dim : shape) {
    if (dim < 0) {
      throw HttpError(400, fmt::format("[{}] shape {} has a negative dimension", printable(name),
                                       shape_text(shape)));
    }
    if (dim > 0 && bytes > kMaxTensorBytes / dim) {
      throw HttpError(400, fmt::format("[{}] shape {} is larger than any accepted tensor",
                                       printable(name), shape_text(shape)));
    }
    bytes *= dim;
  }
  return bytes;
}

WireTensor fp32_tensor(std::string name, std::vector<std::int64_t> shape,
                       std::span<const float> values) {
  return make_tensor(std::move(name), "FP32", std::move(shape), values);
}

WireTensor int32_tensor(std::string name, std::vector<std::int64_t> shape,
                        std::span<const std::int32_t> values) {
  return make_tensor(std::move(name), "INT32", std::move(shape), values);
}

WireTensor uint8_tensor(std::string name, std::vector<std::int64_t> shape,
                        std::span<const std::uint8_t> values) {
  return make_tensor(std::move(name), "UINT8", std::move(shape), values);
}

std::vector<float> fp32_values(const WireTensor& tensor) {
  return values_of<float>(tensor, "FP32");
}

std::vector<std::int32_t> int32_values(const WireTensor& tensor) {
  return values_of<std::int32_t>(tensor, "INT32");
}

std::vector<std::uint8_t> uint8_values(const WireTensor& tensor) {
  return values_of<std::uint8_t>(tensor, "UINT8");
}

void require_finite(const WireTensor& tensor) {
  if (tensor.datatype != "FP32") return;
  for (std::size_t at = 0; at + sizeof(float) <= tensor.bytes.size(); at += sizeof(float)) {
    float value = 0;
    std::memcpy(&value, tensor.bytes.data() + at, sizeof value);
    if (!std::isfinite(value)) {
      throw HttpError(400, fmt::format("[{}] element {} is {}; only finite numbers are accepted",
                                       printable(tensor.name), at / sizeof(float), value));
    }
  }
}

std::string shape_text(std::span<const std::int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ","));
}

}  // namespace branchy
