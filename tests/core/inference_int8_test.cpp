#include "core/dnn/inference_int8.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <ostream>
#include <utility>
#include <vector>

#include "core/buffer_pool.h"
#include "core/dnn/inference_convolution.h"
#include "core/dnn/inference_layout.h"
#include "core/rng.h"
#include "core/threads.h"

namespace branchy::dnn {
namespace {

Tensor random_tensor(const Shape& shape, Rng& rng, float low, float high) {
  Tensor tensor(shape);
  for (float& value : tensor.mutable_data()) value = rng.uniform(low, high);
  return tensor;
}

/// Runs a primitive on values that lie in a layout.
struct LaidOut {
  ValueLayout layout;
  Buffer values;

  explicit LaidOut(const ValueLayout& of)
      : layout(of), values(static_cast<std::size_t>(num_bytes(of))) {}
};

void run(const InferencePrimitive& primitive, const LaidOut& src, LaidOut& dst) {
  const Buffer scratchpad(
      static_cast<std::size_t>(std::max<std::int64_t>(64, primitive.scratchpad_bytes())));
  InferenceCall call(primitive);
  call.bind(std::vector<const float*>{src.values.floats()}, dst.values.floats(), scratchpad.data());
  call.run();
}

LaidOut moved(const LaidOut& src, const ValueLayout& wanted) {
  LaidOut dst(wanted);
  run(make_inference_reorder(src.layout, wanted), src, dst);
  return dst;
}

LaidOut laid_out(const Tensor& tensor, const ValueLayout& wanted) {
  LaidOut plain({tensor.shape(), nullptr});
  std::memcpy(plain.values.data(), tensor.data().data(), tensor.data().size_bytes());
  return moved(plain, wanted);
}

Tensor plain(const LaidOut& value) {
  const LaidOut rows = moved(value, {value.layout.shape, nullptr});
  Tensor tensor(value.layout.shape);
  std::memcpy(tensor.mutable_data().data(), rows.values.data(), tensor.data().size_bytes());
  return tensor;
}

/// The definition of Int8Op, in integers and single float operations.
struct Quantised {
  std::vector<std::int32_t> values;
  float step;

