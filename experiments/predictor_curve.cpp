#include "experiments/predictor_curve.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/threads.h"
#include "experiments/predictor_curve_result.h"
#include "layers/models/exit_predictor.h"
#include "layers/network_summary.h"
#include "train/checkpoint.h"
#include "train/interrupt.h"
#include "train/out_folder.h"
#include "train/predictor_run.h"
#include "train/predictor_set.h"
#include "train/progress.h"

namespace branchy {

namespace {

namespace fs = std::filesystem;

struct CurveCommand {
  std::string model;
  ImageRequest images;
  fs::path select_logits, test_logits, work, out;
  std::vector<std::string> kinds = exit_predictor_kinds(), labels{"train", "held-out"}, extra;
  std::vector<float> lambdas{0.5F, 0.6F, 0.7F, 0.8F, 0.9F, 0.95F, 0.99F};
  std::vector<float> reference_lambdas = lambdas;
  std::string reads_after;
  std::int64_t views_train = 0, views_held_out = 0, epochs_train = 0, epochs_held_out = 0;
  double select_share = 0.2, max_growth = kGammaGrowth;
  std::int64_t seed = 1, threads = 0, feature_memory_mib = 2048;
};

/// Thrown at the first Ctrl-C; what is finished lies in --work.
[[noreturn]] void stop(Progress& bar) {
  bar.line("interrupted; the same command goes on with what is in --work");
  throw CLI::RuntimeError(kInterruptedExitCode);
}

/// Everything that the points share.
class CurveRun {
 public:
  explicit CurveRun(const CurveCommand& command)
      : c_(command), model_(load_trained(command.model)), bar_("predictor-curve") {
    early_ = model_.network->num_exits() - 1;
    for (const std::string& kind : c_.kinds) require_predictor_fits(*model_.network, options(kind));
    curve_.model = c_.model;
    curve_.data = c_.images.data;
    curve_.max_growth = c_.max_growth;
  }

  PredictorCurve run() {
    make_out_folder(c_.work);
    make_out_folder(c_.out);
    selection_ = open("val", c_.select_logits);
    test_ = open("test", c_.test_logits);
    add_references();
    for (const std::string& labels : c_.labels) add_predictors(labels);
    return std::move(curve_);
  }

 private:
  [[nodiscard]] PredictorRunOptions options(const std::string& kind) const {
    PredictorRunOptions options;
    options.kind = kind;
    if (kind == kFeaturePredictor) options.reads_after = c_.reads_after;
    options.seed = static_cast<std::uint64_t>(c_.seed);
    options.memory_limit = c_.feature_memory_mib << 20;
    return options;
  }

  bool show(double share, std::string_view text) {
    bar_.update(share, text);
    return !Interrupt::requested();
  }

  PredictorSet open(const std::string& part, const fs::path& logits) {
    ImageRequest request = c_.images;
    request.part = part;
    auto set = open_predictor_set(model_, request, logits,
                                  [&](double share) { return show(share, part + " images"); });
    if (!set) stop(bar_);
    return std::move(*set);
  }

  [[nodiscard]] std::vector<float> thresholds(float lambda) const {
    return std::vector<float>(static_cast<std::size_t>(early_), lambda);
  }

