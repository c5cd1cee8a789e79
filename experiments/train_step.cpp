#include "experiments/train_step.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/atomic_file.h"
#include "core/buffer_pool.h"
#include "core/error.h"
#include "core/provenance.h"
#include "core/threads.h"
#include "experiments/peer_process.h"
#include "infer/process_memory.h"
#include "layers/models/registry.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/weighted_sum.h"
#include "optim/sgd.h"
#include "train/network_flags.h"
#include "train/step_profile_report.h"
#include "train/train_options.h"

namespace branchy {

namespace {

struct TrainStepCommand {
  NetworkConfig network{.early_exits = kDefaultExits};
  std::vector<std::string> options, peers;
  std::string exit_after, out;
  std::int64_t batch = 128, threads = 0, steps = 12, rounds = 3, profile = 0;
};

/// A program that prints the milliseconds of its own step, and what it printed so far.
struct Peer {
  std::string name, command;
  std::vector<double> ms;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

/// A network with optimiser and one random batch: the same step again and again.
class StepBench {
 public:
  explicit StepBench(const TrainStepCommand& c) : rng_(1), network_(make_network(c.network, rng_)) {
    std::vector<OptimizedParameter> parameters;
    for (const StateEntry& entry : network_->state())
      if (!entry.is_buffer) parameters.push_back({entry.name, entry.variable, entry.decays});
    sgd_ = std::make_unique<Sgd>(std::move(parameters),
                                 SgdParams{.momentum = 0.9F, .weight_decay = 5e-4F});
    images_ = Tensor(network_->input_shape().with_batch(c.batch));
    for (float& value : images_.mutable_data()) value = rng_.normal();
    for (std::int64_t i = 0; i < c.batch; ++i) labels_.push_back(rng_.below(c.network.classes));
    for (const double weight : default_exit_weights(network_->num_exits()))
      weights_.push_back(static_cast<float>(weight));
  }

  [[nodiscard]] const NetworkConfig& network() const { return network_->config(); }

  /// Forward, losses, backward and update, added to `profile` unless it is null; gives its
  /// milliseconds.
  double step(StepProfile* profile = nullptr) {
    const StepProfile::Step profiled(profile);
    const auto start = std::chrono::steady_clock::now();
    sgd_->clear_gradients();
    std::vector<Variable> losses;
    for (const Variable& logits : network_->forward(Variable(images_), {.mode = Mode::kTrain}))
      losses.push_back(softmax_cross_entropy(logits, labels_));
    weighted_sum(losses, weights_).backward();
    sgd_->step(0.01F);
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
        .count();
  }

