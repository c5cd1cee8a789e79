#include "train/eval_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/provenance.h"
#include "core/threads.h"
#include "infer/threshold_list.h"
#include "train/evaluation.h"
#include "train/evaluation_dump.h"
#include "train/image_flags.h"
#include "train/progress.h"
#include "train/validation.h"
#include "train/weight_flags.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

struct EvalCommand {
  std::string model, predictions, logits, inputs;
  ImageFlags images;
  std::vector<std::string> thresholds;
  std::int64_t batch = 0, threads = 0;
  bool json = false;
  ForeignFlags foreign;
};

ordered_json to_json(const ThresholdReport& report, std::span<const float> thresholds) {
  ordered_json json{{"thresholds", thresholds},
                    {"accuracy", report.accuracy},
                    {"mean_device_operations", report.mean_device_operations}};
  for (std::size_t i = 0; i < report.exits.size(); ++i) {
    const ExitReport& exit = report.exits[i];
    ordered_json row{{"exit", i + 1}, {"samples", exit.samples}, {"share", exit.share}};
    row["acc_exited"] = std::isnan(exit.accuracy) ? ordered_json() : ordered_json(exit.accuracy);
    row["device_operations"] = exit.device_operations;
    json["exits"].push_back(row);
  }
  return json;
}

void print_report(const ThresholdReport& report, std::span<const float> thresholds) {
  fmt::print(
      "\nthreshold {}: accuracy {:.2f} %, mean on-device operations {:.2f} M (convention "
      "ptflops)\n",
      fmt::join(thresholds, " "), 100.0 * report.accuracy, report.mean_device_operations / 1e6);
  fmt::print("{:>6} {:>9} {:>9} {:>12} {:>16}\n", "exit", "samples", "share %", "accuracy %",
             "on-device M");
  for (std::size_t i = 0; i < report.exits.size(); ++i) {
    const ExitReport& exit = report.exits[i];
    fmt::print("{:>6} {:>9} {:>9.2f} {:>12} {:>16.2f}\n", i + 1, exit.samples, 100.0 * exit.share,
               exit.samples == 0 ? "n/a" : fmt::format("{:.2f}", 100.0 * exit.accuracy),
               static_cast<double>(exit.device_operations) / 1e6);
  }
}

/// One JSON line a sample: label, and class and confidence at every exit.
void write_predictions(const std::string& path, const ExitPredictions& data) {
  AtomicFile file(path);
  for (std::size_t i = 0; i < data.labels.size(); ++i) {
    ordered_json line{{"index", i}, {"label", data.labels[i]}};
    for (const auto& exit : data.predictions) {
      line["classes"].push_back(exit[i].label);
      line["confidences"].push_back(exit[i].confidence);
    }
    file.write(line.dump() + "\n");
  }
  file.commit();
}

std::vector<std::vector<float>> threshold_sets(const std::vector<std::string>& given,
                                               std::int64_t early_exits) {
  if (early_exits == 0 && !given.empty())
    throw ConfigError("[eval] --threshold, but the network has no early exit");
  std::vector<std::vector<float>> sets;
  sets.reserve(given.size());
  for (const std::string& text : given)
    sets.push_back(resolve_thresholds(parse_thresholds(text), early_exits));
  return sets;
}

ExitPredictions predict(const EvalCommand& c, const std::shared_ptr<const Plan>& plan,
                        const std::shared_ptr<const Dataset>& dataset, const ModelInfo& info) {
  const std::int64_t images = c.batch > 0 ? c.batch : evaluation_batch(dataset->image_shape());
  Progress bar("eval");
  EvaluationDump dump(c.logits, c.inputs);
  ExitPredictions data = predict_dataset(
      plan, dataset, info, images,
      {.progress =
           [&](double share) { bar.update(share, fmt::format("of {} images", dataset->size())); },
       .batch = [&](const Batch& batch) { dump.add(batch); },
       .output = [&](const ExitOutput& output) { dump.add(output); }});
  dump.write();
  return data;
}

