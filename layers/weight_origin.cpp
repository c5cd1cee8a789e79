#include "layers/weight_origin.h"

#include <fmt/core.h>

#include "core/error.h"
#include "layers/model_file.h"

namespace branchy {

namespace {

constexpr const char* kFamily = "origin.family";
constexpr const char* kPrefix = "origin.prefix";
constexpr const char* kOrder = "origin.order";
constexpr const char* kDtype = "origin.dtype";
constexpr const char* kSorted = "sorted";
constexpr const char* kAsInNetwork = "network";

}  // namespace

StoredTensor::StoredTensor(const SafetensorsEntry& entry)
    : dtype(entry.dtype), shape(entry.shape), bytes(entry.bytes.begin(), entry.bytes.end()) {}

Tensor fold_bias(const Tensor& mean, const Tensor& bias) {
  Tensor folded = mean.clone();
  const auto to = folded.mutable_data();
  const auto shift = bias.data();
  for (std::size_t c = 0; c < to.size(); ++c) to[c] -= shift[c];
  return folded;
}

bool less_in_file(const std::pair<std::string, SafetensorsEntry>& a,
                  const std::pair<std::string, SafetensorsEntry>& b) {
  const std::uint64_t bytes_a = dtype_bytes(a.second.dtype);
  const std::uint64_t bytes_b = dtype_bytes(b.second.dtype);
  return bytes_a != bytes_b ? bytes_a > bytes_b : a.first < b.first;
}

void add_origin(const WeightOrigin& origin, Metadata& metadata,
                std::vector<std::pair<std::string, SafetensorsEntry>>& entries) {
  if (origin.family == WeightFamily::kBranchy) return;
  metadata[kFamily] = weight_family_name(origin.family);
  metadata[kPrefix] = origin.prefix;
  metadata[kOrder] = origin.sorted ? kSorted : kAsInNetwork;
  metadata[kDtype] = float_type_name(origin.dtype);
  for (const auto& [name, tensor] : origin.kept)
    entries.emplace_back(std::string(kOriginPrefix) + name, tensor.entry());
}

WeightOrigin read_origin(const SafetensorsFile& file) {
  WeightOrigin origin;
  const auto text = [&](const char* key) {
    const auto found = file.metadata().find(key);
    return found == file.metadata().end() ? std::string() : found->second;
  };
  if (!file.metadata().contains(kFamily)) return origin;
  try {
    origin.family = parse_weight_family(text(kFamily));
    origin.dtype = parse_float_type(text(kDtype));
  } catch (const ConfigError& error) {
    throw DataError(fmt::format("[{}] metadata '{}' or '{}' is wrong: {}; import the weights again",
                                file.path().string(), kFamily, kDtype, error.what()));
  }
  origin.prefix = text(kPrefix);
  origin.sorted = text(kOrder) != kAsInNetwork;
  for (const auto& [name, entry] : file.entries())
    if (name.starts_with(kOriginPrefix))
      origin.kept.emplace(name.substr(kOriginPrefix.size()), StoredTensor(entry));
  return origin;
}

}  // namespace branchy
