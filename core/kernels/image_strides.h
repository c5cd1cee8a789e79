// ImageStrides: how own inference kernels find a block of channels of an image.
#pragma once

#include <cstdint>

namespace branchy::kernels {

/// Where the value of image n, row y, pixel x and channel c lies: n image + y row + x pixel +
/// c / lanes block + c % lanes, in floats. All are multiples of the lanes.
struct ImageStrides {
  std::int64_t image = 0, row = 0, pixel = 0, block = 0;
};

}  // namespace branchy::kernels
