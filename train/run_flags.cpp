#include "train/run_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "core/error.h"
#include "core/threads.h"
#include "train/config_file.h"
#include "train/interrupt.h"
#include "train/network_flags.h"
#include "train/trainer.h"

namespace branchy {

namespace {

bool is_finetune(const CLI::App& verb) { return verb.get_name() == "finetune"; }

void add_model_flags(CLI::App& verb, TrainOptions& o) {
  const bool finetune = is_finetune(verb);
  CLI::Option* net = verb.add_option(
      "--net", o.network.name,
      finetune ? "Network (see `branchy nets`; default: that of --from, where branchy wrote it)"
               : "Network (see `branchy nets`)");
  if (!finetune) net->capture_default_str();
  verb.add_option("--exits", o.network.early_exits,
                  "Early exits before the final one (0: plain backbone; default: as many as the "
                  "paper of the network has)");
  verb.add_option("--classes", o.network.classes, "Classes (0: as many as the data has)")
      ->capture_default_str();
  verb.add_option(finetune ? "--from" : "--init", o.init,
                  "Start from these weights: a run folder or safetensors file; those of others "
                  "need --net and --normalize");
  add_weight_flags(verb, o.weights);
}

void add_finetune_flags(CLI::App& verb, FinetuneOptions& f) {
  verb.add_option("--freeze", f.freeze,
                  "Keep as they are: backbone (all blocks before the final exit), until:BLOCK, "
                  "exits (the early ones), classifier (the final exit); several with commas")
      ->allow_extra_args(false)
      ->delimiter(',');
  verb.add_flag("--cache-features,!--no-cache-features", f.cache_features,
                "With --augment none, compute a frozen trunk once for each image (default)");
  verb.add_option("--feature-memory-mib", f.feature_memory_mib,
                  "Keep at most this much of a frozen trunk's values in memory; more go to a file "
                  "in the run folder")
      ->capture_default_str();
}

void add_data_flags(CLI::App& verb, TrainOptions& o) {
  verb.add_option("--data", o.data, "Data set: cifar10:DIR, cifar100:DIR or folder:DIR");
  verb.add_option("--val", o.val,
                  "Training images held out for validation, chosen by seed (0: none; default: 5000 "
                  "of CIFAR, a tenth of a folder)");
  verb.add_flag("--shuffle,!--no-shuffle", o.shuffle,
                "Shuffle each epoch (default) or keep the order");
  verb.add_option("--tuning", o.tuning,
                  "Convolution methods as measured by `branchy tune`: auto (its file, where it has "
                  "this machine), none, or a file; a resumed run keeps what it began with")
      ->capture_default_str();
  verb.add_option("--loader-threads", o.loader_threads,
                  "Threads that prepare batches; results do not depend on it")
      ->capture_default_str();
}

void add_photo_flags(CLI::App& verb, PhotoFlags& photos) {
  verb.add_option("--image-size", photos.image_size,
                  "Side of the square images, for networks that take any (default: the network's "
                  "own, e.g. 224)");
  verb.add_option("--split", photos.split,
                  "folder: clean, or as-published (LEAKY, of Pacheco et al.: most test images are "
                  "training images)")
      ->capture_default_str();
  verb.add_option("--test-list", photos.test_list,
                  "folder: file with the paths of the test images, one a line");
  verb.add_option("--cache", photos.cache, "folder: keep decoded, resized images in this folder");
  verb.add_flag("--skip-corrupt", photos.skip_corrupt,
                "folder: decode all images first, count and leave out the damaged ones");
}

/// Adds flags for values of the recipe and remembers how to keep what was given.
class RecipeFlags {
 public:
  RecipeFlags(CLI::App& verb, RunFlags& flags) : verb_(verb), flags_(flags) {}

  template <typename Access>
  void option(const std::string& name, const Access& access, const std::string& help) {
    keep(verb_.add_option(name, access(flags_.options.hyper), help), access);
  }
  template <typename Access>
  void flag(const std::string& name, const Access& access, const std::string& help) {
    keep(verb_.add_flag(name, access(flags_.options.hyper), help), access);
  }

 private:
  template <typename Access>
  void keep(const CLI::Option* option, const Access& access) {
    flags_.keep_given.emplace_back([option, access](RecipeOptions& given, RecipeOptions& to) {
      if (option->count() > 0) access(to) = access(given);
    });
  }

