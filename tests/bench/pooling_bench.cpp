// Max and global average pooling, forward and backward.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "core/dnn/channel_blocks.h"
#include "core/dnn/pooling.h"
#include "tests/bench/network_layers.h"
#include "tests/bench/repeated.h"

namespace branchy::bench {

namespace {

PoolOp op_of(const NetworkLayer& layer) {
  if (layer.row.type == "global_avg_pool") return {.kind = PoolKind::kAverage, .kernel = 0};
  return {.kind = PoolKind::kMax};
}

void run(benchmark::State& state, const NetworkLayer& layer, bool backward,
         const BenchSettings& settings) {
  const Tensor src = dnn::in_channel_blocks(random_tensor(layer.src()));
  dnn::Pooling pooling(src, op_of(layer));
  const auto result = pooling.forward(src);
  const Work work{.bytes = sizeof(float) * static_cast<double>(src.size() + result.dst.size())};
  if (backward)
    repeat(state, work, settings,
           [&] { return pooling.backward(result.dst, result.workspace.get()); });
  else
    repeat(state, work, settings, [&] { return pooling.forward(src); });
}

}  // namespace

void register_poolings(const BenchSettings& settings) {
  for (const char* type : {"max_pool", "global_avg_pool"})
    for (const NetworkLayer& layer : network_layers(type, settings))
      for (const bool backward : {false, true}) {
        const std::string name =
            fmt::format("{}/{}/{}/batch:{}", type, backward ? "backward" : "forward", layer.name(),
                        layer.batch);
        benchmark::RegisterBenchmark(name.c_str(), [=, &settings](benchmark::State& state) {
          run(state, layer, backward, settings);
        })->UseRealTime();
      }
}

}  // namespace branchy::bench
