// The head of an exit against a double sum, and as a primitive against the two that it replaces.
#include "core/kernels/exit_head.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>
#include <vector>

#include "core/dnn/inference_exit_head.h"
#include "core/dnn/inference_layout.h"
#include "core/dnn/inference_linear.h"
#include "core/dnn/inference_pooling.h"
#include "core/error.h"
#include "core/rng.h"
#include "tests/support/expect_error.h"

namespace branchy::kernels {
namespace {

/// Channels in blocks, or beside one another for each pixel.
enum class Order { kBlocks, kPixels };

struct Case {
  std::int64_t lanes, num, channels, height, width, out;
  PoolOp pool;  // kernel 0: all of the image
  Order order;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.lanes << " lanes, " << c.num << " x " << c.channels << "x" << c.height << "x" << c.width
       << (c.order == Order::kBlocks ? " in blocks" : " by pixel") << " to " << c.out << ", "
       << (c.pool.kind == PoolKind::kMax ? "max" : "average") << " of " << c.pool.kernel
       << ", stride " << c.pool.stride << ", padding " << c.pool.padding;
}

class ExitHeadCases : public testing::TestWithParam<Case> {
 protected:
  ExitHeadCases() {
    const bool global = case_.pool.kernel == 0;
    task_.lanes = case_.lanes;
    task_.num = case_.num;
    task_.channels = case_.channels;
    task_.height = case_.height;
    task_.width = case_.width;
    task_.out = case_.out;
    task_.max = case_.pool.kind == PoolKind::kMax;
    task_.window_height = global ? case_.height : case_.pool.kernel;
    task_.window_width = global ? case_.width : case_.pool.kernel;
    task_.stride = case_.pool.stride;
    task_.padding = case_.pool.padding;
    task_.pooled_height = pooled_size(case_.height, task_.window_height);
    task_.pooled_width = pooled_size(case_.width, task_.window_width);
    const std::int64_t pixels = case_.height * case_.width;
    const std::int64_t padded = task_.blocks() * case_.lanes;
    task_.src = case_.order == Order::kPixels
                    ? ImageStrides{padded * pixels, padded * case_.width, padded, case_.lanes}
                    : ImageStrides{padded * pixels, case_.width * case_.lanes, case_.lanes,
                                   pixels * case_.lanes};
    bias_ = random(case_.out);
    weights_ = random(case_.out * case_.channels * task_.pooled_pixels());
    packed_ = exit_head_weights(weights_.data(), task_);
    task_.weights = packed_.floats();
    task_.bias = bias_.data();
    src_ = Buffer(floats(case_.num * task_.src.image));
    std::fill_n(src_.floats(), case_.num * task_.src.image, 0.0F);
    for (std::int64_t n = 0; n < case_.num; ++n)
      for (std::int64_t c = 0; c < case_.channels; ++c)
        for (std::int64_t p = 0; p < pixels; ++p)
          src_.floats()[at(n, c, p / case_.width, p % case_.width)] = rng_.uniform(-1.0F, 1.0F);
  }

  [[nodiscard]] std::int64_t pooled_size(std::int64_t size, std::int64_t window) const {
    return (size + 2 * case_.pool.padding - window) / case_.pool.stride + 1;
  }
  static std::size_t floats(std::int64_t count) {
    return static_cast<std::size_t>(count) * sizeof(float);
  }
  std::vector<float> random(std::int64_t count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) value = rng_.uniform(-1.0F, 1.0F);
    return values;
  }
  [[nodiscard]] std::int64_t at(std::int64_t n, std::int64_t c, std::int64_t y,
                                std::int64_t x) const {
    const ImageStrides& s = task_.src;
    return n * s.image + y * s.row + x * s.pixel + c / case_.lanes * s.block + c % case_.lanes;
  }

  /// Logits of images [first, first + num).
  [[nodiscard]] std::vector<float> run(std::int64_t first, std::int64_t num,
                                       std::int64_t threads) const {
    ExitHead task = task_;
    task.num = num;
    const Buffer scratch(floats(task.scratch()));
    std::vector<float> logits(static_cast<std::size_t>(num * case_.out), std::nanf(""));
    exit_head(task, threads, src_.floats() + first * task.src.image, logits.data(),
              scratch.floats());
    return logits;
  }

