// WireTensor: a named tensor as the Open Inference Protocol carries it, little-endian, row-major.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace branchy {

/// A request that must be answered with an HTTP error status.
class HttpError : public ProtocolError {
 public:
  HttpError(int status, const std::string& message) : ProtocolError(message), status_(status) {}
  [[nodiscard]] int status() const { return status_; }

 private:
  int status_;
};

/// Invariant of every tensor that a parser returns: `bytes.size()` is the product of `shape` times
/// the size of an element; of BYTES, each element is a 4-byte length and as many bytes.
struct WireTensor {
  std::string name;
  std::string datatype;  ///< one of the protocol's (`datatype_bytes`) or BYTES
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};

/// Bytes of one element of BOOL, UINT8..UINT64, INT8..INT64, FP16, BF16, FP32 or FP64; nothing for
/// BYTES, whose elements differ, and for what the protocol does not know.
[[nodiscard]] std::optional<std::int64_t> datatype_bytes(std::string_view datatype);

/// The bytes that `shape` and `datatype` imply; of BYTES the least, when all elements are empty.
/// Throws HttpError 400 for an unknown datatype, a negative dimension, more than 8 dimensions or a
/// size beyond 2^40 bytes.
[[nodiscard]] std::int64_t implied_bytes(std::string_view datatype,
                                         std::span<const std::int64_t> shape,
                                         std::string_view name);

[[nodiscard]] WireTensor fp32_tensor(std::string name, std::vector<std::int64_t> shape,
                                     std::span<const float> values);
[[nodiscard]] WireTensor int32_tensor(std::string name, std::vector<std::int64_t> shape,
                                      std::span<const std::int32_t> values);
[[nodiscard]] WireTensor uint8_tensor(std::string name, std::vector<std::int64_t> shape,
                                      std::span<const std::uint8_t> values);
[[nodiscard]] WireTensor bytes_tensor(std::string name, std::vector<std::int64_t> shape,
                                      std::span<const std::string> values);

/// The values; throws HttpError 400 when the tensor has another datatype.
[[nodiscard]] std::vector<float> fp32_values(const WireTensor& tensor);
[[nodiscard]] std::vector<std::int32_t> int32_values(const WireTensor& tensor);
[[nodiscard]] std::vector<std::uint8_t> uint8_values(const WireTensor& tensor);
/// The elements of a BYTES tensor, views into `tensor`. Throws HttpError 400 for another datatype,
/// and when the lengths do not lead through `tensor.bytes` in as many steps as `tensor.shape` says.
[[nodiscard]] std::vector<std::string_view> bytes_values(const WireTensor& tensor);
/// Appends one element of a BYTES tensor.
void append_element(std::vector<std::byte>& bytes, std::string_view value);

/// Throws HttpError 400 when an FP32 tensor holds a NaN or an infinity.
void require_finite(const WireTensor& tensor);

/// `[1,3,-1]`.
[[nodiscard]] std::string shape_text(std::span<const std::int64_t> shape);

}  // namespace branchy
