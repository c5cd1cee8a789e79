// TrainOptions: everything that determines a training run, and its form as a TOML file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/source.h"
#include "data/transform.h"
#include "layers/network.h"
#include "train/recipes.h"
#include "train/weight_flags.h"

namespace branchy {

/// Options of photographs; see DataOptions.
struct PhotoFlags {
  std::int64_t image_size = 0;  ///< 0: the network's own; see set_image_size()
  std::string split = "clean";
  std::string test_list;
  std::string cache;
  bool skip_corrupt = false;
};

/// What of the initial weights stays as it is, and how that saves work: `branchy finetune`.
struct FinetuneOptions {
  std::vector<std::string> freeze;         ///< see parse_frozen_parts()
  bool cache_features = true;              ///< of a frozen trunk, where images are not augmented
  std::int64_t feature_memory_mib = 2048;  ///< more features go to a file in the run folder
};

struct TrainOptions {
  std::string verb = "train";  ///< or "finetune": the section of its configuration file
  NetworkConfig network{
      .name = "resnet44", .classes = 0, .early_exits = kDefaultExits};  ///< classes 0: of the data
  std::string data;  ///< "cifar10:DIR", "cifar100:DIR", "folder:DIR"
  std::filesystem::path out = "runs/train";
  std::string recipe = "fast";
  RecipeOptions hyper;
  std::vector<double> exit_weights;  ///< loss weight of each exit; empty: by `hyper.weighting`
  std::int64_t val = -1;             ///< training images held out by seed; -1: see DataOptions
  PhotoFlags photos;                 ///< of folder:DIR, but for the image size
  std::int64_t seed = 1;
  std::int64_t threads = 0;  ///< 0: all CPUs
  std::int64_t loader_threads = 1;
  std::string tuning = "auto";  ///< "auto", "none" or a file of `branchy tune`
  bool shuffle = true;
  std::int64_t max_steps = 0;  ///< stop after this many steps; 0: no limit
  std::string init;            ///< run folder or safetensors file with initial weights
  WeightFlags weights;         ///< how to take them in; `normalize` counts without them too
  FinetuneOptions finetune;
  double checkpoint_seconds = 60.0;  ///< at most this much work is lost
  std::int64_t log_every = 10;       ///< steps between lines of metrics.jsonl
};

/// Where a run's images come from.
[[nodiscard]] DataOptions data_options(const TrainOptions& options);

/// Throws ConfigError naming the flag out of range.
void validate(const TrainOptions& options);

/// A TOML document with every option under [train] or [finetune]; `--config` reads it back. Throws
/// ConfigError for a text that no quotes can hold.
[[nodiscard]] std::string to_toml(const TrainOptions& options);

}  // namespace branchy
