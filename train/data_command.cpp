#include "train/data_command.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "data/fetch.h"
#include "data/synth.h"
#include "train/data_bench_command.h"
#include "train/progress.h"

namespace branchy {

namespace {

struct SynthCommand {
  std::filesystem::path out = "synth";
  SynthOptions options;
};

struct FetchCommand {
  std::string name;
  std::filesystem::path out = "data";
  FetchOptions options;
};

void run_synth(const SynthCommand& command) {
  std::filesystem::path folder;
  {
    Progress progress("synth");
    folder = write_synth_dataset(
        command.out, command.options, [&progress](std::int64_t done, std::int64_t total) {
          progress.update(static_cast<double>(done) / static_cast<double>(total),
                          fmt::format("{}/{} images", done, total));
        });
  }
  fmt::print("{}: {} training and {} test images of 10 classes, seed {}\n", folder.string(),
             command.options.num_train, command.options.num_test, command.options.seed);
  fmt::print("use it with --data cifar10:{}\n", command.out.string());
}

void run_fetch(FetchCommand command) {
  FetchResult result;
  {
    Progress progress(command.name);
    command.options.progress = [&progress](std::int64_t done, std::int64_t total) {
      constexpr double kMegabyte = 1e6;
      const double share = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 0.0;
      progress.update(share, fmt::format("{:.1f}/{:.1f} MB", static_cast<double>(done) / kMegabyte,
                                         static_cast<double>(total) / kMegabyte));
    };
    result = fetch_dataset(command.name, command.out, command.options);
  }
  fmt::print("{}: {}\n", result.folder.string(),
             result.already_present ? "already there" : "fetched, digest checked, unpacked");
  fmt::print("use it with --data {}:{}\n", command.name, command.out.string());
}

void add_synth(CLI::App& data) {
  CLI::App* app = data.add_subcommand(
      "synth", "Generate 32x32 colour images of 10 shapes, clean to cluttered, as CIFAR-10 files");
  const auto command = std::make_shared<SynthCommand>();
  SynthOptions& options = command->options;
  app->add_option("--out", command->out, "Folder that gets cifar-10-batches-bin")
      ->capture_default_str();
  app->add_option("--num-train", options.num_train, "Training images, a multiple of 50")
      ->capture_default_str();
  app->add_option("--num-test", options.num_test, "Test images, a multiple of 10")
      ->capture_default_str();
  app->add_option("--seed", options.seed, "The same seed gives the same files")
      ->capture_default_str();
  app->add_option("--threads", options.threads, "Threads, 0 for one a CPU")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
  app->callback([command] { run_synth(*command); });
}

void add_fetch(CLI::App& data) {
  CLI::App* app = data.add_subcommand(
      "fetch", "Download the official CIFAR archive, check its digest and unpack it");
  const auto command = std::make_shared<FetchCommand>();
  app->add_option("name", command->name, "cifar10 or cifar100")
      ->required()
      ->check(CLI::IsMember({"cifar10", "cifar100"}));
  app->add_option("--out", command->out, "Folder that gets the data set's folder")
      ->capture_default_str();
  app->add_option("--base-url", command->options.base_url, "Where the archive lies (a mirror)")
      ->capture_default_str();
  app->callback([command] { run_fetch(*command); });
}

}  // namespace

void add_data_command(CLI::App& app) {
  CLI::App* data = app.add_subcommand("data", "Generate, download or time the images to train on");
  data->require_subcommand(1);
  add_synth(*data);
  add_fetch(*data);
  add_data_bench_command(*data);
}

}  // namespace branchy