  Quantised(const Tensor& tensor, const ValueRange& range) {
    const bool is_signed = range.low < 0.0F;
    step = std::max(-range.low, range.high) / (is_signed ? 127.0F : 255.0F);
    for (const float value : tensor.data())
      values.push_back(static_cast<std::int32_t>(std::clamp(std::nearbyint(value * (1.0F / step)),
                                                            is_signed ? -128.0F : 0.0F,
                                                            is_signed ? 127.0F : 255.0F)));
  }
};

struct Case {
  std::int64_t in, out, kernel, stride, padding, size;
  ValueRange range;
  bool bias, sum, activate;
  ActivationKind activation = ActivationKind::kRelu;
};

void PrintTo(const Case& c, std::ostream* stream) {
  *stream << c.in << " to " << c.out << ", " << c.kernel << "x" << c.kernel << " by " << c.stride
          << " at " << c.size << ", sources " << c.range.low << " .. " << c.range.high
          << (c.bias ? ", bias" : "") << (c.sum ? ", sum" : "")
          << (c.activate ? ", activated" : "");
}

class Int8Convolution : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!int8_is_exact()) GTEST_SKIP() << "this CPU has no VNNI";
    threads_ = num_threads();
  }
  void TearDown() override {
    if (threads_ > 0) set_num_threads(threads_);
  }

  [[nodiscard]] ConvolutionOp op() const {
    ConvolutionOp op;
    op.weights = weights_;
    if (case_.bias) op.bias = bias_;
    op.stride = case_.stride;
    op.padding = case_.padding;
    return op;
  }
  [[nodiscard]] PostOps post() const { return {case_.sum, case_.activate, case_.activation}; }

  [[nodiscard]] InferencePrimitive primitive(std::int64_t num) {
    return make_inference_int8_convolution(src_.shape().with_batch(num), op(), packed_, post(),
                                           {case_.range, {}});
  }

  /// Images [first, first + num).
  [[nodiscard]] Tensor computed(std::int64_t first, std::int64_t num) {
    const InferencePrimitive convolution = primitive(num);
    const LaidOut from = laid_out(images(src_, first, num), convolution.srcs()[0]);
    LaidOut to = laid_out(images(addend_, first, num), convolution.dst());
    run(convolution, from, to);
    return plain(to);
  }

  static Tensor images(const Tensor& all, std::int64_t first, std::int64_t num) {
    const auto size = static_cast<std::size_t>(all.size() / all.dim(0));
    return Tensor::from(all.shape().with_batch(num),
                        all.data().subspan(static_cast<std::size_t>(first) * size,
                                           static_cast<std::size_t>(num) * size));
  }

  [[nodiscard]] Tensor expected() const {
    const Quantised x(src_, case_.range);
    Tensor dst(addend_.shape());
    for (std::int64_t n = 0; n < dst.dim(0); ++n)
      for (std::int64_t o = 0; o < case_.out; ++o) expect_channel(x, n, o, dst);
    return dst;
  }

  void expect_channel(const Quantised& x, std::int64_t n, std::int64_t o, Tensor& dst) const {
    const std::int64_t taps = case_.in * case_.kernel * case_.kernel;
    const auto of_channel =
        weights_.data().subspan(static_cast<std::size_t>(o * taps), static_cast<std::size_t>(taps));
    float most = 0.0F;
    for (const float w : of_channel) most = std::max(most, std::abs(w));
    const float w_step = most / 127.0F;
    const float product = x.step * w_step;
    const std::int64_t size = dst.dim(2);
    for (std::int64_t y = 0; y < size; ++y)
      for (std::int64_t i = 0; i < size; ++i) {
        std::int32_t sum = 0;
        for (std::int64_t tap = 0; tap < taps; ++tap) {
          const std::int64_t c = tap / (case_.kernel * case_.kernel);
          const std::int64_t sy =
              y * case_.stride - case_.padding + tap / case_.kernel % case_.kernel;
          const std::int64_t sx = i * case_.stride - case_.padding + tap % case_.kernel;
          if (sy < 0 || sx < 0 || sy >= case_.size || sx >= case_.size) continue;
          const auto at =
              static_cast<std::size_t>(((n * case_.in + c) * case_.size + sy) * case_.size + sx);
          sum += x.values[at] * static_cast<std::int32_t>(std::nearbyint(
                                    of_channel[static_cast<std::size_t>(tap)] / w_step));
        }
        const auto at = static_cast<std::size_t>(((n * case_.out + o) * size + y) * size + i);
        float value = static_cast<float>(sum);
        if (case_.bias) value += bias_.data()[static_cast<std::size_t>(o)] / product;
        value *= product;
        if (case_.sum) value += addend_.data()[at];
        if (case_.activate) value = std::max(value, 0.0F);
        if (case_.activate && case_.activation == ActivationKind::kRelu6)
          value = std::min(value, 6.0F);
        dst.mutable_data()[at] = value;
      }
  }

  static constexpr std::int64_t kImages = 5;
  Case case_ = GetParam();
  std::int64_t threads_ = 0;
  Rng rng_{3};
  // Some values lie beyond the range.
  Tensor src_ = random_tensor({kImages, case_.in, case_.size, case_.size}, rng_,
                              1.1F * case_.range.low - 0.1F, 1.1F * case_.range.high);
  Tensor weights_ =
      random_tensor({case_.out, case_.in, case_.kernel, case_.kernel}, rng_, -0.3F, 0.2F);
  Tensor bias_ = random_tensor({case_.out}, rng_, -2.0F, 2.0F);
  Tensor addend_ = random_tensor(convolution_output_shape(src_.shape(), op()), rng_, -1.0F, 1.0F);
  PackedTensor packed_{weights_};
};

TEST_P(Int8Convolution, IsTheExactSumOfIntegers) {
  const Tensor wanted = expected();
  const Tensor got = computed(0, kImages);
  ASSERT_EQ(got.shape(), wanted.shape());
  for (std::size_t i = 0; i < wanted.data().size(); ++i)
    ASSERT_EQ(got.data()[i], wanted.data()[i]) << "value " << i;
}

TEST_P(Int8Convolution, GivesAnImageTheSameBitsAloneInABatchAndWithAnyThreads) {
  const Tensor whole = computed(0, kImages);
  for (const std::int64_t threads : {std::int64_t{1}, num_available_cpus()}) {
    set_num_threads(threads);
    for (std::int64_t n = 0; n < kImages; ++n) {
      const Tensor wanted = images(whole, n, 1);
      EXPECT_EQ(std::memcmp(computed(n, 1).data().data(), wanted.data().data(),
                            wanted.data().size_bytes()),
                0)
          << "image " << n << ", " << threads << " threads";
    }
  }
}

