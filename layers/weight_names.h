// The names that published weights have for the tensors of our networks, as tables.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace branchy {

/// Who wrote the weights: torchvision, timm, the CIFAR ResNets of akamaster
/// (pytorch_resnet_cifar10) and the CIFAR networks of chenyaofo (pytorch-cifar-models); kBranchy
/// are our own names, which every network has.
enum class WeightFamily { kTorchvision, kTimm, kAkamaster, kChenyaofo, kBranchy };

/// "torchvision", "timm", "akamaster", "chenyaofo" or "branchy"; throws ConfigError otherwise.
[[nodiscard]] WeightFamily parse_weight_family(std::string_view name);
[[nodiscard]] std::string_view weight_family_name(WeightFamily family);
/// All of them, for the help of a command line.
[[nodiscard]] const std::vector<std::string>& weight_family_names();

/// A part of a network (or one tensor) under both names.
struct NamePair {
  std::string_view ours, theirs;
};

/// How one family names the tensors of one network. Names that no pair covers are the same.
struct WeightNames {
  std::string_view network = {};  ///< empty: any
  WeightFamily family = WeightFamily::kBranchy;
  /// A '*' stands for what `stars` lists; the pair with the longest `ours` that is the name or ends
  /// at one of its dots counts.
  std::span<const NamePair> parts = {};
  std::span<const NamePair> stars = {};
  std::string_view prefix = {};  ///< of every name in the family's own files
  bool conv_biases = false;      ///< its convolutions ahead of a batch norm have a bias
  /// Names (ours) of linear weights that are convolutions there: [O,I,K,K].
  std::span<const std::string_view> convolutional = {};
  /// Name (ours) of the linear weight that reads the trunk's result, which an adaptive pooling
  /// brings to `pooled_side` squared pixels there.
  std::string_view pooled_weight = {};
  std::int64_t pooled_side = 1;
  /// Every residual block that changes the shape has a projection.
  bool projections = false;

  [[nodiscard]] std::string theirs(std::string_view ours) const;
};

/// The families that know the network, kBranchy last.
[[nodiscard]] std::vector<WeightNames> weight_names(std::string_view network);
/// That of one family; throws ConfigError listing the ones that know the network.
[[nodiscard]] WeightNames weight_names(std::string_view network, WeightFamily family);

/// What wrappers put ahead of every name: "module." (DataParallel), ...
[[nodiscard]] std::span<const std::string_view> wrapper_prefixes();

}  // namespace branchy
