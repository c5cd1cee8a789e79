// A warm training step asks the system for no memory, reorders few activations, and every
// convolution of ResNet44 runs an optimised implementation.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "core/buffer_pool.h"
#include "core/dnn/convolution.h"
#include "core/dnn/tensor_access.h"
#include "core/threads.h"
#include "layers/models/registry.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/weighted_sum.h"
#include "optim/sgd.h"
#include "tests/support/reference_ops.h"

namespace branchy {
namespace {

// The feature of each of the three exits into row-major order for its linear layer, and that
// gradient back.
constexpr std::int64_t kMostReorders = 6;

TEST(WarmTrainingStep, AllocatesNothingAndReordersLittle) {
  set_num_threads(1);
  Rng rng(5);
  const auto network = make_network({.name = "resnet44", .classes = 10, .early_exits = 2}, rng);
  std::vector<OptimizedParameter> parameters;
  for (const StateEntry& entry : network->state())
    if (!entry.is_buffer) parameters.push_back({entry.name, entry.variable, entry.decays});
  Sgd sgd(parameters, {.momentum = 0.9F, .weight_decay = 5e-4F});
  const std::vector<std::int64_t> labels{1, 2, 3, 4};
  const auto step = [&] {
    const Variable images(test::random_tensor(Shape{4, 3, 32, 32}, 6));
    std::vector<Variable> losses;
    for (const Variable& logits : network->forward(images, {Mode::kTrain, 0}))
      losses.push_back(softmax_cross_entropy(logits, labels));
    const Variable loss = weighted_sum(losses, std::vector<float>{0.3F, 0.3F, 0.4F});
    sgd.clear_gradients();
    loss.backward();
    sgd.step(0.01F);
  };
  step();
  step();
  const std::int64_t allocations = buffer_pool::num_system_allocations();
  const std::int64_t reorders = dnn::num_reorders();
  step();
  EXPECT_EQ(buffer_pool::num_system_allocations() - allocations, 0);
  // A forced method takes its own layout beside layers that have others.
  if (std::getenv("BRANCHY_CONV") == nullptr) {
    EXPECT_LE(dnn::num_reorders() - reorders, kMostReorders);
  }
}

class ResNet44Convolutions : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(ResNet44Convolutions, NeverFallBackToReferenceCode) {
  const std::int64_t batch = GetParam();
  const std::vector<dnn::ConvolutionSpec> specs{
      {.src = {batch, 3, 32, 32}, .out = 16, .kernel = 3, .padding = 1},
      {.src = {batch, 16, 32, 32}, .out = 16, .kernel = 3, .padding = 1},
      {.src = {batch, 16, 32, 32}, .out = 32, .kernel = 3, .stride = 2, .padding = 1},
      {.src = {batch, 16, 32, 32}, .out = 32, .kernel = 1, .stride = 2},
      {.src = {batch, 32, 16, 16}, .out = 32, .kernel = 3, .padding = 1},
      {.src = {batch, 32, 16, 16}, .out = 64, .kernel = 3, .stride = 2, .padding = 1},
      {.src = {batch, 32, 16, 16}, .out = 64, .kernel = 1, .stride = 2},
      {.src = {batch, 64, 8, 8}, .out = 64, .kernel = 3, .padding = 1},
  };
  for (const dnn::ConvolutionSpec& spec : specs) {
    const std::string names = dnn::Convolution(spec).implementations();
    EXPECT_EQ(names.find("ref"), std::string::npos) << spec.src.to_string() << ": " << names;
  }
}

// 128 is the batch of training; 72 is what remains of an epoch of 45,000 images in steps of 128.
INSTANTIATE_TEST_SUITE_P(Batches, ResNet44Convolutions, ::testing::Values(72, 128));

}  // namespace
}  // namespace branchy