// What is left in 8 bits is what the float32 result would be rounded to, up to the rounding of the
// common factor: at most one step, and that rarely.
TEST_P(Int8Convolution, LeavesTheResultInEightBitsWhenWanted) {
  if (case_.sum) return;
  const ValueRange range{case_.activate ? 0.0F : -3.0F, 5.0F};
  const InferencePrimitive convolution =
      make_inference_int8_convolution(src_.shape(), op(), packed_, post(), {case_.range, range});
  LaidOut to(convolution.dst());
  run(convolution, laid_out(src_, convolution.srcs()[0]), to);
  EXPECT_EQ(num_bytes(to.layout), addend_.size());
  const Tensor wanted_values = expected();
  const Quantised wanted(wanted_values, range);
  const Tensor got = plain(to);
  std::int64_t others = 0;
  for (std::size_t i = 0; i < wanted.values.size(); ++i) {
    const float steps = std::nearbyint(got.data()[i] / wanted.step);
    const float difference = std::abs(steps - static_cast<float>(wanted.values[i]));
    ASSERT_LE(difference, 1.0F) << "value " << i;
    others += difference > 0.0F ? 1 : 0;
  }
  EXPECT_LT(others, std::ssize(wanted.values) / 1000 + 2);
}

INSTANTIATE_TEST_SUITE_P(
    Int8, Int8Convolution,
    testing::Values(
        Case{16, 16, 3, 1, 1, 12, {0.0F, 3.0F}, true, false, true},
        Case{16, 32, 3, 2, 1, 12, {0.0F, 3.0F}, true, true, true},
        Case{64, 64, 3, 1, 1, 8, {0.0F, 6.0F}, true, true, false},
        Case{24, 40, 1, 1, 0, 7, {-2.0F, 3.0F}, true, false, true, ActivationKind::kRelu6},
        Case{16, 32, 1, 2, 0, 8, {0.0F, 1.0F}, false, true, true},
        Case{40, 24, 3, 1, 1, 9, {-4.0F, 1.0F}, true, true, true},
        Case{17, 33, 5, 2, 2, 11, {-1.0F, 1.0F}, false, false, false},
        Case{128, 256, 3, 1, 1, 2, {0.0F, 2.0F}, true, false, true}));

TEST(Int8Linear, IsTheExactSumOfIntegersForAnyBatch) {
  if (!int8_is_exact()) GTEST_SKIP() << "this CPU has no VNNI";
  Rng rng(4);
  const Tensor weights = random_tensor({33, 300}, rng, -0.1F, 0.1F);
  const Tensor bias = random_tensor({33}, rng, -1.0F, 1.0F);
  const Tensor src = random_tensor({6, 300}, rng, -0.5F, 2.2F);
  const ValueRange range{0.0F, 2.0F};
  PackedTensor packed(weights);
  const Quantised x(src, range);
  for (const std::int64_t num : {1, 6}) {
    const InferencePrimitive linear =
        make_inference_int8_linear({num, 300}, packed, bias, {.activate = true}, range);
    const LaidOut from =
        laid_out(Tensor::from({num, 300}, src.data().first(static_cast<std::size_t>(num) * 300)),
                 linear.srcs()[0]);
    LaidOut to(linear.dst());
    run(linear, from, to);
    const Tensor got = plain(to);
    for (std::size_t o = 0; o < 33; ++o) {
      float most = 0.0F;
      for (std::size_t i = 0; i < 300; ++i)
        most = std::max(most, std::abs(weights.data()[o * 300 + i]));
      const float w_step = most / 127.0F;
      const float product = x.step * w_step;
      for (std::size_t n = 0; n < static_cast<std::size_t>(num); ++n) {
        std::int32_t sum = 0;
        for (std::size_t i = 0; i < 300; ++i)
          sum += x.values[n * 300 + i] *
                 static_cast<std::int32_t>(std::nearbyint(weights.data()[o * 300 + i] / w_step));
        const float value = (static_cast<float>(sum) + bias.data()[o] / product) * product;
        ASSERT_EQ(got.data()[n * 33 + o], std::max(value, 0.0F)) << "row " << n << ", " << o;
      }
    }
  }
}

TEST(Int8, TakesConvolutionsOverManyChannelsAndLargeLinearLayers) {
  const auto convolution = [](const Shape& weights, std::int64_t groups) {
    ConvolutionOp op;
    op.weights = Tensor::zeros(weights);
    op.groups = groups;
    return op;
  };
  EXPECT_TRUE(int8_takes(convolution({16, 16, 3, 3}, 1)));
  EXPECT_FALSE(int8_takes(convolution({16, 3, 3, 3}, 1)));
  EXPECT_FALSE(int8_takes(convolution({16, 1, 3, 3}, 16)));
  EXPECT_TRUE(int8_takes(LinearOp{Tensor::zeros({1025, 1024}), {}}));
  EXPECT_FALSE(int8_takes(LinearOp{Tensor::zeros({10, 64}), {}}));
}

}  // namespace
}  // namespace branchy::dnn
