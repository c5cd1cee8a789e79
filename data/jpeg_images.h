// JpegImages: a data set as it looks after a trip through JPEG; the baseline of feature codecs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"

namespace branchy {

/// A JPEG file of the image (stb_image_write: colour is halved in both directions up to quality
/// 90). Throws ConfigError unless `quality` is 1 to 100.
[[nodiscard]] std::vector<std::uint8_t> encode_jpeg(const Image& image, std::int64_t quality);

/// Bytes of a JPEG file, and those of its entropy-coded data alone: what remains to be sent when
/// both sides know size and tables.
struct JpegBytes {
  std::int64_t file = 0, scan = 0;
};
[[nodiscard]] JpegBytes count_jpeg_bytes(const std::vector<std::uint8_t>& file);

/// The images of `base`, each encoded and decoded again.
class JpegImages final : public Dataset {
 public:
  JpegImages(std::shared_ptr<const Dataset> base, std::int64_t quality);

  [[nodiscard]] std::int64_t size() const override { return base_->size(); }
  [[nodiscard]] Shape image_shape() const override { return base_->image_shape(); }
  [[nodiscard]] const std::vector<std::string>& class_names() const override {
    return base_->class_names();
  }
  [[nodiscard]] std::int64_t label(std::int64_t index) const override {
    return base_->label(index);
  }
  void read(std::int64_t index, std::span<std::uint8_t> pixels) const override;
  [[nodiscard]] std::string checksum() const override { return base_->checksum(); }
  [[nodiscard]] Normalization normalization() const override { return base_->normalization(); }

  /// The JPEG file of an image.
  [[nodiscard]] std::vector<std::uint8_t> file(std::int64_t index) const;

 private:
  std::shared_ptr<const Dataset> base_;
  std::int64_t quality_;
};

}  // namespace branchy
