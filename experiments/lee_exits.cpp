#include "experiments/lee_exits.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/provenance.h"
#include "core/threads.h"
#include "experiments/lee_report.h"
#include "experiments/named_model.h"
#include "infer/model_images.h"
#include "train/checkpoint.h"
#include "train/evaluation.h"
#include "train/progress.h"
#include "train/validation.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

struct LeeExitsCommand {
  std::vector<std::string> models;  ///< NAME=RUN
  std::string data, split = "test";
  std::vector<double> thresholds{0.1, 0.3, 0.5, 0.8};  // the paper's values of T
  std::vector<std::int64_t> blocks{2, 5, 8};
  std::filesystem::path out;
  std::int64_t threads = 0;
};

/// Logits of every exit, row after row.
class LogitRows {
 public:
  void add(const ExitOutput& output) {
    const auto index = static_cast<std::size_t>(output.exit - 1);
    if (index >= rows_.size()) rows_.resize(index + 1);
    const auto values = output.logits.data();
    rows_[index].insert(rows_[index].end(), values.begin(), values.end());
    classes_ = output.logits.dim(1);
  }
  [[nodiscard]] std::vector<Tensor> tensors() const {
    std::vector<Tensor> logits;
    for (const auto& rows : rows_)
      logits.push_back(Tensor::from(Shape{std::ssize(rows) / classes_, classes_}, rows));
    return logits;
  }

 private:
  std::vector<std::vector<float>> rows_;
  std::int64_t classes_ = 1;
};

struct Measured {
  std::vector<LeeRow> rows;
  ordered_json description;
};

Measured measure(const LeeExitsCommand& c, const NamedModel& named) {
  const LoadedModel model = load_trained(named.path);
  const MultiExitNetwork& network = *model.network;
  if (!(model.info.part == network.whole()))
    throw ConfigError(
        fmt::format("[lee-exits] {} holds one side of a split; give the whole model", named.path));
  const auto images =
      open_images(model.info, network.input_shape(), {.data = c.data, .part = c.split}).images;
  LogitRows logits;
  Progress bar(named.name);
  const ExitPredictions predicted = predict_dataset(
      Plan::lower(network, network.whole(), int8_ranges(model.info)), images, model.info,
      evaluation_batch(images->image_shape()),
      {.progress =
           [&](double share) { bar.update(share, fmt::format("of {} images", images->size())); },
       .output = [&](const ExitOutput& output) { logits.add(output); }});
  LogitsCache cache;
  cache.logits = logits.tensors();
  cache.labels = predicted.labels;
  cache.costs = exit_costs(network);
  const StoredExits exits(cache, model.info.temperatures);
  return {lee_rows(named.name, network, exits, c.blocks, c.thresholds),
          {{"name", named.name},
           {"path", named.path},
           {"digest", model_digest(model)},
           {"network", network.config().name},
           {"options", network.config().options},
           {"temperatures", model.info.temperatures},
           {"data_checksum", images->checksum()}}};
}

void write_results(const LeeExitsCommand& c, const ordered_json& json, const std::string& text,
                   std::span<const LeeRow> rows) {
  std::filesystem::create_directories(c.out);
  write_file_atomically(c.out / "lee_exits.txt", text);
  write_file_atomically(c.out / "lee_exits.json", json.dump(2) + "\n");
  write_file_atomically(c.out / "lee_exits.csv", lee_csv(rows));
  write_svg(lee_plot(rows), c.out / "lee_exits.svg");
}

void run(const LeeExitsCommand& c) {
  const std::vector<NamedModel> models = named_models("lee-exits", c.models);
  for (const double threshold : c.thresholds)
    if (!(threshold > 0.0 && threshold <= 1.0))
      throw ConfigError(fmt::format(
          "[lee-exits] --threshold {}, expected 0 < T <= 1: entropy is normalised", threshold));
  set_num_threads(c.threads == 0 ? num_available_cpus() : c.threads);
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json["data"] = c.data;
  json["split"] = c.split;
  json["rule"] = "local when normalised entropy < T, strictly";
  json["convention"] = "ptflops";
  std::vector<LeeRow> rows;
  for (const NamedModel& model : models) {
    Measured measured = measure(c, model);
    json["models"].push_back(std::move(measured.description));
    rows.insert(rows.end(), measured.rows.begin(), measured.rows.end());
  }
  const std::vector<LeePrinted> printed = lee_printed();
  const std::vector<LeeTrend> trends = lee_trends(rows);
  json.update(ordered_json::parse(lee_json(rows, printed, trends)));
  const std::string text = lee_text(rows, printed, trends);
  if (!c.out.empty()) write_results(c, json, text, rows);
  fmt::print("{}", text);
}

}  // namespace

void add_lee_exits_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "lee-exits", "Local exits by normalised entropy (Lee et al. 2020) on trained networks");
  const auto command = std::make_shared<LeeExitsCommand>();
  add_named_model_option(*verb, command->models);
  verb->add_option("--data", command->data, "Data set: cifar10:DIR, cifar100:DIR or folder:DIR")
      ->required();
  verb->add_option("--split", command->split, "test, or val (held out by training)")
      ->check(CLI::IsMember({"test", "val"}))
      ->capture_default_str();
  verb->add_option("--threshold", command->thresholds, "Values of T, 0 < T <= 1")
      ->delimiter(',')
      ->capture_default_str();
  verb->add_option("--blocks", command->blocks,
                   "Blocks after which the active exit of networks with several early exits is")
      ->delimiter(',')
      ->capture_default_str();
  verb->add_option("--out", command->out,
                   "Folder for lee_exits.txt, .json, .csv and .svg (needs gnuplot)");
  verb->add_option("--threads", command->threads, "Compute threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
