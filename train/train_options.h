// TrainOptions: everything that determines a training run, and its form as a TOML file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/source.h"
#include "data/transform.h"
#include "layers/network.h"
#include "train/weight_flags.h"

namespace branchy {

/// The part of the options that a recipe sets; flags override single values.
struct RecipeOptions {
  std::int64_t epochs = 12;
  std::int64_t batch = 128;
  std::string schedule = "one-cycle";
  double rate = 0.1;
  double end_rate = 0.0;
  double warmup_epochs = 0.0;
  double decay_epochs = 0.0;        ///< 0: all epochs
  std::vector<double> drop_epochs;  ///< step schedule
  double drop_factor = 0.1;
  double momentum = 0.9;
  bool nesterov = false;
  double weight_decay = 5e-4;
  bool decay_norm_and_bias = true;  ///< weight decay on batch norm and biases too
  double label_smoothing = 0.0;
  double clip_norm = 0.0;
  double ema_decay = 0.0;  ///< moving average of weights, per step; 0 is off
  std::string augment = "crop-flip";
};

/// Options of photographs; see DataOptions.
struct PhotoFlags {
  std::int64_t image_size = 0;  ///< 0: the network's own; see set_image_size()
  std::string split = "clean";
  std::string test_list;
  std::string cache;
  bool skip_corrupt = false;
};

struct TrainOptions {
  NetworkConfig network{
      .name = "resnet44", .classes = 0, .early_exits = kDefaultExits};  ///< classes 0: of the data
  std::string data;  ///< "cifar10:DIR", "cifar100:DIR", "folder:DIR"
  std::filesystem::path out = "runs/train";
  std::string recipe = "fast";
  RecipeOptions hyper;
  std::vector<double> exit_weights;  ///< loss weight of each exit; empty: default_exit_weights
  std::int64_t val = -1;             ///< training images held out by seed; -1: see DataOptions
  PhotoFlags photos;                 ///< of folder:DIR, but for the image size
  std::int64_t seed = 1;
  std::int64_t threads = 0;  ///< 0: all CPUs
  std::int64_t loader_threads = 1;
  bool shuffle = true;
  std::int64_t max_steps = 0;  ///< stop after this many steps; 0: no limit
  std::int64_t patience = 0;   ///< epochs without a better validation loss; 0: never stop early
  std::string init;            ///< safetensors file with initial weights
  WeightFlags weights;         ///< how to take them in; `normalize` counts without them too
  double checkpoint_seconds = 60.0;  ///< at most this much work is lost
  std::int64_t log_every = 10;       ///< steps between lines of metrics.jsonl
};

/// "paper" (section 3.2 of the facts on Dong et al.) or "fast"; throws ConfigError otherwise.
[[nodiscard]] RecipeOptions recipe(const std::string& name);

/// The recipe squeezed or stretched to another number of epochs: warm-up, decay and drops keep
/// their place in the run.
[[nodiscard]] RecipeOptions scaled_to_epochs(RecipeOptions recipe, std::int64_t epochs);

/// "none", "crop-flip", "imagenet" or "pacheco"; throws ConfigError otherwise.
[[nodiscard]] Augmentation parse_augmentation(const std::string& name);

/// Where a run's images come from.
[[nodiscard]] DataOptions data_options(const TrainOptions& options);

/// Weights of eq. 5 of Dong et al.: 0.2 0.3 0.5 for two early exits, 0.2 0.2 0.2 0.4 for three
/// (the printed numbers are one short; these sum to 1), else equal shares.
[[nodiscard]] std::vector<double> default_exit_weights(std::int64_t num_exits);

/// Throws ConfigError naming the flag out of range.
void validate(const TrainOptions& options);

/// A TOML document with every option under [train]; `branchy train --config` reads it back.
[[nodiscard]] std::string to_toml(const TrainOptions& options);

}  // namespace branchy
