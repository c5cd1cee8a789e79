#include "train/predictor_eval_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "core/provenance.h"
#include "core/threads.h"
#include "infer/policies/exit_thresholds.h"
#include "infer/policies/policy_record.h"
#include "infer/threshold_list.h"
#include "train/checkpoint.h"
#include "train/interrupt.h"
#include "train/predictor_evaluation.h"
#include "train/predictor_record.h"
#include "train/predictor_set.h"
#include "train/progress.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

struct EvalCommand {
  std::string model, lambda, gamma, select_on = "val", split = "test";
  ImageRequest images;
  std::filesystem::path select_logits, logits, out;
  double max_growth = kGammaGrowth;
  std::int64_t threads = 0;
  bool json = false;
};

/// What the predictor does to one set of images.
struct Judged {
  std::string name;
  PredictorEvaluation evaluation;
};

/// Of --lambda and --gamma; one for all early exits or one for each.
std::vector<float> values_of(const std::string& flag, const std::string& text, std::int64_t early) {
  try {
    return resolve_thresholds(parse_thresholds(text), early);
  } catch (const ConfigError&) {
    throw ConfigError(fmt::format(
        "[predictor] {} '{:.40}', expected numbers within 0..1, one for all {} early exits or one "
        "for each",
        flag, text, early));
  }
}

void check_thresholds(const EvalCommand& c, const PredictorRecord& record) {
  if (c.lambda.empty()) return;
  const auto given = values_of("--lambda", c.lambda, std::ssize(record.thresholds));
  if (given != record.thresholds)
    throw ConfigError(fmt::format(
        "[predictor] --lambda {}, but the predictor in {} was trained for {}; train one for the "
        "others",
        fmt::join(given, ","), c.model, fmt::join(record.thresholds, ",")));
}

void print(const Judged& judged) {
  const PredictorEvaluation& e = judged.evaluation;
  fmt::print("\n{}: {} images\n{:>6} {:>10} {:>10} {:>10} {:>8}\n", judged.name, e.samples, "exit",
             "ones %", "BCE", "accuracy %", "AUROC");
  for (std::size_t i = 0; i < e.quality.size(); ++i)
    fmt::print("{:>6} {:>10.2f} {:>10.4f} {:>10.2f} {:>8}\n", i + 1,
               100.0 * e.quality[i].share_of_ones, e.quality[i].cross_entropy,
               100.0 * e.quality[i].accuracy,
               std::isnan(e.quality[i].auroc) ? "n/a" : fmt::format("{:.4f}", e.quality[i].auroc));
  fmt::print("{:<44} {:>10} {:>12} {:>12}\n", "policy", "accuracy %", "last exit %", "on-device M");
  for (const PolicyOutcome* outcome : {&e.without, &e.with, &e.oracle})
    fmt::print("{:<44} {:>10.2f} {:>12.2f} {:>12.3f}\n", outcome->policy, 100.0 * outcome->accuracy,
               100.0 * outcome->last_share, outcome->device_operations / 1e6);
  fmt::print(
      "the predictor saves {:.2f} % of the on-device operations (ptflops), with {:+.2f} points of "
      "accuracy and {:+.2f} points at the last exit\n",
      100.0 * e.saved(), 100.0 * e.accuracy_gain(), 100.0 * e.growth());
}

/// Opens a part of the data with the predictor's scores.
PredictorSet open_set(const EvalCommand& c, const LoadedModel& model, const std::string& part,
                      const std::filesystem::path& logits, Progress& bar) {
  ImageRequest request = c.images;
  request.part = part;
  const auto go_on = [&](double share) {
    bar.update(share, fmt::format("{} images", part));
    return !Interrupt::requested();
  };
  auto set = open_predictor_set(model, request, logits, go_on);
  if (set && (logits.empty() || add_scores(*set, model, go_on))) return std::move(*set);
  bar.line("interrupted; no file was written");
  throw CLI::RuntimeError(kInterruptedExitCode);
}

void report(const EvalCommand& c, const PredictorRecord& record,
            const std::vector<Judged>& judged) {
  if (!c.json) {
    fmt::print("{}: kind {}, labels {}, thresholds {}, gamma {} ({})\n", c.model, record.kind,
               label_source_name(record.labels), fmt::join(record.thresholds, " "),
               fmt::join(record.gamma, " "),
               c.gamma.empty() ? fmt::format("growth below {} points on {}", 100.0 * c.max_growth,
                                             record.selected_on)
                               : "as given");
    for (const Judged& one : judged) print(one);
    return;
  }
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json.update(ordered_json{{"model", c.model},
                           {"data", c.images.data},
                           {"kind", record.kind},
                           {"labels", label_source_name(record.labels)},
                           {"thresholds", record.thresholds},
                           {"gamma", record.gamma},
                           {"selected_on", record.selected_on},
                           {"max_growth", c.max_growth}});
  for (const Judged& one : judged) {
    ordered_json set{{"images", one.name}};
    set.update(ordered_json::parse(to_json(one.evaluation)));
    json["sets"].push_back(std::move(set));
  }
  fmt::print("{}\n", json.dump(2));
}

