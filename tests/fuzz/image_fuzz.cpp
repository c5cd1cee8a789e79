// Fuzz target: any bytes either decode to an image of the stated size or are refused by DataError.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/error.h"
#include "data/image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const branchy::Image image =
        branchy::decode_image(std::span(data, size), "fuzz", {.max_pixels = 1 << 16});
    if (std::ssize(image.pixels) != 3 * image.height * image.width) std::abort();
  } catch (const branchy::DataError&) {
  }
  return 0;
}
