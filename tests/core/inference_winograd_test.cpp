#include "core/kernels/inference_winograd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <ostream>
#include <span>

#include "core/rng.h"

namespace branchy::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Channels in blocks, or beside one another for each pixel.
enum class Order { kBlocks, kPixels };

struct Case {
  std::int64_t lanes, num, channels, out_channels, height, width;
  Order order;
  bool sum;
  float low, high;
};

void PrintTo(const Case& c, std::ostream* stream) {
  *stream << c.lanes << " lanes, " << c.num << " images, " << c.channels << " to " << c.out_channels
          << " channels, " << c.height << "x" << c.width
          << (c.order == Order::kBlocks ? ", in blocks" : ", by pixel") << (c.sum ? ", sum" : "")
          << ", clipped to " << c.low << " .. " << c.high;
}

ImageStrides strides_of(const Case& c, std::int64_t channels) {
  const std::int64_t pixels = c.height * c.width;
  if (c.order == Order::kPixels) return {channels * pixels, c.width * channels, channels, c.lanes};
  return {channels * pixels, c.width * c.lanes, c.lanes, pixels * c.lanes};
}

class AlignedFloats {
 public:
  AlignedFloats(std::int64_t count, Rng& rng) : buffer_(bytes(count)), count_(count) {
    for (float& value : values()) value = rng.uniform(-1.0F, 1.0F);
  }
  AlignedFloats(const AlignedFloats& other) : buffer_(bytes(other.count_)), count_(other.count_) {
    std::memcpy(buffer_.data(), other.buffer_.data(), bytes(count_));
  }
  AlignedFloats& operator=(const AlignedFloats&) = delete;
  [[nodiscard]] float* data() const { return buffer_.floats(); }
  [[nodiscard]] std::span<float> values() const {
    return {buffer_.floats(), static_cast<std::size_t>(count_)};
  }

 private:
  static std::size_t bytes(std::int64_t count) {
    return static_cast<std::size_t>(count) * sizeof(float);
  }
  Buffer buffer_;
  std::int64_t count_;
};

class InferenceWinogradCases : public testing::TestWithParam<Case> {
 protected:
  [[nodiscard]] InferenceWinograd task(std::int64_t num) const {
    InferenceWinograd task;
    task.lanes = case_.lanes;
    task.num = num;
    task.channels = case_.channels;
    task.out_channels = case_.out_channels;
    task.height = case_.height;
    task.width = case_.width;
    task.src = strides_of(case_, case_.channels);
    task.dst = strides_of(case_, case_.out_channels);
    task.weights = transformed_.floats();
    task.bias = bias_.data();
    task.sum = case_.sum;
    task.clip = {case_.low, case_.high};
    return task;
  }

  /// Of images [first, first + num) of the source.
  [[nodiscard]] AlignedFloats run(std::int64_t first, std::int64_t num,
                                  std::int64_t threads) const {
    const InferenceWinograd whole = task(num);
    AlignedFloats dst(before_);
    Rng rng(2);
    const AlignedFloats scratch(threads * whole.scratch(), rng);
    inference_winograd(whole, threads, src_.data() + first * whole.src.image,
                       dst.data() + first * whole.dst.image, scratch.data());
    return dst;
  }

  /// The definition, in double precision.
  [[nodiscard]] double expected(std::int64_t n, std::int64_t o, std::int64_t y,
                                std::int64_t x) const {
    const InferenceWinograd geometry = task(case_.num);
    double result = double{bias_.data()[o]};
    for (std::int64_t c = 0; c < case_.channels; ++c)
      for (std::int64_t k = 0; k < 9; ++k) {
        const std::int64_t sy = y - 1 + k / 3;
        const std::int64_t sx = x - 1 + k % 3;
        if (sy < 0 || sy >= case_.height || sx < 0 || sx >= case_.width) continue;
        result += double{src_.data()[at(geometry.src, n, c, sy, sx)]} *
                  double{weights_.data()[(o * case_.channels + c) * 9 + k]};
      }
    if (case_.sum) result += double{before_.data()[at(geometry.dst, n, o, y, x)]};
    return std::clamp(result, double{case_.low}, double{case_.high});
  }

