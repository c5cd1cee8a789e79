#include "train/tune_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "core/dnn/convolution_timing.h"
#include "core/error.h"
#include "core/threads.h"
#include "layers/models/registry.h"
#include "layers/softmax_cross_entropy.h"
#include "layers/weighted_sum.h"
#include "train/image_size.h"
#include "train/network_flags.h"
#include "train/train_options.h"
#include "train/tuning_file.h"

namespace branchy {

namespace {

using dnn::ConvolutionListing;

struct TuneCommand {
  NetworkConfig network{.early_exits = kDefaultExits};
  std::vector<std::string> options;
  std::string exit_after, out;
  std::int64_t batch = 128, threads = 0, rounds = 7, image_size = 0;
};

/// Every convolution that a training step computes.
std::vector<ConvolutionListing::Entry> convolutions_of_step(const TuneCommand& c) {
  Rng rng(1);
  const auto network = make_network(c.network, rng);
  Tensor images(network->input_shape().with_batch(c.batch));
  for (float& value : images.mutable_data()) value = rng.normal();
  const std::vector<std::int64_t> labels(static_cast<std::size_t>(c.batch), 0);
  const ConvolutionListing listing;
  static_cast<void>(network->forward(Variable(images), {.mode = Mode::kTrain}));
  return listing.entries();
}

/// Only the image's own gradient is never wanted.
bool is_computed(const ConvolutionListing::Entry& entry, std::int64_t image_channels) {
  return entry.second != dnn::ConvolutionPass::kBackwardData ||
         entry.first.src[1] != image_channels;
}

void print_row(const std::string& name, const std::vector<dnn::MethodTime>& times,
               const dnn::MethodTime& chosen) {
  std::string line = fmt::format("{:<44}", name);
  for (const dnn::MethodTime& time : times)
    line += fmt::format("  {} {:.3f} ms", to_string(time.method), time.ms);
  fmt::print("{}  -> {}\n", line, to_string(chosen.method));
  std::fflush(stdout);
}

void run(TuneCommand c) {
  c.network.options = network_options(c.options, c.exit_after);
  if (c.image_size > 0) static_cast<void>(set_image_size(c.network, c.image_size));
  set_num_threads(c.threads == 0 ? num_available_cpus() : c.threads);
  const std::filesystem::path out =
      c.out.empty() ? default_tuning_file() : std::filesystem::path(c.out);
  if (out.empty())
    throw ConfigError("[tune] neither XDG_CACHE_HOME nor HOME is set; give --out FILE");
  dnn::ConvolutionTable table = load_tuning(out);
  constexpr std::int64_t kImageChannels = 3;
  double before = 0, after = 0;
  for (const auto& entry : convolutions_of_step(c)) {
    if (!is_computed(entry, kImageChannels)) continue;
    const std::string name = dnn::convolution_name(entry.first, entry.second);
    const auto times = dnn::time_convolution(entry.first, entry.second, c.rounds);
    const dnn::MethodTime chosen = dnn::fastest_method(times);
    table.set(name, chosen.method);
    print_row(name, times, chosen);
    before += times.front().ms;
    after += chosen.ms;
  }
  save_tuning(out, table);
  fmt::print("each once: direct {:.1f} ms, chosen {:.1f} ms; written to {}\n", before, after,
             out.string());
}

}  // namespace

void add_tune_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "tune",
      "Measure which method computes each convolution of a network fastest on this machine, for "
      "training runs to take (--tuning)");
  const auto command = std::make_shared<TuneCommand>();
  verb->add_option("--net", command->network.name,
                   fmt::format("Network: {}", fmt::join(network_names(), ", ")))
      ->capture_default_str();
  verb->add_option("--classes", command->network.classes, "Classes")
      ->check(CLI::Range(2, 1000000))
      ->capture_default_str();
  verb->add_option("--exits", command->network.early_exits,
                   "Early exits (default: as many as the paper has)");
  add_network_flags(*verb, command->options, command->exit_after);
  verb->add_option("--image-size", command->image_size,
                   "Side of the square images, for networks that take any");
  verb->add_option("--batch", command->batch, "Images a step, as the training will have")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  verb->add_option("--threads", command->threads, "Compute threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  verb->add_option("--rounds", command->rounds, "Runs of each method, in turn; the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  verb->add_option("--out", command->out,
                   "Add to this file (default: branchy/convolutions.json of the user's cache)");
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
