// Batch norm with its activation, alone and with the depth-wise convolution behind it.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "core/dnn/channel_blocks.h"
#include "core/kernels/batch_norm.h"
#include "core/kernels/norm_depthwise.h"
#include "tests/bench/network_layers.h"
#include "tests/bench/repeated.h"

namespace branchy::bench {

namespace {

kernels::BatchNormParams norm_params(const NetworkLayer& layer, std::string_view type) {
  const Shape channels{layer.row.src[1]};
  kernels::BatchNormParams params{.scale = Tensor::full(channels, 1.1F),
                                  .shift = Tensor::full(channels, 0.1F)};
  if (type.ends_with("+relu")) params.activation = ActivationKind::kRelu;
  if (type.ends_with("+relu6")) params.activation = ActivationKind::kRelu6;
  return params;
}

Tensor random_blocks(const Shape& shape) { return dnn::in_channel_blocks(random_tensor(shape)); }

double bytes_of(const Tensor& tensor) { return sizeof(float) * static_cast<double>(tensor.size()); }

void forward(benchmark::State& state, const NetworkLayer& layer, const BenchSettings& settings) {
  const auto params = norm_params(layer, layer.row.type);
  const Tensor src = random_blocks(layer.src());
  repeat(state, {.bytes = 2 * bytes_of(src)}, settings,
         [&] { return kernels::batch_norm(src, params); });
}

void backward(benchmark::State& state, const NetworkLayer& layer, const BenchSettings& settings) {
  const auto params = norm_params(layer, layer.row.type);
  const Tensor src = random_blocks(layer.src());
  const Tensor diff = random_blocks(layer.src());
  const auto statistics = kernels::batch_norm(src, params).statistics;
  repeat(state, {.bytes = 3 * bytes_of(src)}, settings, [&] {
    return kernels::batch_norm_backward(diff, src, params, statistics,
                                        kernels::StatisticsOf::kSource);
  });
}

struct NormDepthwise {
  explicit NormDepthwise(const NetworkLayer& layer)
      : norm(norm_params(layer, "+relu6")),
        conv{random_tensor({layer.row.src[1], 1, 3, 3}), layer.row.src[2] / layer.row.dst[2]},
        src(random_blocks(layer.src())),
        statistics(kernels::batch_norm(src, norm).statistics),
        flops(2.0 * static_cast<double>(layer.row.cost.macs * layer.batch)),
        bytes(bytes_of(src) + sizeof(float) * static_cast<double>(layer.dst().size())) {}
  kernels::BatchNormParams norm;
  kernels::DepthwiseParams conv;
  Tensor src;
  kernels::BatchNormStatistics statistics;
  double flops, bytes;
};

void depthwise_forward(benchmark::State& state, const NetworkLayer& layer,
                       const BenchSettings& settings) {
  const NormDepthwise op(layer);
  repeat(state, {.flops = op.flops, .bytes = op.bytes}, settings,
         [&] { return kernels::norm_depthwise(op.src, op.norm, op.conv, op.statistics); });
}

void depthwise_backward(benchmark::State& state, const NetworkLayer& layer,
                        const BenchSettings& settings) {
  const NormDepthwise op(layer);
  const Tensor dst = kernels::norm_depthwise(op.src, op.norm, op.conv, op.statistics);
  const Work work{.flops = 2 * op.flops, .bytes = op.bytes + bytes_of(op.src)};
  repeat(state, work, settings, [&] {
    return kernels::norm_depthwise_backward(dst, op.src, op.norm, op.conv, op.statistics);
  });
}

using Body = void (*)(benchmark::State&, const NetworkLayer&, const BenchSettings&);

void add(const std::string& title, const NetworkLayer& layer, Body body,
         const BenchSettings& settings) {
  const std::string name = fmt::format("{}/{}/batch:{}", title, layer.name(), layer.batch);
  benchmark::RegisterBenchmark(name.c_str(), [=, &settings](benchmark::State& state) {
    body(state, layer, settings);
  })->UseRealTime();
}

}  // namespace

void register_batch_norms(const BenchSettings& settings) {
  for (const NetworkLayer& layer : network_layers("batch_norm2d", settings)) {
    add(layer.row.type + "/forward", layer, forward, settings);
    add(layer.row.type + "/backward", layer, backward, settings);
  }
  for (const NetworkLayer& layer : network_layers("conv2d", settings)) {
    if (layer.row.cost.macs != 9 * layer.row.dst.size()) continue;  // depth-wise alone
    add("norm_depthwise/forward", layer, depthwise_forward, settings);
    add("norm_depthwise/backward", layer, depthwise_backward, settings);
  }
}

}  // namespace branchy::bench