  [[nodiscard]] std::int64_t at(const ImageStrides& s, std::int64_t n, std::int64_t c,
                                std::int64_t y, std::int64_t x) const {
    return n * s.image + y * s.row + x * s.pixel + c / case_.lanes * s.block + c % case_.lanes;
  }

  [[nodiscard]] std::int64_t size(std::int64_t channels) const {
    return case_.num * channels * case_.height * case_.width;
  }

  Case case_ = GetParam();
  Rng rng_{1};
  AlignedFloats src_{size(case_.channels), rng_};
  AlignedFloats before_{size(case_.out_channels), rng_};
  AlignedFloats weights_{case_.out_channels * case_.channels * 9, rng_};
  AlignedFloats bias_{case_.out_channels, rng_};
  Buffer transformed_ =
      winograd_weights(weights_.data(), case_.out_channels, case_.channels, case_.lanes);
};

// Rounding is relative to the sums of products inside a tile, which are larger than the results:
// measured at most 1.7e-6 of the largest result (direct convolution: 0.4e-6).
TEST_P(InferenceWinogradCases, AgreesWithADoubleSum) {
  const AlignedFloats dst = run(0, case_.num, 2);
  const ImageStrides s = task(case_.num).dst;
  double largest = 0;
  double error = 0;
  for (std::int64_t n = 0; n < case_.num; ++n)
    for (std::int64_t o = 0; o < case_.out_channels; ++o)
      for (std::int64_t y = 0; y < case_.height; ++y)
        for (std::int64_t x = 0; x < case_.width; ++x) {
          const double wanted = expected(n, o, y, x);
          const double got = double{dst.data()[at(s, n, o, y, x)]};
          ASSERT_TRUE(std::isfinite(got));
          largest = std::max(largest, std::abs(wanted));
          error = std::max(error, std::abs(got - wanted));
        }
  EXPECT_LT(error / largest, 5e-6);
}

TEST_P(InferenceWinogradCases, GivesAnImageTheSameBitsAloneInABatchAndWithAnyThreads) {
  const AlignedFloats whole = run(0, case_.num, 1);
  const auto image = static_cast<std::size_t>(task(1).dst.image);
  const auto same = [&](const AlignedFloats& other, std::size_t n) {
    return std::memcmp(whole.data() + n * image, other.data() + n * image, image * sizeof(float)) ==
           0;
  };
  for (std::int64_t n = 0; n < case_.num; ++n)
    for (const std::int64_t threads : {1, 2, 3})
      EXPECT_TRUE(same(run(n, 1, threads), static_cast<std::size_t>(n)))
          << "image " << n << ", " << threads << " threads";
  const AlignedFloats threaded = run(0, case_.num, 3);
  for (std::size_t n = 0; n < static_cast<std::size_t>(case_.num); ++n)
    EXPECT_TRUE(same(threaded, n));
}

INSTANTIATE_TEST_SUITE_P(
    InferenceWinograd, InferenceWinogradCases,
    testing::Values(Case{16, 2, 16, 16, 8, 8, Order::kPixels, false, 0.0F, kInfinity},
                    Case{16, 3, 32, 48, 9, 6, Order::kPixels, true, 0.0F, 6.0F},
                    Case{16, 1, 16, 64, 32, 32, Order::kBlocks, true, -kInfinity, kInfinity},
                    Case{16, 5, 64, 32, 4, 4, Order::kBlocks, false, 0.0F, kInfinity},
                    Case{8, 2, 8, 24, 7, 13, Order::kBlocks, true, 0.0F, kInfinity},
                    Case{8, 2, 40, 8, 1, 3, Order::kPixels, false, 0.0F, 6.0F},
                    Case{16, 1, 128, 128, 12, 12, Order::kPixels, true, 0.0F, kInfinity}));

}  // namespace
}  // namespace branchy::kernels
