#include "train/train_command.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "core/error.h"
#include "core/threads.h"
#include "train/interrupt.h"
#include "train/network_flags.h"
#include "train/train_options.h"
#include "train/trainer.h"

namespace branchy {

namespace {

/// Options of `branchy train` as the command line holds them.
struct TrainCommand {
  TrainOptions options;
  std::string resume;
  std::vector<std::string> network_options;  ///< KEY=VALUE, as given
  std::string exit_after;
};

void add_model_options(CLI::App& app, TrainOptions& o) {
  app.add_option("--net", o.network.name, "Network (see `branchy profile --help`)")
      ->capture_default_str();
  app.add_option("--exits", o.network.early_exits,
                 "Early exits before the final one (0: plain backbone; default: as many as the "
                 "paper of the network has)");
  app.add_option("--classes", o.network.classes, "Classes (0: as many as the data has)")
      ->capture_default_str();
  app.add_option(
      "--init", o.init,
      "Start from the weights of this safetensors file; those of others need --normalize");
  add_weight_flags(app, o.weights);
  app.add_option("--exit-weights", o.exit_weights,
                 "Loss weight of each exit, in order (eq. 5 of Dong et al.; default 0.2 0.3 0.5)");
}

void add_data_options(CLI::App& app, TrainOptions& o) {
  app.add_option("--data", o.data, "Data set: cifar10:DIR, cifar100:DIR or folder:DIR");
  app.add_option("--val", o.val,
                 "Training images held out for validation, chosen by seed (0: none; default: 5000 "
                 "of CIFAR, a tenth of a folder)");
  app.add_option("--augment", o.hyper.augment,
                 "crop-flip (padding 4), none, imagenet (random resized crop, flip) or pacheco")
      ->capture_default_str();
  app.add_flag("--shuffle,!--no-shuffle", o.shuffle,
               "Shuffle each epoch (default) or keep the order");
  app.add_option("--loader-threads", o.loader_threads,
                 "Threads that prepare batches; results do not depend on it")
      ->capture_default_str();
}

void add_photo_options(CLI::App& app, TrainOptions& o) {
  PhotoFlags& photos = o.photos;
  app.add_option("--image-size", photos.image_size,
                 "Side of the square images, for networks that take any (default: the network's "
                 "own, e.g. 224)");
  app.add_option("--split", photos.split,
                 "folder: clean, or as-published (LEAKY, of Pacheco et al.: most test images are "
                 "training images)")
      ->capture_default_str();
  app.add_option("--test-list", photos.test_list,
                 "folder: file with the paths of the test images, one a line");
  app.add_option("--cache", photos.cache, "folder: keep decoded, resized images in this folder");
  app.add_flag("--skip-corrupt", photos.skip_corrupt,
               "folder: decode all images first, count and leave out the damaged ones");
}

void add_recipe_options(CLI::App& app, TrainOptions& o) {
  RecipeOptions& h = o.hyper;
  app.add_option("--recipe", o.recipe,
                 "paper (220 epochs, Dong et al.) or fast (12 epochs); --epochs scales it, flags "
                 "override it")
      ->capture_default_str();
  app.add_option("--epochs", h.epochs, "Passes over the training images");
  app.add_option("--batch", h.batch, "Images a step");
  app.add_option("--schedule", h.schedule, "constant, cosine, one-cycle or step");
  app.add_option("--lr", h.rate, "Base (peak) learning rate");
  app.add_option("--end-lr", h.end_rate, "Rate at the end of cosine and one-cycle");
  app.add_option("--warmup-epochs", h.warmup_epochs,
                 "Linear rise to --lr (one-cycle: its rising part)");
  app.add_option("--decay-epochs", h.decay_epochs, "Epochs until --end-lr is reached (0: all)");
  app.add_option("--drop-epochs", h.drop_epochs, "step schedule: epochs at which the rate drops");
  app.add_option("--drop-factor", h.drop_factor, "step schedule: factor of each drop");
  app.add_option("--momentum", h.momentum, "Momentum of SGD");
  app.add_flag("--nesterov,!--no-nesterov", h.nesterov, "Nesterov momentum");
  app.add_option("--weight-decay", h.weight_decay, "L2 term added to the gradient");
  app.add_flag("--decay-norm-and-bias,!--spare-norm-and-bias", h.decay_norm_and_bias,
               "Weight decay on batch norm and biases too, or not");
  app.add_option("--label-smoothing", h.label_smoothing,
                 "Share of the target spread over all classes");
  app.add_option("--clip-norm", h.clip_norm, "Largest global gradient norm (0: no clipping)");
  app.add_option("--ema", h.ema_decay,
                 "Decay per step of a moving average of the weights (0: off)");
}

void add_run_options(CLI::App& app, TrainCommand& command) {
  TrainOptions& o = command.options;
  app.add_option("--out", o.out, "Run folder")->capture_default_str();
  app.add_option("--resume", command.resume,
                 "Go on with this run folder, bit for bit (same --threads)");
  app.add_option("--seed", o.seed, "Seed of weights, order, augmentation and validation split")
      ->capture_default_str();
  app.add_option("--threads", o.threads, "Compute threads (0: all CPUs)")->capture_default_str();
  app.add_option("--max-steps", o.max_steps, "Stop after this many steps (0: no limit)")
      ->capture_default_str();
  app.add_option("--patience", o.patience,
                 "Stop after this many epochs without a lower validation loss (0: never)")
      ->capture_default_str();
  app.add_option("--checkpoint-seconds", o.checkpoint_seconds,
                 "Seconds between checkpoints within an epoch")
      ->capture_default_str();
  app.add_option("--log-every", o.log_every, "Steps between lines of metrics.jsonl")
      ->capture_default_str();
}

void add_all_options(CLI::App& app, TrainCommand& command) {
  add_model_options(app, command.options);
  add_network_flags(app, command.network_options, command.exit_after);
  add_data_options(app, command.options);
  add_photo_options(app, command.options);
  add_recipe_options(app, command.options);
  add_run_options(app, command);
}

/// Takes from the recipe every value that neither a flag nor the configuration file gave.
void apply_recipe(const CLI::App& app, TrainOptions& o) {
  const RecipeOptions given = o.hyper;
  o.hyper = recipe(o.recipe);
  if (app.count("--epochs") > 0 && given.epochs > 0)
    o.hyper = scaled_to_epochs(o.hyper, given.epochs);
  const auto keep = [&](const char* flag, auto member) {
    if (app.count(flag) > 0) o.hyper.*member = given.*member;
  };
  keep("--epochs", &RecipeOptions::epochs);
  keep("--batch", &RecipeOptions::batch);
  keep("--schedule", &RecipeOptions::schedule);
  keep("--lr", &RecipeOptions::rate);
  keep("--end-lr", &RecipeOptions::end_rate);
  keep("--warmup-epochs", &RecipeOptions::warmup_epochs);
  keep("--decay-epochs", &RecipeOptions::decay_epochs);
  keep("--drop-epochs", &RecipeOptions::drop_epochs);
  keep("--drop-factor", &RecipeOptions::drop_factor);
  keep("--momentum", &RecipeOptions::momentum);
  keep("--nesterov", &RecipeOptions::nesterov);
  keep("--weight-decay", &RecipeOptions::weight_decay);
  keep("--decay-norm-and-bias", &RecipeOptions::decay_norm_and_bias);
  keep("--label-smoothing", &RecipeOptions::label_smoothing);
  keep("--clip-norm", &RecipeOptions::clip_norm);
  keep("--ema", &RecipeOptions::ema_decay);
  keep("--augment", &RecipeOptions::augment);
}

/// The options of a run folder, read back from its config.toml.
TrainOptions options_of_run(const std::filesystem::path& run) {
  const std::filesystem::path file = run / "config.toml";
  if (!std::filesystem::exists(file))
    throw IoError("[" + file.string() + "] not found; --resume wants the folder of an earlier run");
  TrainCommand command;
  CLI::App app;
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.set_config("--config", file.string());
  CLI::App* train = app.add_subcommand("train");
  add_all_options(*train, command);
  try {
    app.parse("train");
  } catch (const CLI::ParseError& error) {
    throw ConfigError("[" + file.string() + "] " + error.what());
  }
  command.options.network.options = network_options(command.network_options, command.exit_after);
  command.options.out = run;
  return command.options;
}

}  // namespace

void add_train_command(CLI::App& app) {
  CLI::App* train = app.add_subcommand("train", "Train a multi-exit network");
  const auto command = std::make_shared<TrainCommand>();
  add_all_options(*train, *command);
  train->callback([train, command] {
    TrainOptions& o = command->options;
    const bool resume = !command->resume.empty();
    const bool threads_given = train->count("--threads") > 0;
    const std::int64_t threads = o.threads;
    if (resume)
      o = options_of_run(command->resume);
    else
      apply_recipe(*train, o);
    if (!resume) o.network.options = network_options(command->network_options, command->exit_after);
    if (threads_given) o.threads = threads;
    if (threads_given && threads == 0)
      throw ConfigError("[train] --threads 0, expected 1 or more; leave it out to use all CPUs");
    if (o.threads == 0) o.threads = num_available_cpus();
    set_num_threads(o.threads);
    Trainer trainer(o, resume);
    if (trainer.run() == TrainingEnd::kInterrupted) throw CLI::RuntimeError(kInterruptedExitCode);
  });
}

}  // namespace branchy