  [[nodiscard]] double pooled(std::int64_t n, std::int64_t c, std::int64_t y,
                              std::int64_t x) const {
    const bool max = task_.max;
    double joined = max ? -std::numeric_limits<double>::infinity() : 0.0;
    for (std::int64_t i = 0; i < task_.window_height; ++i)
      for (std::int64_t j = 0; j < task_.window_width; ++j) {
        const std::int64_t sy = y * task_.stride - task_.padding + i;
        const std::int64_t sx = x * task_.stride - task_.padding + j;
        if (sy < 0 || sy >= case_.height || sx < 0 || sx >= case_.width) continue;
        const double value = double{src_.floats()[at(n, c, sy, sx)]};
        joined = max ? std::max(joined, value) : joined + value;
      }
    return max ? joined : joined / static_cast<double>(task_.window_height * task_.window_width);
  }

  [[nodiscard]] double expected(std::int64_t n, std::int64_t o) const {
    double sum = double{bias_[static_cast<std::size_t>(o)]};
    std::size_t weight = static_cast<std::size_t>(o * case_.channels * task_.pooled_pixels());
    for (std::int64_t c = 0; c < case_.channels; ++c)
      for (std::int64_t y = 0; y < task_.pooled_height; ++y)
        for (std::int64_t x = 0; x < task_.pooled_width; ++x)
          sum += pooled(n, c, y, x) * double{weights_[weight++]};
    return sum;
  }

  Case case_ = GetParam();
  Rng rng_{3};
  ExitHead task_;
  std::vector<float> bias_, weights_;
  Buffer packed_, src_;
};

TEST_P(ExitHeadCases, AgreesWithADoubleSum) {
  const auto logits = run(0, case_.num, 2);
  const auto products = static_cast<double>(case_.channels * task_.pooled_pixels());
  for (std::int64_t n = 0; n < case_.num; ++n)
    for (std::int64_t o = 0; o < case_.out; ++o)
      EXPECT_NEAR(logits[static_cast<std::size_t>(n * case_.out + o)], expected(n, o),
                  1e-6 * std::sqrt(products))
          << "image " << n << ", logit " << o;
}

TEST_P(ExitHeadCases, GivesTheSameBitsAloneInABatchAndWithAnyThreads) {
  const auto whole = run(0, case_.num, 1);
  EXPECT_EQ(whole, run(0, case_.num, 3));
  for (std::int64_t n = 0; n < case_.num; ++n) {
    const auto row = whole.begin() + n * case_.out;
    EXPECT_EQ(std::vector<float>(row, row + case_.out), run(n, 1, n % 3 + 1)) << "image " << n;
  }
}

constexpr PoolOp kGlobal{.kind = PoolKind::kAverage, .kernel = 0};
constexpr PoolOp kGlobalMax{.kind = PoolKind::kMax, .kernel = 0};
constexpr PoolOp kSquares{.kind = PoolKind::kMax};
constexpr PoolOp kMeans{.kind = PoolKind::kAverage, .kernel = 2, .stride = 1};
constexpr PoolOp kPadded{.kind = PoolKind::kMax, .kernel = 3, .stride = 2, .padding = 1};
constexpr PoolOp kPaddedMeans{.kind = PoolKind::kAverage, .kernel = 5, .stride = 2, .padding = 2};

INSTANTIATE_TEST_SUITE_P(ExitHead, ExitHeadCases,
                         testing::Values(Case{8, 2, 16, 8, 8, 10, kSquares, Order::kBlocks},
                                         Case{16, 3, 48, 9, 7, 7, kSquares, Order::kPixels},
                                         Case{8, 2, 24, 5, 6, 17, kGlobal, Order::kBlocks},
                                         Case{16, 2, 80, 7, 7, 102, kGlobal, Order::kPixels},
                                         Case{16, 1, 20, 1, 1, 1, kGlobal, Order::kBlocks},
                                         Case{8, 1, 56, 4, 9, 5, kGlobalMax, Order::kPixels},
                                         Case{8, 2, 13, 6, 5, 3, kMeans, Order::kBlocks},
                                         Case{16, 1, 32, 8, 7, 6, kPadded, Order::kPixels},
                                         Case{8, 2, 32, 9, 9, 4, kPaddedMeans, Order::kBlocks},
                                         // So much work that it is shared by threads.
                                         Case{8, 3, 64, 56, 56, 9, kGlobal, Order::kBlocks}));

}  // namespace
}  // namespace branchy::kernels

