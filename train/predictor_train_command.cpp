#include "train/predictor_train_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/provenance.h"
#include "core/threads.h"
#include "infer/policies/exit_thresholds.h"
#include "infer/threshold_list.h"
#include "layers/models/exit_predictor.h"
#include "layers/network_summary.h"
#include "train/checkpoint.h"
#include "train/interrupt.h"
#include "train/predictor_data.h"
#include "train/predictor_run.h"
#include "train/progress.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

struct TrainCommand {
  std::string model, lambda, labels = "train", augment = "crop-flip";
  std::filesystem::path out;
  PredictorDataRequest data{.images = {}, .views = {.views = 0, .seed = 1}, .cache = {}};
  PredictorRunOptions run;
  std::int64_t feature_memory_mib = 2048, threads = 0;
  bool json = false;
};

[[noreturn]] void stop_interrupted(Progress& bar, const std::string& kept) {
  bar.line("interrupted; " + kept);
  throw CLI::RuntimeError(kInterruptedExitCode);
}

PredictorData open_data(const TrainCommand& c, const LoadedModel& model, Progress& bar) {
  auto data = open_predictor_data(model, c.data, [&](double share) {
    bar.update(share, "confidences of the frozen network");
    return !Interrupt::requested();
  });
  if (!data) stop_interrupted(bar, "no file was written");
  bar.line(data->description);
  return std::move(*data);
}

void report(const TrainCommand& c, const TrainedPredictor& trained, double seconds) {
  const Cost cost = whole_cost(*trained.network);
  const PredictorRecord& record = trained.record;
  if (!c.json) {
    fmt::print("{}: kind {}, {} operations (ptflops), {} parameters, trained in {:.0f} s\n",
               c.out.string(), record.kind, cost.ptflops, cost.parameters, seconds);
    fmt::print(
        "thresholds {}: {:.4f} of the views reach them; loss {:.4f} in the first epoch, {:.4f} in "
        "the last\n",
        fmt::join(record.thresholds, " "), fmt::join(trained.shares_of_ones, " "),
        trained.losses.front(), trained.losses.back());
    return;
  }
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json.update(ordered_json{{"model", c.model},
                           {"out", c.out.string()},
                           {"kind", record.kind},
                           {"labels", label_source_name(record.labels)},
                           {"thresholds", record.thresholds},
                           {"temperatures", record.temperatures},
                           {"reads_after", record.reads_after},
                           {"training", record.training},
                           {"selection", record.selection.text()},
                           {"device_digest", record.device_digest},
                           {"operations", cost.ptflops},
                           {"parameters", cost.parameters},
                           {"share_of_ones", trained.shares_of_ones},
                           {"losses", trained.losses},
                           {"seconds", seconds}});
  fmt::print("{}\n", json.dump(2));
}

void run(TrainCommand c) {
  const auto start = std::chrono::steady_clock::now();
  set_num_threads(c.threads == 0 ? num_available_cpus() : c.threads);
  LoadedModel model = load_trained(c.model);
  if (!(model.info.part == model.network->whole()))
    throw ConfigError(fmt::format(
        "[predictor] {} holds one side of a split; give the run or whole model", c.model));
  c.data.labels = c.run.labels = parse_label_source(c.labels);
  c.data.views.augmentation = parse_augmentation_name(c.augment);
  c.data.views.seed = c.run.seed;
  c.run.memory_limit = c.feature_memory_mib << 20;
  const std::int64_t early = model.network->num_exits() - 1;
  const auto thresholds = resolve_thresholds(parse_thresholds(c.lambda), early);

  Progress bar("predictor train");
  const Interrupt interrupt;
  require_predictor_fits(*model.network, c.run);
  const PredictorData data = open_data(c, model, bar);
  PredictorRun run(model, data, c.run);
  const auto trained = run.train(thresholds, [&](double share, std::string_view text) {
    bar.update(share, text);
    return !Interrupt::requested();
  });
  if (!trained) stop_interrupted(bar, c.out.string() + " was not written");
  attach_predictor(model, trained->network, trained->record);
  save_model(c.out, *model.network, model.info, model.attachments);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  report(c, *trained, elapsed.count());
}

