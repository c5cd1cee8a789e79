// Every convolution of the networks: forward, by data, by weights.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "core/dnn/convolution.h"
#include "tests/bench/network_layers.h"
#include "tests/bench/repeated.h"

namespace branchy::bench {

namespace {

/// The multiply-adds tell kernel and groups: of the networks' convolutions a dense one has C K K
/// for each output, a depth-wise one K K.
dnn::ConvolutionSpec spec_of(const NetworkLayer& layer) {
  const Cost& cost = layer.row.cost;
  const std::int64_t channels = layer.row.src[1];
  const std::int64_t by_output = cost.macs / layer.row.dst.size();
  const bool depthwise = by_output < channels;
  const std::int64_t taps = depthwise ? by_output : by_output / channels;
  const std::int64_t out = layer.row.dst[1];
  const std::int64_t groups = depthwise ? channels : 1;
  const std::int64_t kernel = taps == 9 ? 3 : 1;
  return {.src = layer.src(),
          .out = out,
          .kernel = kernel,
          .stride = layer.row.src[2] / layer.row.dst[2],
          .padding = kernel / 2,
          .groups = groups,
          .bias = cost.parameters > out * channels / groups * taps};
}

/// A convolution with its tensors in the layouts that they have within a network.
struct Operation {
  explicit Operation(const dnn::ConvolutionSpec& spec)
      : conv(spec),
        src(random_tensor(spec.src)),
        weights(random_tensor({spec.out, spec.src[1] / spec.groups, spec.kernel, spec.kernel})),
        bias(spec.bias ? random_tensor({spec.out}) : Tensor()),
        dst(conv.forward(src, weights, bias)) {
    if (!reads_images()) src = conv.backward_data(dst, weights);
  }
  [[nodiscard]] bool reads_images() const { return src.dim(1) == 3; }

  dnn::Convolution conv;
  Tensor src, weights, bias, dst;
};

enum class Direction { kForward, kData, kWeights };

void run(benchmark::State& state, const NetworkLayer& layer, Direction direction,
         const BenchSettings& settings) {
  Operation op(spec_of(layer));
  const std::int64_t floats = op.src.size() + op.dst.size() + op.weights.size();
  const Work work{.flops = 2.0 * static_cast<double>(layer.row.cost.macs * layer.batch),
                  .bytes = sizeof(float) * static_cast<double>(floats)};
  switch (direction) {
    case Direction::kForward:
      repeat(state, work, settings, [&] { return op.conv.forward(op.src, op.weights, op.bias); });
      break;
    case Direction::kData:
      repeat(state, work, settings, [&] { return op.conv.backward_data(op.dst, op.weights); });
      break;
    case Direction::kWeights:
      repeat(state, work, settings, [&] { return op.conv.backward_weights(op.src, op.dst); });
      break;
  }
  state.SetLabel(op.conv.implementations());
}

}  // namespace

void register_convolutions(const BenchSettings& settings) {
  for (const NetworkLayer& layer : network_layers("conv2d", settings)) {
    const dnn::ConvolutionSpec spec = spec_of(layer);
    const auto add = [&](const char* title, Direction direction) {
      const std::string name =
          fmt::format("convolution/{}/{}/k{}{}/batch:{}", title, layer.name(), spec.kernel,
                      spec.groups > 1 ? "/depthwise" : "", layer.batch);
      benchmark::RegisterBenchmark(name.c_str(), [=, &settings](benchmark::State& state) {
        run(state, layer, direction, settings);
      })->UseRealTime();
    };
    add("forward", Direction::kForward);
    if (spec.src[1] != 3) add("by_data", Direction::kData);  // nobody wants those of images
    add("by_weights", Direction::kWeights);
  }
}

}  // namespace branchy::bench
