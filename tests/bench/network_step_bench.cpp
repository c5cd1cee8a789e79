// Whole training steps, their optimisers alone, and inference up to each exit.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <memory>

#include "experiments/network_step.h"
#include "layers/models/registry.h"
#include "layers/network_summary.h"
#include "optim/adam.h"
#include "optim/sgd.h"
#include "tests/bench/network_layers.h"
#include "tests/bench/repeated.h"

namespace branchy::bench {

namespace {

void train(benchmark::State& state, const NetworkConfig& config, const BenchSettings& settings) {
  const std::int64_t batch = settings.batch_or(training_batch(config));
  TrainingStep step(config, batch);
  step.run();  // the second one has all memory that it needs
  // Backward multiplies twice as often as forward, but for the first layer: images want no
  // gradient, which is less than 2 % here.
  const auto macs = static_cast<double>(whole_cost(step.network()).macs * batch);
  repeat(state, {.flops = 3 * 2 * macs, .images = static_cast<double>(batch)}, settings,
         [&] { step.run(); });
}

void infer(benchmark::State& state, InferenceStep& step, std::int64_t batch, std::int64_t exit,
           const BenchSettings& settings) {
  Cost cost;
  for (std::int64_t number = 1; number <= exit; ++number) {
    cost += total_cost(step.network().profile_trunk(number));
    cost += total_cost(step.network().profile_exit(number));
  }
  const Work work{.flops = 2.0 * static_cast<double>(cost.macs * batch),
                  .images = static_cast<double>(batch)};
  repeat(state, work, settings, [&] { step.run_to(exit); });
}

/// Made when the first of its benchmarks runs, for all exits.
struct LazyInference {
  NetworkConfig config;
  std::int64_t batch;
  std::unique_ptr<InferenceStep> step;

  InferenceStep& get() {
    if (!step) step = std::make_unique<InferenceStep>(config, batch);
    return *step;
  }
};

/// Every parameter of a network with a gradient.
class Parameters {
 public:
  explicit Parameters(const NetworkConfig& config) {
    Rng rng(1);
    network_ = make_network(config, rng);
    for (const StateEntry& entry : network_->state()) {
      if (entry.is_buffer) continue;
      entry.variable->backward(Tensor::full(entry.variable->shape(), 1e-3F));
      all_.push_back({entry.name, entry.variable, entry.decays});
      size_ += entry.variable->value().size();
    }
  }
  [[nodiscard]] const std::vector<OptimizedParameter>& all() const { return all_; }
  [[nodiscard]] double bytes() const { return sizeof(float) * static_cast<double>(size_); }

 private:
  std::unique_ptr<MultiExitNetwork> network_;
  std::vector<OptimizedParameter> all_;
  std::int64_t size_ = 0;
};

}  // namespace

void register_optimizers(const BenchSettings& settings) {
  for (const NetworkConfig& config : bench_networks()) {
    // Many small parameters, and few large ones.
    if (config.name != "resnet44" && config.name != "vgg16_bn") continue;
    const auto add = [&](const char* title, auto make, double passes) {
      const std::string name = fmt::format("{}/{}", title, config.name);
      benchmark::RegisterBenchmark(name.c_str(), [=, &settings](benchmark::State& state) {
        const Parameters parameters(config);
        auto optimizer = make(parameters.all());
        repeat(state, {.bytes = passes * parameters.bytes()}, settings,
               [&] { optimizer.step(1e-6F); });
      })->UseRealTime();
    };
    // Read: weight, gradient, velocity or two moments; written: all but the gradient.
    add(
        "sgd", [](auto all) { return Sgd(std::move(all), {.momentum = 0.9F}); }, 5.0);
    add(
        "adam", [](auto all) { return Adam(std::move(all), {}); }, 7.0);
  }
}

void register_network_steps(const BenchSettings& settings) {
  for (const NetworkConfig& config : bench_networks()) {
    const std::string name =
        fmt::format("train/{}/batch:{}", config.name, settings.batch_or(training_batch(config)));
    benchmark::RegisterBenchmark(
        name.c_str(), [=, &settings](benchmark::State& state) { train(state, config, settings); })
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
    std::vector<std::int64_t> batches{1, 32};
    if (settings.batch > 0) batches = {settings.batch};
    for (const std::int64_t batch : batches) {
      const auto lazy = std::make_shared<LazyInference>(LazyInference{config, batch, nullptr});
      for (std::int64_t exit = 1; exit <= config.early_exits + 1; ++exit)
        benchmark::RegisterBenchmark(
            fmt::format("infer/{}/exit:{}/batch:{}", config.name, exit, batch).c_str(),
            [=, &settings](benchmark::State& state) {
              infer(state, lazy->get(), batch, exit, settings);
              if (exit == config.early_exits + 1) lazy->step.reset();
            })
            ->UseRealTime()
            ->Unit(benchmark::kMillisecond);
    }
  }
}

}  // namespace branchy::bench