 private:
  Rng rng_;
  std::unique_ptr<MultiExitNetwork> network_;
  std::unique_ptr<Sgd> sgd_;
  Tensor images_;
  std::vector<std::int64_t> labels_;
  std::vector<float> weights_;
};

/// "NAME=COMMAND", or a command alone.
std::vector<Peer> parse_peers(const std::vector<std::string>& texts) {
  std::vector<Peer> peers;
  for (const std::string& text : texts) {
    const std::size_t end =
        text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
    const bool named = end != std::string::npos && end > 0 && text[end] == '=';
    peers.push_back(named ? Peer{text.substr(0, end), text.substr(end + 1), {}}
                          : Peer{fmt::format("peer{}", peers.size() + 1), text, {}});
    if (peers.back().command.empty())
      throw ConfigError(fmt::format("[train-step] --peer '{}', expected NAME=COMMAND", text));
  }
  return peers;
}

/// Alternates rounds of our steps with one run of each peer, so that all meet the same machine.
std::vector<double> measure(const TrainStepCommand& c, StepBench& bench, std::vector<Peer>& peers) {
  std::vector<double> ours;
  for (std::int64_t round = 0; round < c.rounds; ++round) {
    set_num_threads(c.threads);  // places the threads again after a peer ran
    std::vector<double> times;
    for (std::int64_t i = 0; i < c.steps; ++i) times.push_back(bench.step());
    ours.push_back(median(times));
    fmt::print("round {}: {:.1f} ms/step", round + 1, ours.back());
    for (Peer& peer : peers) {
      peer.ms.push_back(peer_figure(peer.command, "ms/step"));
      fmt::print(", {} {:.1f} ms/step, ratio {:.3f}", peer.name, peer.ms.back(),
                 peer.ms.back() / ours.back());
    }
    fmt::print("\n");
    std::fflush(stdout);
  }
  return ours;
}

/// The peer with the lowest median; null without peers.
const Peer* best_of(const std::vector<Peer>& peers) {
  const auto best = std::min_element(peers.begin(), peers.end(), [](const Peer& a, const Peer& b) {
    return median(a.ms) < median(b.ms);
  });
  return best == peers.end() ? nullptr : &*best;
}

/// Prints where the time goes; gives it as JSON too.
nlohmann::ordered_json profile(const TrainStepCommand& c, StepBench& bench,
                               const kernels::Ceilings& ceilings) {
  StepProfile steps;
  for (std::int64_t i = 0; i < c.profile; ++i) bench.step(&steps);
  const ProfiledRun run{c.network.name, c.batch, ceilings};
  fmt::print("{}", profile_table(steps, run));
  return nlohmann::ordered_json::parse(profile_json(steps, run));
}

void run(TrainStepCommand c) {
  c.network.options = network_options(c.options, c.exit_after);
  if (c.threads == 0) c.threads = num_available_cpus();
  std::vector<Peer> peers = parse_peers(c.peers);
  set_num_threads(c.threads);
  const kernels::Ceilings ceilings =
      c.profile > 0 ? kernels::measure_ceilings() : kernels::Ceilings{};
  StepBench bench(c);
  bench.step();
  bench.step();
  const std::int64_t allocations = buffer_pool::num_system_allocations();
  const std::vector<double> ours = measure(c, bench, peers);
  nlohmann::ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  const NetworkConfig& network = bench.network();
  json["network"] = network.name;
  json["classes"] = network.classes;
  json["early_exits"] = network.early_exits;
  json["options"] = network.options;
  json["batch"] = c.batch;
  json["threads"] = c.threads;
  json["ms_per_step"] = ours;
  json["median_ms_per_step"] = median(ours);
  json["images_per_second"] = 1000.0 * static_cast<double>(c.batch) / median(ours);
  json["tensor_allocations_after_warm_up"] = buffer_pool::num_system_allocations() - allocations;
  const std::int64_t peak_bytes = process_memory().peak_bytes;
  json["peak_resident_bytes"] = peak_bytes;
  fmt::print("median {:.1f} ms/step, {:.1f} images/s, peak memory {} MiB", median(ours),
             json["images_per_second"].get<double>(), peak_bytes >> 20);
  for (const Peer& peer : peers)
    json["peers"].push_back({{"name", peer.name},
                             {"command", peer.command},
                             {"ms_per_step", peer.ms},
                             {"median_ms_per_step", median(peer.ms)}});
  if (const Peer* best = best_of(peers)) {
    const double ratio = median(best->ms) / median(ours);
    json["best_peer"] = best->name;
    json["speed_ratio"] = ratio;
    fmt::print("; best peer {} {:.1f} ms/step; {:.2f} times as fast", best->name, median(best->ms),
               ratio);
  }
  fmt::print("\n");
  if (c.profile > 0) json["profile"] = profile(c, bench, ceilings);
  if (!c.out.empty()) write_file_atomically(c.out, json.dump(2) + "\n");
}

}  // namespace

void add_train_step_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "train-step", "Time of a training step on random data, beside those of peers");
  const auto command = std::make_shared<TrainStepCommand>();
  verb->add_option("--net", command->network.name,
                   fmt::format("Network: {}", fmt::join(network_names(), ", ")))
      ->capture_default_str();
  verb->add_option("--classes", command->network.classes, "Classes")
      ->check(CLI::Range(2, 1000000))
      ->capture_default_str();
  verb->add_option("--exits", command->network.early_exits,
                   "Early exits (default: as many as the paper has)");
  add_network_flags(*verb, command->options, command->exit_after);
  verb->add_option("--batch", command->batch, "Images a step")
      ->check(CLI::Range(2, 1 << 16))
      ->capture_default_str();
  verb->add_option("--threads", command->threads, "Compute threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  verb->add_option("--steps", command->steps, "Steps a round")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  verb->add_option("--rounds", command->rounds, "Rounds; every peer runs once in each")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  verb->add_option("--peer", command->peers,
                   "NAME=COMMAND, a shell command that prints its own figure as '... N ms/step'; "
                   "may be repeated, the fastest is what counts")
      ->allow_extra_args(false);
  verb->add_option("--profile", command->profile,
                   "Then profile this many steps: time by kind of work and by layer (0: none)")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  verb->add_option("--out", command->out, "Write the figures to this JSON file");
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
