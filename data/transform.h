// What happens to an image between the data set and the network: augmentation and normalisation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/rng.h"
#include "core/shape.h"
#include "data/dataset.h"

namespace branchy {

/// kCropFlip: crop of the original size at a random place after padding 4 black pixels on every
/// side, and a horizontal flip with probability 1/2 (He et al. 2016, section 4.2). Padding comes
/// before normalisation, as in torchvision: black is 0 in pixels, not in normalised values.
/// kPacheco and kImagenet: see training_pipeline() in data/pipeline.h.
enum class Augmentation { kNone, kCropFlip, kPacheco, kImagenet };
inline constexpr std::size_t kNumAugmentations = 4;

/// "none", "crop-flip", "imagenet" or "pacheco"; throws ConfigError otherwise.
[[nodiscard]] Augmentation parse_augmentation_name(std::string_view name);
/// The inverse.
[[nodiscard]] std::string_view augmentation_name(Augmentation augmentation);

inline constexpr std::int64_t kCropPadding = 4;

/// Augments one image: `src` and `dst` are distinct, of shape [C,H,W], in order C, H, W. A pure
/// function of `src` and `rng`. kPacheco and kImagenet want [3,H,H] and throw ConfigError
/// otherwise.
void augment(Augmentation augmentation, const Shape& shape, std::span<const std::uint8_t> src,
             std::span<std::uint8_t> dst, Rng& rng);

/// dst = (src / 255 - mean[c]) / std[c], for an image of shape [3,H,W].
void normalize(const Normalization& normalization, std::span<const std::uint8_t> src,
               std::span<float> dst);

}  // namespace branchy
