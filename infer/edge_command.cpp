#include "infer/edge_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/threads.h"
#include "infer/edge_engine.h"
#include "infer/edge_report.h"
#include "infer/model_images.h"
#include "infer/shutdown_signal.h"
#include "infer/threshold_list.h"

namespace branchy {
namespace {

using Clock = std::chrono::steady_clock;

void warn(const std::string& text) { fmt::print(stderr, "branchy-edge: {}\n", text); }

// Where the results go: the report, the --out file, and for image files a line each on stdout.
class ResultSink {
 public:
  explicit ResultSink(const EdgeCommandOptions& options)
      : prints_files_(!options.files.empty()), json_(options.json) {
    if (!options.out.empty()) out_.emplace(options.out);
  }

  void add(const EdgeResult& result) {
    report_.add(result);
    if (out_) out_->write(to_json(result) + "\n");
    if (!prints_files_) return;
    const EdgeOutcome& outcome = result.outcome;
    if (json_) {
      fmt::print("{}\n", to_json(result));
    } else {
      fmt::print(
          "{}: {} ({:.1f} %), exit {} at the {}{}\n", result.file,
          result.class_name.empty() ? std::to_string(outcome.prediction.label) : result.class_name,
          100.0F * outcome.prediction.confidence, outcome.prediction.exit,
          outcome.from_cloud ? "cloud" : "edge", outcome.degraded ? ", degraded" : "");
    }
  }
  void finish() {
    if (out_) out_->commit();
    if (json_) {
      fmt::print("{}\n", report_.json());
    } else {
      fmt::print("{}", report_.table());
    }
    if (report_.num_degraded() > 0) {
      warn(fmt::format("{} of {} images were answered without the cloud that they needed",
                       report_.num_degraded(), report_.num_images()));
    }
  }

 private:
  bool prints_files_;
  bool json_;
  EdgeReport report_;
  std::optional<AtomicFile> out_;
};

void check_options(const EdgeCommandOptions& options) {
  if (options.data.empty() == options.files.empty()) {
    throw ConfigError("[edge] give either --data or image files");
  }
  if (options.cloud_only && options.cloud.empty()) {
    throw ConfigError("[edge] --cloud-only needs --cloud URL");
  }
  if (options.thresholds.empty() && !options.cloud_only) {
    throw ConfigError("[edge] no --threshold; give one, e.g. --threshold 0.9");
  }
  // Wrong usage is told before anything is loaded.
  if (!options.thresholds.empty()) (void)parse_thresholds(options.thresholds);
  if (!options.cloud.empty()) (void)parse_http_url(options.cloud);
}

// A cloud that is away is no error, one that serves another model is.
void check_cloud(CloudClient& cloud, const ServedModel& model, bool cloud_only) {
  const Result<ModelDescription> served = cloud.describe();
  if (!served) return warn(served.failure().text + "; will try again when it is needed");
  const std::string name = cloud_only ? "image" : feature_input_name(model.info.cut);
  const Shape shape = cloud_only ? *model.image_shape : model.feature_shape.value_or(Shape());
  const std::span<const std::int64_t> dims = shape.dims();
  for (const TensorDescription& input : served->inputs) {
    if (input.name != name) continue;
    if (input.shape.size() == dims.size() && !dims.empty() &&
        std::equal(dims.begin() + 1, dims.end(), input.shape.begin() + 1)) {
      return;
    }
  }
  throw ConfigError(fmt::format(
      "[cloud] its model '{}' takes no input '{}' of shape {}; serve the "
      "cloud file of the same export{}",
      served->name, name, shape.to_string(), cloud_only ? ", made without --suffix-only" : ""));
}

EdgeEngine make_engine(const EdgeCommandOptions& options) {
  ServedModel model = load_served_model(options.model);
  EdgeOptions engine;
  engine.cloud_only = options.cloud_only;
  // Without a threshold (--cloud-only) no early exit answers but as the last resort.
  engine.thresholds =
      resolve_thresholds(parse_thresholds(options.thresholds.empty() ? "1" : options.thresholds),
                         model.info.config.early_exits);
  std::unique_ptr<CloudClient> cloud;
  // A file that holds the final exit needs nobody.
  const bool whole = model.plan->part().last_exit > model.info.config.early_exits;
  if (!options.cloud.empty() && (!whole || options.cloud_only)) {
    cloud = std::make_unique<CloudClient>(parse_http_url(options.cloud), cloud_model_for(model),
                                          std::chrono::milliseconds(options.timeout_ms));
    check_cloud(*cloud, model, options.cloud_only);
  }
  return {std::move(model), std::move(cloud), std::move(engine), warn};
}

std::string class_name(const EdgeEngine& engine, std::int64_t label) {
  const std::vector<std::string>& names = engine.model().info.class_names;
  return label < std::ssize(names) ? names[static_cast<std::size_t>(label)] : std::string();
}

void classify_data(EdgeEngine& engine, const EdgeCommandOptions& options,
                   const ShutdownSignal& shutdown, ResultSink& sink) {
  const ServedModel& model = engine.model();
  const ModelImages opened = open_images(model.info, *model.image_shape,
                                         {.data = options.data,
                                          .part = options.split,
                                          .test_list = options.test_list,
                                          .cache = options.cache,
                                          .skip_corrupt = options.skip_corrupt});
  const std::shared_ptr<const Dataset>& dataset = opened.images;
  if (!opened.description.empty()) warn(opened.description);
  for (const std::string& message : opened.left_out) warn("left out: " + message);
  if (std::ssize(dataset->class_names()) != model.info.config.classes) {
    throw ConfigError(fmt::format("[data] has {} classes, the model {}",
                                  dataset->class_names().size(), model.info.config.classes));
  }
  std::int64_t count = dataset->size();
  if (options.limit > 0) count = std::min(count, options.limit);
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(dataset->image_shape().size()));
  for (std::int64_t index = 0; index < count && !shutdown.requested(); ++index) {
    dataset->read(index, pixels);
    EdgeResult result{.index = index,
                      .file = {},
                      .label = dataset->label(index),
                      .class_name = {},
                      .outcome = engine.classify(pixels)};
    result.class_name = class_name(engine, result.outcome.prediction.label);
    sink.add(result);
  }
}

// Number of files that could not be read.
int classify_files(EdgeEngine& engine, const EdgeCommandOptions& options,
                   const ShutdownSignal& shutdown, ResultSink& sink) {
  const ServedModel& model = engine.model();
  int num_failed = 0;
  std::int64_t left = options.limit > 0 ? options.limit : std::ssize(options.files);
  for (const std::string& file : options.files) {
    if (left-- <= 0 || shutdown.requested()) break;
    try {
      const Clock::time_point start = Clock::now();
      const auto pixels = read_model_image(model.info, *model.image_shape, file);
      const std::chrono::duration<double, std::milli> decoded = Clock::now() - start;
      EdgeResult result{.index = {},
                        .file = file,
                        .label = {},
                        .class_name = {},
                        .decode_ms = decoded.count(),
                        .outcome = engine.classify(pixels)};
      result.class_name = class_name(engine, result.outcome.prediction.label);
      sink.add(result);
    } catch (const Error& error) {
      warn(error.what());
      ++num_failed;
    }
  }
  return num_failed;
}

}  // namespace

