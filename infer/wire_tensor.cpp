#include "infer/wire_tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
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
constexpr std::int64_t kLengthBytes = 4;  // in front of an element of BYTES

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
  struct Entry {
    std::string_view name;
    std::int64_t bytes;
  };
  static constexpr std::array<Entry, 13> kDatatypes = {{{"FP32", 4},
                                                        {"UINT8", 1},
                                                        {"INT32", 4},
                                                        {"INT64", 8},
                                                        {"BOOL", 1},
                                                        {"UINT16", 2},
                                                        {"UINT32", 4},
                                                        {"UINT64", 8},
                                                        {"INT8", 1},
                                                        {"INT16", 2},
                                                        {"FP16", 2},
                                                        {"BF16", 2},
                                                        {"FP64", 8}}};
  for (const Entry& entry : kDatatypes)
    if (entry.name == datatype) return entry.bytes;
  return std::nullopt;
}

std::int64_t implied_bytes(std::string_view datatype, std::span<const std::int64_t> shape,
                           std::string_view name) {
  const std::optional<std::int64_t> element =
      datatype == "BYTES" ? std::optional(kLengthBytes) : datatype_bytes(datatype);
  if (!element) {
    throw HttpError(400,
                    fmt::format("[{}] datatype '{}' is unknown; the protocol has BOOL, UINT8, "
                                "UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, BF16, "
                                "FP32, FP64 and BYTES",
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

WireTensor bytes_tensor(std::string name, std::vector<std::int64_t> shape,
                        std::span<const std::string> values) {
  WireTensor tensor{std::move(name), "BYTES", std::move(shape), {}};
  for (const std::string& value : values) append_element(tensor.bytes, value);
  return tensor;
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

std::vector<std::string_view> bytes_values(const WireTensor& tensor) {
  if (tensor.datatype != "BYTES") {
    throw HttpError(400, fmt::format("[{}] datatype is {}, expected BYTES", printable(tensor.name),
                                     printable(tensor.datatype)));
  }
  const std::int64_t count =
      implied_bytes(tensor.datatype, tensor.shape, tensor.name) / kLengthBytes;
  std::span<const std::byte> rest = tensor.bytes;
  std::vector<std::string_view> values;
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint32_t length = 0;
    if (rest.size() < sizeof length) break;
    std::memcpy(&length, rest.data(), sizeof length);
    rest = rest.subspan(sizeof length);
    if (rest.size() < length) {
      throw HttpError(400, fmt::format("[{}] element {} is said to have {} bytes, {} are left",
                                       printable(tensor.name), i, length, rest.size()));
    }
    values.emplace_back(reinterpret_cast<const char*>(rest.data()), length);
    rest = rest.subspan(length);
  }
  if (std::ssize(values) != count || !rest.empty()) {
    throw HttpError(400, fmt::format("[{}] holds {} elements and {} bytes more, shape {} means {}",
                                     printable(tensor.name), values.size(), rest.size(),
                                     shape_text(tensor.shape), count));
  }
  return values;
}

void append_element(std::vector<std::byte>& bytes, std::string_view value) {
  const auto length = static_cast<std::uint32_t>(value.size());
  for (const auto& part : {std::as_bytes(std::span(&length, 1)), std::as_bytes(std::span(value))})
    bytes.insert(bytes.end(), part.begin(), part.end());
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
