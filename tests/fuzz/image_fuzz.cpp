// Fuzz target: any bytes either decode to an image of the stated size, which then becomes a square
// as training and evaluation make it, or are refused: bytes by DataError, a shape by ConfigError.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/error.h"
#include "core/rng.h"
#include "data/image.h"
#include "data/photo_transforms.h"

namespace {

constexpr std::int64_t kSide = 16;

void require_size(const branchy::Image& image, std::int64_t height, std::int64_t width) {
  if (image.height != height || image.width != width ||
      std::ssize(image.pixels) != 3 * height * width)
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const branchy::Image image =
        branchy::decode_image(std::span(data, size), "fuzz", {.max_pixels = 1 << 16});
    require_size(image, image.height, image.width);
    branchy::Rng rng(size);
    const branchy::Image box = branchy::crop_image(image, random_resized_crop_box(image, rng));
    require_size(branchy::resize_image(box, kSide, kSide), kSide, kSide);
    require_size(branchy::center_crop(branchy::resize_shorter_side(image, kSide), kSide), kSide,
                 kSide);
  } catch (const branchy::DataError&) {
  } catch (const branchy::ConfigError&) {
  }
  return 0;
}
