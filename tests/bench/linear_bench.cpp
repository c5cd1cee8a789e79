// The matrix products of linear layers: forward, by data, by weights.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "core/dnn/matmul.h"
#include "tests/bench/network_layers.h"
#include "tests/bench/repeated.h"

namespace branchy::bench {

namespace {

enum class Direction { kForward, kData, kWeights };

void run(benchmark::State& state, const NetworkLayer& layer, Direction direction,
         const BenchSettings& settings) {
  using dnn::Transpose;
  const Tensor src = random_tensor(layer.src());
  const Tensor dst = random_tensor(layer.dst());
  const Tensor weights = random_tensor({layer.row.dst[1], layer.row.src[1]});
  const std::int64_t floats = src.size() + dst.size() + weights.size();
  const Work work{.flops = 2.0 * static_cast<double>(layer.row.cost.macs * layer.batch),
                  .bytes = sizeof(float) * static_cast<double>(floats)};
  switch (direction) {  // as layers/linear.cpp
    case Direction::kForward:
      repeat(state, work, settings,
             [&] { return dnn::matmul(src, Transpose::kNo, weights, Transpose::kYes); });
      break;
    case Direction::kData:
      repeat(state, work, settings,
             [&] { return dnn::matmul(dst, Transpose::kNo, weights, Transpose::kNo); });
      break;
    case Direction::kWeights:
      repeat(state, work, settings,
             [&] { return dnn::matmul(dst, Transpose::kYes, src, Transpose::kNo); });
      break;
  }
}

}  // namespace

void register_linear_layers(const BenchSettings& settings) {
  for (const NetworkLayer& layer : network_layers("linear", settings)) {
    const auto add = [&](const char* title, Direction direction) {
      const std::string name =
          fmt::format("linear/{}/{}/batch:{}", title, layer.name(), layer.batch);
      benchmark::RegisterBenchmark(name.c_str(), [=, &settings](benchmark::State& state) {
        run(state, layer, direction, settings);
      })->UseRealTime();
    };
    add("forward", Direction::kForward);
    add("by_data", Direction::kData);
    add("by_weights", Direction::kWeights);
  }
}

}  // namespace branchy::bench