void run(const EvalCommand& c) {
  set_num_threads(c.threads == 0 ? num_available_cpus() : c.threads);
  LoadedModel model = load_trained(c.model);
  if (!(model.info.part == model.network->whole()))
    throw ConfigError(fmt::format(
        "[predictor] {} holds one side of a split; give the run or whole model", c.model));
  PredictorRecord record = read_predictor_record(model, c.model);
  check_thresholds(c, record);
  const std::vector<float>& thresholds = record.thresholds;
  if (!c.gamma.empty()) record.gamma = values_of("--gamma", c.gamma, std::ssize(thresholds));

  Progress bar("predictor eval");
  const Interrupt interrupt;
  std::vector<Judged> judged;
  std::string data_checksum;
  if (c.gamma.empty()) {
    const PredictorSet set = open_set(c, model, c.select_on, c.select_logits, bar);
    data_checksum = set.images->checksum();
    const bool all = c.select_on == "test" || record.selection.count == 0;
    const StoredExits exits = set.stored(
        model,
        all ? std::nullopt : std::optional(record.selection.positions(set.logits.num_samples())));
    record.gamma = choose_gamma(predicted_exits(exits, thresholds), c.max_growth).gamma;
    record.selected_on = c.select_on;
    judged.push_back({fmt::format("selection ({})", c.select_on),
                      evaluate_predictor(exits, thresholds, record.gamma)});
  } else {
    record.selected_on = "given";
  }
  if (!c.gamma.empty() || c.split != c.select_on) {
    const PredictorSet set = open_set(c, model, c.split, c.logits, bar);
    judged.push_back({c.split, evaluate_predictor(set.stored(model), thresholds, record.gamma)});
  }
  if (!c.out.empty()) {
    put_record(model.info, record);
    write_policy_record(model.info, {.text = judged.front().evaluation.with.policy,
                                     .choice = c.gamma.empty() ? "2-point rule" : "given",
                                     .select_on = record.selected_on,
                                     .data_checksum = data_checksum,
                                     .cache_digest = "",
                                     .temperatures = model.info.temperatures});
    save_model(c.out, *model.network, model.info, model.attachments);
  }
  report(c, record, judged);
}

}  // namespace

void add_predictor_eval_command(CLI::App& predictor) {
  CLI::App* eval = predictor.add_subcommand(
      "eval",
      "Judge the predictor of a model: its scores, gamma by the 2-point rule, what it saves");
  const auto command = std::make_shared<EvalCommand>();
  eval->add_option("model", command->model,
                   "Model file with a predictor, of `branchy predictor train`")
      ->required();
  eval->add_option("--data", command->images.data,
                   "Data set: cifar10:DIR, cifar100:DIR or folder:DIR")
      ->required();
  eval->add_option("--split", command->split, "What to judge on: test, val or train")
      ->check(CLI::IsMember({"test", "val", "train"}))
      ->capture_default_str();
  eval->add_option("--select-on", command->select_on,
                   "What chooses gamma: val (without the images that gave held-out labels) or test")
      ->check(CLI::IsMember({"val", "test"}))
      ->capture_default_str();
  eval->add_option("--gamma", command->gamma,
                   "Take these instead of choosing: one for all early exits, or one for each");
  eval->add_option(
          "--max-growth", command->max_growth,
          "Gamma keeps the growth of the last exit's share below this on --select-on; less "
          "than the rule's 2 points leaves room for new images")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  eval->add_option("--lambda", command->lambda,
                   "The thresholds to be used; refused when they are not the predictor's");
  eval->add_option("--logits", command->logits,
                   "File of `branchy infer-all` for --split, to save running the network");
  eval->add_option("--select-logits", command->select_logits, "The same for --select-on");
  eval->add_option("--test-list", command->images.test_list,
                   "folder: the test images, one path a line, for a model that recorded none");
  eval->add_option("--image-cache", command->images.cache,
                   "folder: keep decoded, resized images here");
  eval->add_flag("--skip-corrupt", command->images.skip_corrupt,
                 "folder: count and leave out damaged images");
  eval->add_option("--out", command->out,
                   "Write the model with gamma and the policy recorded to this file");
  eval->add_option("--threads", command->threads, "Compute threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  eval->add_flag("--json", command->json, "Print JSON instead of tables");
  eval->callback([command] { run(*command); });
}

}  // namespace branchy