void add_edge_options(CLI::App& app, EdgeCommandOptions& options) {
  app.add_option("--model", options.model, "Model file, e.g. edge.safetensors of branchy export")
      ->required();
  app.add_option("--cloud", options.cloud, "The cloud's address, http://HOST:PORT");
  app.add_option("--threshold", options.thresholds,
                 "Confidence 0..1 that lets an image leave: one for all early exits, or a comma "
                 "list with one for each; required without --cloud-only");
  app.add_option("--data", options.data,
                 "Classify a data set: cifar10:DIR, cifar100:DIR or folder:DIR");
  app.add_option("--split", options.split,
                 "Part of the data set as training split it; all: every image of a folder")
      ->check(CLI::IsMember({"test", "val", "train", "all"}))
      ->capture_default_str();
  app.add_option("--test-list", options.test_list,
                 "folder: the test images, one path a line, for a model that recorded none");
  app.add_option("--cache", options.cache, "folder: keep decoded, resized images here");
  app.add_flag("--skip-corrupt", options.skip_corrupt,
               "folder: count and leave out damaged images");
  app.add_option("IMAGE", options.files, "Classify image files (JPEG, PNG, BMP, PPM)");
  app.add_option("--limit", options.limit, "Stop after so many images")
      ->check(CLI::Range(std::int64_t{1}, INT64_MAX));
  app.add_flag("--cloud-only", options.cloud_only,
               "Send every image to the cloud; compute here only when it is away");
  app.add_option("--timeout-ms", options.timeout_ms, "Longest wait for the cloud, for an image")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str();
  app.add_option("--out", options.out, "Write one JSON object for each image to this file");
  app.add_flag("--json", options.json, "Print the summary as JSON");
  app.add_option("--threads", options.threads, "Computing threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
}

int run_edge_command(const EdgeCommandOptions& options) {
  check_options(options);
  const ShutdownSignal shutdown;
  set_num_threads(options.threads > 0 ? options.threads : num_available_cpus());
  EdgeEngine engine = make_engine(options);
  ResultSink sink(options);
  int num_failed = 0;
  if (options.data.empty()) {
    num_failed = classify_files(engine, options, shutdown, sink);
  } else {
    classify_data(engine, options, shutdown, sink);
  }
  sink.finish();
  if (shutdown.requested()) warn("stopped by a signal; the results so far are kept");
  return num_failed == 0 ? 0 : 1;
}

}  // namespace branchy