namespace branchy::dnn {
namespace {

Tensor random_tensor(const Shape& shape, Rng& rng) {
  Tensor tensor(shape);
  for (float& value : tensor.mutable_data()) value = rng.uniform(-1.0F, 1.0F);
  return tensor;
}

class Runner {
 public:
  explicit Runner(const Tensor& src) {
    const auto values = src.data();
    value_ = Buffer(values.size_bytes());
    std::copy(values.begin(), values.end(), value_.floats());
    layout_ = {src.shape(), nullptr};
  }
  void reorder(const ValueLayout& to) {
    if (!same_layout(layout_, to)) run(make_inference_reorder(layout_, to));
  }
  void run(const InferencePrimitive& primitive) {
    reorder(primitive.srcs()[0]);
    Buffer dst(static_cast<std::size_t>(num_bytes(primitive.dst())));
    const Buffer scratchpad(static_cast<std::size_t>(primitive.scratchpad_bytes()));
    InferenceCall call(primitive);
    call.bind(std::vector<const float*>{value_.floats()}, dst.floats(), scratchpad.data());
    call.run();
    value_ = std::move(dst);
    layout_ = primitive.dst();
  }
  [[nodiscard]] const ValueLayout& layout() const { return layout_; }
  [[nodiscard]] std::vector<float> values() const {
    return {value_.floats(), value_.floats() + layout_.shape.size()};
  }

 private:
  Buffer value_;
  ValueLayout layout_;
};

// 13 channels lie in no whole blocks, whatever the CPU; the head then asks for blocks.
TEST(InferenceExitHead, AgreesWithPoolingAndLinearLayerOneByOne) {
  Rng rng(5);
  for (const std::int64_t channels : {13, 16, 24, 160})
    for (const PoolOp& pool : {PoolOp{}, PoolOp{.kind = PoolKind::kAverage, .kernel = 0}}) {
      const Tensor src = random_tensor({2, channels, 14, 14}, rng);
      const ValueLayout feature = preferred_layout(src.shape());
      const std::int64_t features = channels * (pool.kernel == 0 ? 1 : 49);
      PackedTensor weights(random_tensor({17, features}, rng));
      const Tensor bias = random_tensor({17}, rng);
      Runner parts(src);
      parts.reorder(feature);
      parts.run(make_inference_pooling(feature, pool));
      parts.run(make_inference_linear(parts.layout(), weights, bias, {}));
      Runner head(src);
      head.reorder(feature);
      head.run(make_inference_exit_head(feature, pool, weights, bias));
      EXPECT_EQ(head.layout().shape, parts.layout().shape);
      const auto expected = parts.values();
      const auto logits = head.values();
      // Of the largest: sums of thousands of products of both signs nearly cancel in some logits.
      float largest = 0.0F;
      for (const float logit : expected) largest = std::max(largest, std::abs(logit));
      for (std::size_t i = 0; i < logits.size(); ++i)
        EXPECT_NEAR(logits[i], expected[i], 1e-5F * largest)
            << channels << " channels, kernel " << pool.kernel << ", value " << i;
    }
}

TEST(InferenceExitHead, RefusesWeightsForOtherFeatures) {
  Rng rng(1);
  PackedTensor weights(random_tensor({10, 100}, rng));
  const ValueLayout feature = preferred_layout({1, 16, 8, 8});
  test::expect_error<ShapeError>(
      [&] { static_cast<void>(make_inference_exit_head(feature, {}, weights, Tensor())); },
      {"[plan exit head]", "256", "100"});
}

}  // namespace
}  // namespace branchy::dnn