void add_data_flags(CLI::App& app, TrainCommand& c) {
  app.add_option("--data", c.data.images.data, "Data set: cifar10:DIR, cifar100:DIR or folder:DIR")
      ->required();
  app.add_option(
         "--labels", c.labels,
         "Whose confidences give the labels: train, the images that trained the network (as "
         "published; it is too sure of them), or held-out, the validation part")
      ->check(CLI::IsMember({"train", "held-out"}))
      ->capture_default_str();
  app.add_option("--select-share", c.data.select_share,
                 "held-out: share of the validation part that is kept, by seed, to choose gamma")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--views", c.data.views.views,
                 "Augmented views of each image (0: as many as make about 80,000, 16 at most)")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  app.add_option(
         "--augment", c.augment,
         "How views are made: crop-flip (padding 4), none (then with --views 1), imagenet or "
         "pacheco")
      ->check(CLI::IsMember({"crop-flip", "none", "imagenet", "pacheco"}))
      ->capture_default_str();
  app.add_option(
      "--cache", c.data.cache,
      "Keep the frozen network's confidences in this file; where it exists they are taken "
      "from it, if model, temperatures, data, views and seed are the same");
  app.add_option("--test-list", c.data.images.test_list,
                 "folder: the test images, one path a line, for a model that recorded none");
  app.add_option("--image-cache", c.data.images.cache, "folder: keep decoded, resized images here");
  app.add_flag("--skip-corrupt", c.data.images.skip_corrupt,
               "folder: count and leave out damaged images");
}

void add_recipe_flags(CLI::App& app, TrainCommand& c) {
  app.add_option("--epochs", c.run.recipe.epochs,
                 "Passes over all views (0: as many as show about 200,000 views)")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  app.add_option("--batch", c.run.recipe.batch, "Views a step")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  app.add_option("--lr", c.run.recipe.rate, "Rate at the start of the cosine")
      ->capture_default_str();
  app.add_option("--end-lr", c.run.recipe.end_rate, "Rate at its end")->capture_default_str();
  app.add_option("--momentum", c.run.recipe.momentum, "Momentum of SGD")->capture_default_str();
  app.add_option("--weight-decay", c.run.recipe.weight_decay, "L2 term added to the gradient")
      ->capture_default_str();
  app.add_option("--seed", c.run.seed, "Seed of weights, order, views and --select-share")
      ->capture_default_str();
}

}  // namespace

void add_predictor_train_command(CLI::App& predictor) {
  CLI::App* train = predictor.add_subcommand(
      "train", "Train an exit predictor for a trained network, which stays as it is");
  const auto command = std::make_shared<TrainCommand>();
  train
      ->add_option("model", command->model,
                   "Run folder (its best checkpoint) or model file of the trained network")
      ->required();
  add_data_flags(*train, *command);
  train
      ->add_option("--kind", command->run.kind,
                   "ours, plain, fc, lenet (Dong et al., 3x32x32 images) or feature (reads a trunk "
                   "value, any network)")
      ->check(CLI::IsMember(exit_predictor_kinds()))
      ->capture_default_str();
  train->add_option("--reads-after", command->run.reads_after,
                    "feature: the trunk block whose value is read, by name, at most that of exit 1 "
                    "(the default)");
  train
      ->add_option("--lambda", command->lambda,
                   "Confidence that counts as an exit: 0.9 for all early exits, 0.95,0.85 for each")
      ->required();
  add_recipe_flags(*train, *command);
  train
      ->add_option("--out", command->out,
                   "Model file to write: the network with the predictor attached")
      ->required();
  train
      ->add_option("--feature-memory-mib", command->feature_memory_mib,
                   "feature: memory for values computed once; more are computed for each batch")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  train->add_option("--threads", command->threads, "Compute threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  train->add_flag("--json", command->json, "Print JSON instead of text");
  train->callback([command] { run(*command); });
}

}  // namespace branchy
