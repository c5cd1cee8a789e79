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
#include "infer/measure_options.h"
#include "infer/model_images.h"
#include "infer/policies/fixed.h"
#include "infer/policies/policy_text.h"
#include "infer/policy_choice.h"
#include "infer/policy_follower.h"
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
  void finish(const EdgeEngine& engine) {
    report_.set_link(engine.link(), engine.probe_bytes());
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
  if (!options.measure.empty()) return;
  if (options.data.empty() == options.files.empty()) {
    throw ConfigError("[edge] give either --data or image files");
  }
  if (options.cloud_only && options.cloud.empty()) {
    throw ConfigError("[edge] --cloud-only needs --cloud URL");
  }
  if (options.bandwidth_mbit != 0 && !options.adapt) {
    throw ConfigError("[edge] --bandwidth-mbit is for --adapt");
  }
  if (options.adapt && options.cloud.empty()) {
    throw ConfigError("[edge] --adapt needs --cloud URL");
  }
  // Wrong usage is told before anything is loaded.
  if (!options.thresholds.empty()) (void)parse_thresholds(options.thresholds);
  if (!options.cloud.empty()) (void)parse_http_url(options.cloud);
}

bool sends_codes(const ServedModel& model, const EdgeCommandOptions& options) {
  return !options.cloud_only && !options.no_codec &&
         model.attachment(kCodecAttachment) != nullptr && model.feature_shape.has_value();
}

// A cloud that is away is no error, one that serves another model is.
void check_cloud(CloudClient& cloud, const ServedModel& model, const EdgeCommandOptions& options) {
  const Result<ModelDescription> served = cloud.describe();
  if (!served) return warn(served.failure().text + "; will try again when it is needed");
  const bool cloud_only = options.cloud_only;
  if (sends_codes(model, options)) {
    const std::string code = code_input_name(model.info.cut);
    if (std::none_of(served->inputs.begin(), served->inputs.end(),
                     [&](const TensorDescription& input) { return input.name == code; })) {
      throw ConfigError(fmt::format(
          "[cloud] its model '{}' takes no input '{}'; serve the cloud file of the same export, or "
          "give --no-codec",
          served->name, code));
    }
  }
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

EdgeEngine make_engine(const EdgeCommandOptions& options, ServedModel model, PolicyPtr policy) {
  EdgeOptions engine{.policy = std::move(policy),
                     .cloud_only = options.cloud_only,
                     .use_codec = sends_codes(model, options)};
  std::unique_ptr<CloudClient> cloud;
  // A file that holds the final exit needs nobody.
  const bool whole = model.plan->part().last_exit > model.info.config.early_exits;
  if (!options.cloud.empty() && (!whole || options.cloud_only)) {
    cloud = std::make_unique<CloudClient>(parse_http_url(options.cloud), cloud_model_for(model),
                                          std::chrono::milliseconds(options.timeout_ms));
    check_cloud(*cloud, model, options);
  }
  return {std::move(model), std::move(cloud), std::move(engine), warn};
}

// An engine, and what changes its policy from image to image.
class Edge {
 public:
  Edge(const EdgeCommandOptions& options, const ServedModel& model)
      : follower_(make_follower(options, model.info)),
        engine_(make_engine(options, model, first_policy(options, model.info))) {}

  [[nodiscard]] const ServedModel& model() const { return engine_.model(); }
  [[nodiscard]] const EdgeEngine& engine() const { return engine_; }
  /// Everything of the result but where the image came from.
  [[nodiscard]] EdgeResult classify(std::span<const std::uint8_t> pixels) {
    if (follower_) follower_->before_image(engine_);
    EdgeResult result;
    result.outcome = engine_.classify(pixels);
    result.policy = engine_.policy().text();
    result.is_adaptive = follower_.has_value();
    if (follower_) result.bits_per_second = follower_->bits_per_second();
    const std::vector<std::string>& names = model().info.class_names;
    const std::int64_t label = result.outcome.prediction.label;
    if (label < std::ssize(names)) result.class_name = names[static_cast<std::size_t>(label)];
    return result;
  }

 private:
  static std::optional<PolicyFollower> make_follower(const EdgeCommandOptions& options,
                                                     const ModelInfo& info) {
    if (!options.adapt) return std::nullopt;
    std::optional<double> bits_per_second;
    if (options.bandwidth_mbit != 0) bits_per_second = 1e6 * options.bandwidth_mbit;
    return PolicyFollower(info, bits_per_second);
  }
  PolicyPtr first_policy(const EdgeCommandOptions& options, const ModelInfo& info) const {
    if (follower_) return follower_->first();
    const PolicyWish wish{.policy = options.policy, .thresholds = options.thresholds};
    // Without a policy no early exit answers but as the last resort.
    if (options.cloud_only && options.policy.empty() && options.thresholds.empty())
      return std::make_shared<FixedPolicy>(info.config.early_exits + 1);
    return choose_policy(wish, info, warn);
  }

  std::optional<PolicyFollower> follower_;
  EdgeEngine engine_;
};

void classify_data(Edge& edge, const EdgeCommandOptions& options, const ShutdownSignal& shutdown,
                   ResultSink& sink) {
  const ServedModel& model = edge.model();
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
    EdgeResult result = edge.classify(pixels);
    result.index = index;
    result.label = dataset->label(index);
    sink.add(result);
  }
}

