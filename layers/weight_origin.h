// WeightOrigin: what published weights had beyond the network's tensors, enough to write them back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/half.h"
#include "core/safetensors.h"
#include "layers/weight_names.h"

namespace branchy {

/// A tensor of any dtype with bytes of its own.
struct StoredTensor {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;

  StoredTensor() = default;
  explicit StoredTensor(const SafetensorsEntry& entry);
  [[nodiscard]] SafetensorsEntry entry() const { return {dtype, shape, bytes}; }
};

struct WeightOrigin {
  WeightFamily family = WeightFamily::kBranchy;
  std::string prefix;  ///< of every name in the file
  /// Tensors by falling size of an element, then by name, as the safetensors library writes them;
  /// otherwise in the order of the network.
  bool sorted = true;
  FloatType dtype = FloatType::kF32;  ///< of the floats, where they are all alike
  /// By the network's names: counters of batch norm, and biases of convolutions with the running
  /// means that they were folded into.
  std::map<std::string, StoredTensor> kept;
};

/// The running mean of a batch norm behind a convolution that has lost its bias: mean - bias.
[[nodiscard]] Tensor fold_bias(const Tensor& mean, const Tensor& bias);

/// The order of WeightOrigin::sorted.
[[nodiscard]] bool less_in_file(const std::pair<std::string, SafetensorsEntry>& a,
                                const std::pair<std::string, SafetensorsEntry>& b);

/// Model files carry the origin in metadata `origin.*` and tensors under kOriginPrefix.
void add_origin(const WeightOrigin& origin, Metadata& metadata,
                std::vector<std::pair<std::string, SafetensorsEntry>>& entries);
/// The inverse; a file without one gives the default. Throws DataError for wrong metadata.
[[nodiscard]] WeightOrigin read_origin(const SafetensorsFile& file);

}  // namespace branchy
