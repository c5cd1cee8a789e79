// Every case of every registered layer through the real plan: what is lowered, fused, packed and
// run must give what the layer's forward pass gives in evaluation mode. A new layer is tested here
// without a change to this file.
#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "infer/exit_runner.h"
#include "infer/plan.h"
#include "layers/registry.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/poison.h"
#include "tests/support/randomize.h"
#include "tests/support/reference_ops.h"

namespace branchy {
namespace {

using test::LoweredLayer;

constexpr double kTolerance = 1e-4;
constexpr std::uint64_t kSeed = 30;

/// Where the layer stands: its source is a row-major image, or in the layout of a value between
/// two blocks.
enum class Position { kFirstBlock, kSecondBlock };

struct NamedCase {
  std::string name;
  LayerCase layer_case;
  Position position;
};

void PrintTo(const NamedCase& named, std::ostream* stream) {
  *stream << named.name << " src " << named.layer_case.src.to_string() << " seed " << kSeed;
}

std::vector<NamedCase> all_cases() {
  std::vector<NamedCase> cases;
  for (const RegisteredLayer& registered : registered_layers())
    for (const LayerCase& layer_case : registered.cases) {
      const std::string name = registered.type + "_" + layer_case.name;
      cases.push_back({name + "_first", layer_case, Position::kFirstBlock});
      cases.push_back({name + "_second", layer_case, Position::kSecondBlock});
    }
  return cases;
}

PlanValue rows_of(PlanBuilder& plan, PlanValue src) {
  return plan.shape(src).rank() == 2 ? src : plan.flatten(src);
}

/// The layer in a network of its own: alone, or behind a block that the plan leaves out. The exit
/// gives the layer's output as rows.
class LayerLowering : public ::testing::TestWithParam<NamedCase> {
 protected:
  LayerLowering() {
    Rng rng(kSeed);
    const Shape one = GetParam().layer_case.src.with_batch(1);
    LayerPtr layer = GetParam().layer_case.make(rng);
    layer_ = layer.get();
    std::vector<StateEntry> state;
    layer_->collect_state("", state);
    test::randomize(state);

    std::vector<MultiExitNetwork::Block> blocks;
    if (GetParam().position == Position::kSecondBlock)
      blocks.push_back(
          {"before", "before.",
           std::make_unique<LoweredLayer>(one, [](PlanBuilder&, PlanValue src) { return src; })});
    blocks.push_back({"under_test", "under_test.", std::move(layer)});
    const auto depth = static_cast<std::int64_t>(blocks.size());
    std::vector<MultiExitNetwork::Exit> exits;
    exits.push_back(
        {"final", "final.", depth,
         std::make_unique<LoweredLayer>(Shape{1, layer_->output_shape(one).size()}, rows_of)});
    part_ = {depth - 1, depth, 1, 1};
    network_ = std::make_unique<MultiExitNetwork>(NetworkConfig{}, one, std::move(blocks),
                                                  std::move(exits));
  }

  Tensor forward(const Tensor& src) {
    const NoGradGuard guard;
    return layer_->forward(Variable(src), {.mode = Mode::kEval}).value();
  }

  Layer* layer_ = nullptr;
  NetworkPart part_;
  std::unique_ptr<MultiExitNetwork> network_;
};

TEST_P(LayerLowering, PlanGivesWhatForwardGivesInEvaluation) {
  Tensor src = test::random_tensor(GetParam().layer_case.src, kSeed);
  for (float& value : src.mutable_data()) value *= 4.0F;  // beyond both kinks of ReLU6 at times
  ExitRunner runner(Plan::lower(*network_, part_));
  for (const Tensor& batch : {src, test::sample(src, 0)}) {
    const test::Array expected = test::to_array(forward(batch));
    test::Array rows = expected;
    rows.shape = {batch.dim(0), expected.shape.size() / batch.dim(0)};
    test::poison_buffer_pool();
    runner.start(batch);
    EXPECT_LT(test::relative_error(runner.next_exit().logits, rows), kTolerance)
        << batch.shape().to_string();
    EXPECT_LT(test::relative_error(runner.feature(), expected), kTolerance)
        << batch.shape().to_string();
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, LayerLowering, ::testing::ValuesIn(all_cases()),
                         [](const auto& test_case) { return test_case.param.name; });

}  // namespace
}  // namespace branchy