  CLI::App& verb_;
  RunFlags& flags_;
};

void add_rate_flags(RecipeFlags& add) {
  using R = RecipeOptions;
  add.option(
      "--schedule", [](R & r) -> auto& { return r.schedule; },
      "constant, cosine, cosine-swing (rises again, period twice --decay-epochs), one-cycle "
      "or step");
  add.option(
      "--lr", [](R & r) -> auto& { return r.rate; }, "Base (peak) learning rate");
  const auto add_group = [&](const std::string& name, const std::string& what, auto group) {
    add.option(
        "--lr-" + name, [group](R & r) -> auto& { return group(r).rate; },
        fmt::format("Base rate of the {} (0: --lr); the schedule scales it alike", what));
    add.option(
        "--weight-decay-" + name, [group](R & r) -> auto& { return group(r).weight_decay; },
        fmt::format("Weight decay of the {} (below 0: --weight-decay)", what));
  };
  add_group(
      "backbone", "trunk", [](R & r) -> auto& { return r.backbone; });
  add_group(
      "exits", "early exits", [](R & r) -> auto& { return r.exits; });
  add_group(
      "classifier", "final exit", [](R & r) -> auto& { return r.classifier; });
  add.option(
      "--end-lr", [](R & r) -> auto& { return r.end_rate; },
      "Rate at the end of cosine and one-cycle");
  add.option(
      "--warmup-epochs", [](R & r) -> auto& { return r.warmup_epochs; },
      "Linear rise to --lr (one-cycle: its rising part)");
  add.option(
      "--decay-epochs", [](R & r) -> auto& { return r.decay_epochs; },
      "Epochs until --end-lr is reached (0: all)");
  add.option(
      "--drop-epochs", [](R & r) -> auto& { return r.drop_epochs; },
      "step schedule: epochs at which the rate drops");
  add.option(
      "--drop-factor", [](R & r) -> auto& { return r.drop_factor; },
      "step schedule: factor of each drop");
  add.flag(
      "--rate-by-epoch,!--rate-by-step", [](R & r) -> auto& { return r.rate_by_epoch; },
      "Change the rate between epochs alone, or at each step");
}

void add_recipe_flags(CLI::App& verb, RunFlags& flags) {
  using R = RecipeOptions;
  verb.add_option("--recipe", flags.options.recipe,
                  is_finetune(verb)
                      ? "pacheco (Pacheco et al.: Adam until validation stops improving) or fast "
                        "(12 epochs of AdamW); --epochs scales it, flags override it"
                      : "paper (220 epochs, Dong et al.) or fast (12 epochs); --epochs scales it, "
                        "flags override it")
      ->capture_default_str();
  RecipeFlags add(verb, flags);
  add.option(
      "--epochs", [](R & r) -> auto& { return r.epochs; }, "Passes over the training images");
  add.option(
      "--batch", [](R & r) -> auto& { return r.batch; }, "Images a step");
  add.option(
      "--optimizer", [](R & r) -> auto& { return r.optimizer; }, "sgd, adam or adamw");
  add_rate_flags(add);
  add.option(
      "--momentum", [](R & r) -> auto& { return r.momentum; }, "Momentum of SGD");
  add.flag(
      "--nesterov,!--no-nesterov", [](R & r) -> auto& { return r.nesterov; }, "Nesterov momentum");
  add.option(
      "--beta1", [](R & r) -> auto& { return r.beta1; }, "Adam: decay of the mean gradient");
  add.option(
      "--beta2", [](R & r) -> auto& { return r.beta2; },
      "Adam: decay of the mean squared gradient");
  add.option(
      "--epsilon", [](R & r) -> auto& { return r.epsilon; }, "Adam: added to the root of it");
  add.option(
      "--weight-decay", [](R & r) -> auto& { return r.weight_decay; },
      "L2 term added to the gradient; adamw: share of the weights taken off, times the rate");
  add.flag(
      "--decay-norm-and-bias,!--spare-norm-and-bias",
      [](R & r) -> auto& { return r.decay_norm_and_bias; },
      "Weight decay on batch norm and biases too, or not");
  add.option(
      "--label-smoothing", [](R & r) -> auto& { return r.label_smoothing; },
      "Share of the target spread over all classes");
  add.option(
      "--clip-norm", [](R & r) -> auto& { return r.clip_norm; },
      "Largest global gradient norm (0: no clipping)");
  add.option(
      "--ema", [](R & r) -> auto& { return r.ema_decay; },
      "Decay per step of a moving average of the weights (0: off)");
  add.option(
      "--augment", [](R & r) -> auto& { return r.augment; },
      "crop-flip (padding 4), none, imagenet (random resized crop, flip), pacheco, or auto: "
      "imagenet for photographs, else crop-flip");
  add.option(
      "--weighting", [](R & r) -> auto& { return r.weighting; },
      "Loss weights of the exits: dong (eq. 5: 0.2 0.3 0.5), pacheco (0.15 rising to 1) or "
      "ones");
  add.option(
      "--distill", [](R & r) -> auto& { return r.distill; },
      "Self-distillation: the early exits' losses are this share KL divergence from the last "
      "exit's softened answers, the rest cross-entropy (0: off)");
  add.option(
      "--distill-temperature", [](R & r) -> auto& { return r.distill_temperature; },
      "Temperature that softens both sides of --distill");
  add.option(
      "--patience", [](R & r) -> auto& { return r.patience; },
      "Stop after this many epochs without a lower validation loss (0: never)");
}

void add_folder_flags(CLI::App& verb, RunFlags& flags) {
  TrainOptions& o = flags.options;
  verb.add_option("--exit-weights", o.exit_weights,
                  "Loss weight of each exit, in order, in place of --weighting");
  verb.add_option("--out", o.out, "Run folder")->capture_default_str();
  verb.add_option("--resume", flags.resume,
                  "Go on with this run folder by its config.toml, bit for bit; beside it only "
                  "--threads and --profile may be given");
  verb.add_option("--seed", o.seed, "Seed of weights, order, augmentation and validation split")
      ->capture_default_str();
  verb.add_option("--threads", o.threads,
                  "Compute threads (default: all CPUs; with --resume: as before, which the bits "
                  "depend on)");
  verb.add_option("--max-steps", o.max_steps, "Stop after this many steps (0: no limit)")
      ->capture_default_str();
  verb.add_option("--checkpoint-seconds", o.checkpoint_seconds,
                  "Seconds between checkpoints within an epoch")
      ->capture_default_str();
  verb.add_option("--profile", flags.profile,
                  "After three steps profile this many: print where their time goes, by kind of "
                  "work and by layer, and write it to profile.json in the run folder (0: off)")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  verb.add_option("--log-every", o.log_every, "Steps between lines of metrics.jsonl")
      ->capture_default_str();
}

/// Takes from the recipe every value that neither a flag nor the configuration file gave.
void apply_recipe(const CLI::App& verb, RunFlags& flags) {
  TrainOptions& o = flags.options;
  RecipeOptions given = o.hyper;
  o.hyper = is_finetune(verb) ? finetune_recipe(o.recipe) : recipe(o.recipe);
  if (verb.count("--epochs") > 0 && given.epochs > 0)
    o.hyper = scaled_to_epochs(o.hyper, given.epochs);
  for (const auto& keep : flags.keep_given) keep(given, o.hyper);
  if (o.hyper.augment == "auto")
    o.hyper.augment = o.data.starts_with("folder:") ? "imagenet" : "crop-flip";
}

/// The options of a run folder, read back from its config.toml.
TrainOptions options_of_run(const std::string& verb, const std::filesystem::path& run) {
  const std::filesystem::path file = run / "config.toml";
  if (!std::filesystem::exists(file))
    throw IoError("[" + file.string() + "] not found; --resume wants the folder of an earlier run");
  RunFlags flags;
  CLI::App app;
  add_config_file(app, file.string(), "");
  add_run_flags(*app.add_subcommand(verb), flags);
  try {
    app.parse(verb);
  } catch (const CLI::ParseError& error) {
    throw ConfigError(
        fmt::format("[{}] {}; is it a run of branchy {}?", file.string(), error.what(), verb));
  }
  flags.options.network.options = network_options(flags.network_options, flags.exit_after);
  flags.options.out = run;
  return flags.options;
}

/// A run goes on as it began, but for its threads.
void refuse_other_flags(const CLI::App& verb, const std::string& run) {
  for (const CLI::Option* option : verb.get_options())
    if (option->count() > 0 && option->get_name() != "--resume" &&
        option->get_name() != "--threads" && option->get_name() != "--profile")
      throw ConfigError(
          fmt::format("[{}] --resume goes on with the options in {}/config.toml; leave out {}",
                      verb.get_name(), run, option->get_name()));
}

TrainOptions options_of_flags(const CLI::App& verb, RunFlags& flags) {
  TrainOptions& o = flags.options;
  o.network.options = network_options(flags.network_options, flags.exit_after);
  apply_recipe(verb, flags);
  if (is_finetune(verb) && o.init.empty())
    throw ConfigError("[finetune] no weights; give --from with a run folder or safetensors file");
  return o;
}

}  // namespace

void add_run_flags(CLI::App& verb, RunFlags& flags) {
  flags.options.verb = verb.get_name();
  if (is_finetune(verb)) flags.options.network.name.clear();
  add_model_flags(verb, flags.options);
  add_network_flags(verb, flags.network_options, flags.exit_after);
  if (is_finetune(verb)) add_finetune_flags(verb, flags.options.finetune);
  add_data_flags(verb, flags.options);
  add_photo_flags(verb, flags.options.photos);
  add_recipe_flags(verb, flags);
  add_folder_flags(verb, flags);
}

void run_training(const CLI::App& verb, RunFlags& flags) {
  const bool resume = !flags.resume.empty();
  if (resume) refuse_other_flags(verb, flags.resume);
  const bool threads_given = verb.count("--threads") > 0;
  const std::int64_t threads = flags.options.threads;
  TrainOptions o =
      resume ? options_of_run(verb.get_name(), flags.resume) : options_of_flags(verb, flags);
  if (threads_given) o.threads = threads;
  if (threads_given && threads == 0)
    throw ConfigError(fmt::format(
        "[{}] --threads 0, expected 1 or more; leave it out to use all CPUs", verb.get_name()));
  if (o.threads == 0) o.threads = num_available_cpus();
  set_num_threads(o.threads);
  Trainer trainer(o, resume);
  if (flags.profile > 0) trainer.profile(flags.profile);
  if (trainer.run() == TrainingEnd::kInterrupted) throw CLI::RuntimeError(kInterruptedExitCode);
}

}  // namespace branchy