// Number of files that could not be read.
int classify_files(Edge& edge, const EdgeCommandOptions& options, const ShutdownSignal& shutdown,
                   ResultSink& sink) {
  const ServedModel& model = edge.model();
  int num_failed = 0;
  std::int64_t left = options.limit > 0 ? options.limit : std::ssize(options.files);
  for (const std::string& file : options.files) {
    if (left-- <= 0 || shutdown.requested()) break;
    try {
      const Clock::time_point start = Clock::now();
      const auto pixels = read_model_image(model.info, *model.image_shape, file);
      const std::chrono::duration<double, std::milli> decoded = Clock::now() - start;
      EdgeResult result = edge.classify(pixels);
      result.file = file;
      result.decode_ms = decoded.count();
      sink.add(result);
    } catch (const Error& error) {
      warn(error.what());
      ++num_failed;
    }
  }
  return num_failed;
}

void add_image_options(CLI::App& app, EdgeCommandOptions& options) {
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
}

}  // namespace

void add_edge_options(CLI::App& app, EdgeCommandOptions& options) {
  app.add_option("--model", options.model, "Model file, e.g. edge.safetensors of branchy export")
      ->required();
  app.add_option("--cloud", options.cloud, "The cloud's address, http://HOST:PORT");
  auto* policy = app.add_option("--policy", options.policy,
                                "When an image leaves, one of: " + policy_usage() +
                                    " (default: the one that `branchy policy` put into the model)");
  auto* threshold =
      app.add_option("--threshold", options.thresholds,
                     "Short for --policy max-probability:...: confidence 0..1 that lets an image "
                     "leave, one for all early exits or a comma list with one for each")
          ->excludes(policy);
  auto* adapt = app.add_flag("--adapt", options.adapt,
                             "Follow the bandwidth to the cloud: the policy that `branchy adapt` "
                             "put into the model for the bandwidth as it is between two images")
                    ->excludes(policy)
                    ->excludes(threshold);
  app.add_option("--bandwidth-mbit", options.bandwidth_mbit,
                 "With --adapt: take this bandwidth in Mbit/s instead of the estimate")
      ->check(CLI::PositiveNumber)
      ->needs(adapt);
  add_image_options(app, options);
  app.add_flag("--cloud-only", options.cloud_only,
               "Send every image to the cloud; compute here only when it is away")
      ->excludes(adapt);
  app.add_flag("--no-codec", options.no_codec,
               "Send features as float32 even if the model has a codec (to compare bytes: the part "
               "behind the cut was trained on what the codec gives back)");
  app.add_option("--timeout-ms", options.timeout_ms, "Longest wait for the cloud, for an image")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str();
  app.add_option("--out", options.out, "Write one JSON object for each image to this file");
  app.add_flag("--json", options.json, "Print the summary as JSON");
  add_measure_options(app, options.measure, options.repeat);
  app.add_option("--threads", options.threads, "Computing threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
}

int run_edge_command(const EdgeCommandOptions& options) {
  check_options(options);
  const ShutdownSignal shutdown;
  set_num_threads(options.threads > 0 ? options.threads : num_available_cpus());
  const ServedModel model = load_served_model(options.model);
  if (!options.measure.empty()) {
    write_measured_times(model, options.measure, options.repeat,
                         [&] { return shutdown.requested(); });
    return 0;
  }
  Edge edge(options, model);
  ResultSink sink(options);
  int num_failed = 0;
  if (options.data.empty()) {
    num_failed = classify_files(edge, options, shutdown, sink);
  } else {
    classify_data(edge, options, shutdown, sink);
  }
  sink.finish(edge.engine());
  if (shutdown.requested()) warn("stopped by a signal; the results so far are kept");
  return num_failed == 0 ? 0 : 1;
}

}  // namespace branchy
