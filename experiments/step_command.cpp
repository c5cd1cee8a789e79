#include "experiments/step_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/atomic_file.h"
#include "core/buffer_pool.h"
#include "core/error.h"
#include "core/machine_ceiling.h"
#include "core/printable.h"
#include "core/provenance.h"
#include "core/step_profile.h"
#include "core/threads.h"
#include "experiments/network_step.h"
#include "infer/percentile.h"
#include "layers/models/registry.h"
#include "layers/network_summary.h"
#include "train/network_flags.h"
#include "train/step_profile_report.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

struct StepCommand {
  NetworkConfig network{.early_exits = kDefaultExits};
  std::vector<std::string> options;
  std::string exit_after, out;
  std::int64_t batch = 1, threads = 0, steps = 12, profile = 0;
  bool on_request = false, int8 = false;
};

/// What both kinds of steps have in common.
struct Step {
  const MultiExitNetwork& network;
  std::function<void()> run;
};

double peak_mib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

/// Milliseconds of each of `count` steps, after one that is not measured.
std::vector<double> timed(const Step& step, std::int64_t count) {
  using Clock = std::chrono::steady_clock;
  step.run();
  std::vector<double> times;
  for (std::int64_t i = 0; i < count; ++i) {
    const Clock::time_point start = Clock::now();
    step.run();
    times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
  }
  return times;
}

/// Which network it is, so that programs can be seen to run the same one.
ordered_json facts_of(const StepCommand& c, const MultiExitNetwork& network) {
  const Cost cost = whole_cost(network);
  return {{"program", "branchy " + version_string()},
          {"network", network.config().name},
          {"classes", network.config().classes},
          {"early_exits", network.config().early_exits},
          {"options", network.config().options},
          {"batch", c.batch},
          {"threads", c.threads},
          {"int8", c.int8},
          {"parameters", cost.parameters},
          {"macs", cost.macs}};
}

void print_line(const ordered_json& json) {
  fmt::print("{}\n", json.dump());
  std::fflush(stdout);
}

void answer_requests(const Step& step) {
  for (std::string line; std::getline(std::cin, line);) {
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), count);
    if (error != std::errc() || end != line.data() + line.size() || count < 1)
      throw DataError(
          fmt::format("[step] request '{}', expected a number of steps", printable(line)));
    const std::vector<double> times = timed(step, count);
    print_line({{"ms", times}, {"peak_mib", peak_mib()}});
  }
}

/// Prints where the time of some steps goes; gives it as JSON too.
ordered_json profile(const StepCommand& c, const Step& step) {
  const MachineCeiling ceiling = measure_machine_ceiling();
  StepProfile steps;
  for (std::int64_t i = 0; i < c.profile; ++i) {
    const StepProfile::Step profiled(&steps);
    step.run();
  }
  const ProfiledRun run{c.network.name, c.batch, ceiling};
  fmt::print("{}", profile_table(steps, run));
  return ordered_json::parse(profile_json(steps, run));
}

void run_steps(const StepCommand& c, const Step& step) {
  const ordered_json facts = facts_of(c, step.network);
  if (c.on_request) {
    print_line(facts);
    answer_requests(step);
    return;
  }
  step.run();
  step.run();
  const std::int64_t allocations = buffer_pool::num_system_allocations();
  const std::vector<double> times = timed(step, c.steps);
  const double median = percentile(times, 0.5);
  const double images = 1000.0 * static_cast<double>(c.batch) / median;
  fmt::print(
      "{}{} batch {}, {} threads: median {:.3f} ms/step, p95 {:.3f}, {:.1f} images/s, peak {:.0f} "
      "MiB\n",
      c.network.name, c.int8 ? " in 8 bits" : "", c.batch, c.threads, median,
      percentile(times, 0.95), images, peak_mib());
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json.update(facts);
  json["ms_per_step"] = times;
  json["median_ms_per_step"] = median;
  json["images_per_second"] = images;
  json["peak_mib"] = peak_mib();
  json["tensor_allocations_after_warm_up"] = buffer_pool::num_system_allocations() - allocations;
  if (c.profile > 0) json["profile"] = profile(c, step);
  if (!c.out.empty()) write_file_atomically(c.out, json.dump(2) + "\n");
}

void prepare(StepCommand& c) {
  c.network.options = network_options(c.options, c.exit_after);
  if (c.threads == 0) c.threads = num_available_cpus();
  set_num_threads(c.threads);
}

void run_training(StepCommand c) {
  prepare(c);
  TrainingStep step(c.network, c.batch);
  run_steps(c, {step.network(), [&] { step.run(); }});
}

void run_inference(StepCommand c) {
  prepare(c);
  InferenceStep step(c.network, c.batch, c.int8 ? Precision::kInt8 : Precision::kFloat32);
  run_steps(c, {step.network(), [&] { step.run(); }});
}

void add_options(CLI::App& verb, StepCommand& c, std::int64_t least_batch) {
  verb.add_option("--net", c.network.name,
                  fmt::format("Network: {}", fmt::join(network_names(), ", ")))
      ->capture_default_str();
  verb.add_option("--classes", c.network.classes, "Classes")
      ->check(CLI::Range(2, 1000000))
      ->capture_default_str();
  verb.add_option("--exits", c.network.early_exits,
                  "Early exits (default: as many as the paper has)");
  add_network_flags(verb, c.options, c.exit_after);
  verb.add_option("--batch", c.batch, "Images a step")
      ->check(CLI::Range(least_batch, std::int64_t{1} << 16))
      ->capture_default_str();
  verb.add_option("--threads", c.threads, "Compute threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  auto* const steps = verb.add_option("--steps", c.steps, "Measured steps, after some that are not")
                          ->check(CLI::Range(1, 1000000))
                          ->capture_default_str();
  auto* const out = verb.add_option("--out", c.out, "Write the figures to this JSON file");
  verb.add_flag("--on-request", c.on_request,
                "Print what runs as a line of JSON; then for each line N of standard input do N "
                "steps, after one that is not measured, and print their times as another")
      ->excludes(steps)
      ->excludes(out);
}

}  // namespace

void add_step_commands(CLI::App& app) {
  CLI::App* train =
      app.add_subcommand("train-step", "Time and peak memory of a training step on random data");
  const auto training = std::make_shared<StepCommand>();
  training->batch = 128;
  add_options(*train, *training, 2);  // batch norm wants two
  train
      ->add_option("--profile", training->profile,
                   "Then profile this many steps: time by kind of work and by layer (0: none)")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  train->callback([training] { run_training(*training); });

  CLI::App* infer = app.add_subcommand(
      "infer-step", "Time and peak memory of inference on random data, every exit computed");
  const auto inference = std::make_shared<StepCommand>();
  inference->steps = 200;
  add_options(*infer, *inference, 1);
  infer->add_flag("--int8", inference->int8,
                  "As `branchy quantize` lets a model be computed: convolutions and large linear "
                  "layers in 8 bits");
  infer->callback([inference] { run_inference(*inference); });
}

}  // namespace branchy