  /// Early exits and oracle of the network, and early exits of the others.
  void add_references() {
    const StoredExits exits = test_.stored(model_);
    CurveReference plain{.name = "EE", .lambdas = c_.reference_lambdas, .outcomes = {}};
    CurveReference oracle{.name = "EE+oracle", .lambdas = c_.reference_lambdas, .outcomes = {}};
    for (const float lambda : c_.reference_lambdas) {
      plain.outcomes.push_back(outcome_of(exits, plain_policy(thresholds(lambda))));
      oracle.outcomes.push_back(outcome_of(exits, oracle_policy(thresholds(lambda))));
    }
    curve_.references = {std::move(plain), std::move(oracle)};
    for (const std::string& text : c_.extra) {
      const std::size_t equals = text.find('=');
      if (equals == 0 || equals == std::string::npos)
        throw ConfigError(fmt::format("[predictor-curve] --extra '{}', expected NAME=FILE", text));
      const LogitsCache cache = load_logits(text.substr(equals + 1));
      if (cache.num_exits() != early_ + 1)
        throw ConfigError(fmt::format("[predictor-curve] --extra {} has {} exits, the model {}",
                                      text, cache.num_exits(), early_ + 1));
      const StoredExits other(cache, cache.temperatures);
      CurveReference reference{
          .name = text.substr(0, equals), .lambdas = c_.reference_lambdas, .outcomes = {}};
      for (const float lambda : c_.reference_lambdas)
        reference.outcomes.push_back(outcome_of(other, plain_policy(thresholds(lambda))));
      curve_.references.push_back(std::move(reference));
    }
  }

  void add_predictors(const std::string& labels) {
    const bool held_out = parse_label_source(labels) == LabelSource::kHeldOut;
    PredictorDataRequest request{
        .images = c_.images,
        .labels = parse_label_source(labels),
        .views = {.views = held_out ? c_.views_held_out : c_.views_train,
                  .seed = static_cast<std::uint64_t>(c_.seed)},
        .select_share = c_.select_share,
        .cache = c_.work / fmt::format("confidences-{}.safetensors", labels)};
    const auto data = open_predictor_data(model_, request, [&](double share) {
      return show(share, "confidences on " + labels + " images");
    });
    if (!data) stop(bar_);
    bar_.line(data->description);
    for (const std::string& kind : c_.kinds) {
      PredictorRunOptions run_options = options(kind);
      run_options.labels = request.labels;
      run_options.recipe.epochs = held_out ? c_.epochs_held_out : c_.epochs_train;
      PredictorRun run(model_, *data, run_options);
      for (const float lambda : c_.lambdas) add_point(run, kind, labels, lambda);
    }
  }

  /// The model with a predictor, from --work if it was trained alike, else trained.
  void attach(PredictorRun& run, const std::string& kind, const std::string& labels, float lambda) {
    const fs::path file = c_.work / fmt::format("{}-{}-{}.safetensors", kind, labels, lambda);
    if (fs::exists(file)) {
      LoadedModel kept = load_model(file);
      const PredictorRecord record = read_predictor_record(kept, file.string());
      if (record.training == run.description() && record.thresholds == thresholds(lambda)) {
        model_.attachments = std::move(kept.attachments);
        model_.info.records = kept.info.records;
        return;
      }
    }
    const auto trained = run.train(thresholds(lambda), [&](double share, std::string_view text) {
      return show(share, fmt::format("{} {} {}: {}", labels, kind, lambda, text));
    });
    if (!trained) stop(bar_);
    attach_predictor(model_, trained->network, trained->record);
    save_model(file, *model_.network, model_.info, model_.attachments);
  }

  void add_point(PredictorRun& run, const std::string& kind, const std::string& labels,
                 float lambda) {
    attach(run, kind, labels, lambda);
    const PredictorRecord record = read_predictor_record(model_, c_.model);
    for (PredictorSet* set : {&selection_, &test_})
      if (!add_scores(*set, model_, [&](double share) { return show(share, "scores"); }))
        stop(bar_);
    const auto positions = record.selection.positions(selection_.images->size());
    const StoredExits selection = selection_.stored(model_, positions);
    const auto gamma =
        choose_gamma(predicted_exits(selection, record.thresholds), c_.max_growth).gamma;
    const Attachment& predictor = model_.attachments.at(std::string(kPredictorAttachment));
    curve_.predictors.push_back(
        {.kind = kind,
         .labels = labels,
         .lambda = lambda,
         .operations = whole_cost(*predictor.network).ptflops,
         .training = record.training,
         .gamma = gamma,
         .selection = evaluate_predictor(selection, record.thresholds, gamma),
         .test = evaluate_predictor(test_.stored(model_), record.thresholds, gamma)});
    const PredictorEvaluation& test = curve_.predictors.back().test;
    bar_.line(
        fmt::format("{} {} {}: saves {:.2f} % on test, {:+.2f} points of accuracy, {:+.2f} at "
                    "the last exit",
                    labels, kind, lambda, 100.0 * test.saved(), 100.0 * test.accuracy_gain(),
                    100.0 * test.growth()));
  }

