// Dataset: labelled images of one shape, read by index; CIFAR-10 and CIFAR-100 in their binary
// form.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/shape.h"

namespace branchy {

class Rng;
enum class Augmentation;  // data/transform.h

/// Per-channel constants: a pixel p in 0..255 becomes (p / 255 - mean) / std. Order R, G, B.
struct Normalization {
  std::array<float, 3> mean = {0.0F, 0.0F, 0.0F};
  std::array<float, 3> std = {1.0F, 1.0F, 1.0F};
};

/// Mean and standard deviation over all pixels of the training set (Krizhevsky 2009), rounded as
/// most recipes have them. The std .2023 .1994 .2010 that others use for CIFAR-10 is the mean of
/// the deviations within single images; it is not used here.
inline constexpr Normalization kCifar10Normalization = {.mean = {0.4914F, 0.4822F, 0.4465F},
                                                        .std = {0.2470F, 0.2435F, 0.2616F}};
inline constexpr Normalization kCifar100Normalization = {.mean = {0.5071F, 0.4865F, 0.4409F},
                                                         .std = {0.2673F, 0.2564F, 0.2762F}};

/// Labelled images of one shape. Const methods may be called from any number of threads.
class Dataset {
 public:
  virtual ~Dataset() = default;
  [[nodiscard]] virtual std::int64_t size() const = 0;
  /// [C,H,W].
  [[nodiscard]] virtual Shape image_shape() const = 0;
  [[nodiscard]] virtual const std::vector<std::string>& class_names() const = 0;
  /// In 0 .. class_names().size()-1.
  [[nodiscard]] virtual std::int64_t label(std::int64_t index) const = 0;
  /// Copies image `index` into `pixels`, image_shape().size() bytes in order C, H, W.
  virtual void read(std::int64_t index, std::span<std::uint8_t> pixels) const = 0;
  /// The image as training sees it, a pure function of `index`, `augmentation` and `rng`; here
  /// augment() of what read() gives.
  virtual void read_augmented(std::int64_t index, Augmentation augmentation, Rng& rng,
                              std::span<std::uint8_t> pixels) const;
  /// SHA-256 (hexadecimal) over the content, for result files; computed at the first call.
  [[nodiscard]] virtual std::string checksum() const = 0;
  [[nodiscard]] virtual Normalization normalization() const = 0;
};

/// The images of `base` that an index list names, in the list's order.
class Subset final : public Dataset {
 public:
  /// Throws ConfigError when an index lies outside `base`.
  Subset(std::shared_ptr<const Dataset> base, std::vector<std::int64_t> indices);

  [[nodiscard]] std::int64_t size() const override { return std::ssize(indices_); }
  [[nodiscard]] Shape image_shape() const override { return base_->image_shape(); }
  [[nodiscard]] const std::vector<std::string>& class_names() const override {
    return base_->class_names();
  }
  [[nodiscard]] std::int64_t label(std::int64_t index) const override;
  void read(std::int64_t index, std::span<std::uint8_t> pixels) const override;
  void read_augmented(std::int64_t index, Augmentation augmentation, Rng& rng,
                      std::span<std::uint8_t> pixels) const override;
  /// Of the base: the split is recorded apart, by its seed and count.
  [[nodiscard]] std::string checksum() const override { return base_->checksum(); }
  [[nodiscard]] Normalization normalization() const override { return base_->normalization(); }

 private:
  [[nodiscard]] std::int64_t base_index(std::int64_t index) const;

  std::shared_ptr<const Dataset> base_;
  std::vector<std::int64_t> indices_;
};

enum class DatasetSplit { kTrain, kTest };

/// Opens `cifar10:DIR` or `cifar100:DIR`. DIR holds the `.bin` files, or the folder
/// `cifar-10-batches-bin` / `cifar-100-binary` that does. The whole split is read and its labels
/// checked. Throws ConfigError for an unknown form of `spec`, IoError for a missing or unreadable
/// file, DataError (file, record, found, expected, remedy) for damaged content. Photographs
/// (`folder:DIR`) and held-out images: see data/source.h.
[[nodiscard]] std::shared_ptr<const Dataset> open_dataset(std::string_view spec,
                                                          DatasetSplit split);

}  // namespace branchy