void run(const EvalCommand& c) {
  set_num_threads(c.threads == 0 ? num_available_cpus() : c.threads);
  const OpenedModel opened = open_model(c.model, c.foreign, /*normalization_required=*/true);
  const LoadedModel& model = opened.model;
  if (!(model.info.part == model.network->whole()))
    throw ConfigError(
        fmt::format("[eval] {} holds one side of a split; give the run or whole model", c.model));
  const auto sets = threshold_sets(c.thresholds, model.network->num_exits() - 1);
  const auto dataset = open_flagged_images(c.images, model);
  const Int8Ranges int8 = int8_ranges(model.info);
  const auto plan = Plan::lower(*model.network, model.network->whole(), int8);
  const ExitPredictions data = predict(c, plan, dataset, model.info);
  const auto accuracy = accuracy_of_all(data);
  if (!c.predictions.empty()) write_predictions(c.predictions, data);
  ordered_json json;
  if (!c.json) {
    fmt::print("{} of {}: {} images\n", c.model, c.images.data, data.labels.size());
    if (!model.info.temperatures.empty())
      fmt::print("confidences by temperatures {:.4f}\n", fmt::join(model.info.temperatures, " "));
    if (!int8.empty())
      fmt::print("{} operations in 8 bits{}\n", int8.size(),
                 dnn::int8_is_exact() ? "" : ", computed in float32: this CPU has no VNNI");
    for (std::size_t i = 0; i < accuracy.size(); ++i)
      fmt::print("exit {}: accuracy {:.2f} % of all samples\n", i + 1, 100.0 * accuracy[i]);
  } else {
    for (const auto& [key, value] : provenance()) json[key] = value;
    json["model"] = c.model;
    json["data"] = c.images.data;
    json["data_checksum"] = dataset->checksum();
    json["split"] = c.images.split;
    json["samples"] = data.labels.size();
    json["acc_all"] = accuracy;
    if (!model.info.temperatures.empty()) json["temperatures"] = model.info.temperatures;
    if (!int8.empty()) json["int8_operations"] = dnn::int8_is_exact() ? int8.size() : 0;
  }
  for (const auto& thresholds : sets) {
    const ThresholdReport report = report_threshold(data, thresholds, *model.network);
    if (c.json)
      json["policies"].push_back(to_json(report, thresholds));
    else
      print_report(report, thresholds);
  }
  if (c.json) fmt::print("{}\n", json.dump(2));
}

}  // namespace

void add_eval_command(CLI::App& app) {
  CLI::App* eval =
      app.add_subcommand("eval", "Accuracy of every exit, and of early exits by threshold");
  const auto command = std::make_shared<EvalCommand>();
  eval->add_option("model", command->model,
                   "Run folder (its best checkpoint), model file, or weights of others (then with "
                   "--net and --normalize)")
      ->required();
  add_image_flags(*eval, command->images);
  eval->add_option(
      "--threshold", command->thresholds,
      "Maximum-probability thresholds to report: 0.9 for all early exits, 0.95,0.85 for each");
  eval->add_option(
      "--predictions", command->predictions,
      "Write class and confidence of every exit for every sample to this JSON-lines file");
  eval->add_option("--logits", command->logits,
                   "Write logits.K [N,classes] of every exit K to this safetensors file");
  eval->add_option("--inputs", command->inputs,
                   "Write the normalised images [N,3,H,W] to this safetensors file");
  add_foreign_flags(*eval, command->foreign);
  eval->add_option("--batch", command->batch,
                   "Images at a time (default: 250 of 32x32, fewer of larger ones)")
      ->check(CLI::Range(1, 1 << 16));
  eval->add_option("--threads", command->threads, "Compute threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  eval->add_flag("--json", command->json, "Print JSON instead of a table");
  eval->callback([command] { run(*command); });
}

}  // namespace branchy