  const CurveCommand& c_;
  LoadedModel model_;
  Progress bar_;
  const Interrupt interrupt_;
  std::int64_t early_ = 0;
  PredictorSet selection_, test_;
  PredictorCurve curve_;
};

void run(const CurveCommand& c) {
  set_num_threads(c.threads == 0 ? num_available_cpus() : c.threads);
  const PredictorCurve curve = CurveRun(c).run();
  write_curve(curve, c.out);
  fmt::print("{}", to_text(curve));
}

void add_training_flags(CLI::App& verb, CurveCommand& c) {
  verb.add_option(
          "--views-train", c.views_train,
          "Augmented views of each training image (0: as many as make about 80,000, 16 at most)")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  verb.add_option("--views-held-out", c.views_held_out, "The same of each held-out image")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  verb.add_option("--epochs-train", c.epochs_train,
                  "Passes over the views (0: as many as show about 200,000)")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  verb.add_option("--epochs-held-out", c.epochs_held_out, "The same for held-out images")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str();
  verb.add_option("--select-share", c.select_share,
                  "held-out: share of the validation part that chooses gamma")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb.add_option("--reads-after", c.reads_after, "feature: trunk block whose value is read");
  verb.add_option("--seed", c.seed, "Seed of views, weights, order and split")
      ->check(CLI::Range(std::int64_t{0}, INT64_MAX))
      ->capture_default_str();
  verb.add_option("--feature-memory-mib", c.feature_memory_mib,
                  "feature: memory for values computed once")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
}

}  // namespace

void add_predictor_curve_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "predictor-curve",
      "Fig. 7 of Dong et al.: accuracy over on-device operations with and without Exit Predictors");
  const auto command = std::make_shared<CurveCommand>();
  verb->add_option("model", command->model, "Trained network: run folder or model file")
      ->required();
  verb->add_option("--data", command->images.data,
                   "Data set: cifar10:DIR, cifar100:DIR or folder:DIR")
      ->required();
  verb->add_option("--kinds", command->kinds, "Predictors, separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember(exit_predictor_kinds()))
      ->capture_default_str();
  verb->add_option("--labels", command->labels, "train, held-out or both")
      ->delimiter(',')
      ->check(CLI::IsMember({"train", "held-out"}))
      ->capture_default_str();
  verb->add_option("--lambdas", command->lambdas, "Thresholds, the same for all early exits")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb->add_option("--reference-lambdas", command->reference_lambdas,
                   "Those of the curves without a predictor")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  add_training_flags(*verb, *command);
  verb->add_option("--max-growth", command->max_growth,
                   "Growth of the last exit's share that gamma stays below on the selection images")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb->add_option("--select-logits", command->select_logits,
                   "File of `branchy infer-all --split val`, to save running the network");
  verb->add_option("--test-logits", command->test_logits, "The same for the test images");
  verb->add_option(
      "--extra", command->extra,
      "NAME=FILE: early exits of another network, such as a pruned one, by its file of "
      "`branchy infer-all` on the test images");
  verb->add_option("--work", command->work,
                   "Folder of predictors and caches, reused where they fit")
      ->required();
  verb->add_option("--out", command->out, "Folder for curve.txt, .csv, .json and .svg")->required();
  verb->add_option("--image-cache", command->images.cache, "folder: keep decoded images here");
  verb->add_option("--test-list", command->images.test_list,
                   "folder: the test images, for a model that recorded none");
  verb->add_option("--threads", command->threads, "Compute threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
