#include "experiments/split_agreement.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "experiments/split_agreement_run.h"
#include "infer/policies/max_probability.h"
#include "infer/policies/policy_text.h"
#include "infer/threshold_list.h"

namespace branchy {

namespace {

using nlohmann::json;

struct SplitAgreementCommand {
  std::string predictions, answers, thresholds;
  SplitAgreementOptions run;
};

/// Confidences this near to a threshold may fall on either side of it (rounding of another batch
/// size or thread count).
constexpr double kBorder = 1e-5;

/// A line of `branchy eval --predictions`: what every exit says of one image.
struct PredictionLine {
  std::vector<std::int64_t> classes;
  std::vector<float> confidences;
};

/// A line of `branchy-edge --out`.
struct AnswerLine {
  std::int64_t exit = 0, label = 0;  ///< exits count from 1
  double confidence = 0.0;
  bool degraded = false;
};

void from_json(const json& line, PredictionLine& predictions) {
  line.at("classes").get_to(predictions.classes);
  line.at("confidences").get_to(predictions.confidences);
}

void from_json(const json& line, AnswerLine& answer) {
  line.at("exit").get_to(answer.exit);
  line.at("class").get_to(answer.label);
  line.at("confidence").get_to(answer.confidence);
  line.at("degraded").get_to(answer.degraded);
}

/// One value a line. Throws DataError naming the line that is no JSON or lacks a key.
template <typename Line>
std::vector<Line> read_lines(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw IoError(fmt::format("[{}] cannot open the file; check the path", path));
  std::vector<Line> lines;
  for (std::string text; std::getline(file, text);) {
    try {
      lines.push_back(json::parse(text).get<Line>());
    } catch (const json::exception& error) {
      throw DataError(fmt::format("[{}] line {}: {}", path, lines.size() + 1, error.what()));
    }
  }
  return lines;
}

std::vector<PredictionLine> read_predictions(const std::string& path) {
  auto lines = read_lines<PredictionLine>(path);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::size_t exits = lines[i].confidences.size();
    if (exits == 0 || exits != lines[0].confidences.size() || exits != lines[i].classes.size())
      throw DataError(fmt::format(
          "[{}] line {} has {} confidences and {} classes, expected as many as line 1, {}", path,
          i + 1, exits, lines[i].classes.size(), lines[0].confidences.size()));
  }
  return lines;
}

/// Index of the exit that the thresholds, one for each early exit, choose.
std::size_t expected_exit(const PredictionLine& prediction, const std::vector<float>& thresholds) {
  for (std::size_t exit = 0; exit < thresholds.size(); ++exit)
    if (should_exit(prediction.confidences[exit], thresholds[exit])) return exit;
  return thresholds.size();
}

double distance_to_threshold(const PredictionLine& prediction,
                             const std::vector<float>& thresholds) {
  double nearest = 1.0;
  for (std::size_t exit = 0; exit < thresholds.size(); ++exit)
    nearest = std::min(nearest, std::abs(static_cast<double>(prediction.confidences[exit]) -
                                         static_cast<double>(thresholds[exit])));
  return nearest;
}

void run(const SplitAgreementCommand& c) {
  const auto predictions = read_predictions(c.predictions);
  const auto answers = read_lines<AnswerLine>(c.answers);
  if (predictions.size() != answers.size() || predictions.empty())
    throw DataError(fmt::format(
        "[split-agreement] {} predictions and {} answers; expected the same images in both",
        predictions.size(), answers.size()));
  const std::int64_t num_exits = std::ssize(predictions[0].confidences);
  const auto thresholds = resolve_thresholds(parse_thresholds(c.thresholds), num_exits - 1);
  std::size_t agree = 0, border = 0, differ = 0, degraded = 0;
  double largest = 0.0;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const std::size_t exit = expected_exit(predictions[i], thresholds);
    const std::int64_t label = predictions[i].classes[exit];
    const AnswerLine& answer = answers[i];
    if (answer.degraded) ++degraded;
    if (answer.exit == static_cast<std::int64_t>(exit) + 1 && answer.label == label) {
      ++agree;
      largest = std::max(largest, std::abs(static_cast<double>(predictions[i].confidences[exit]) -
                                           answer.confidence));
      continue;
    }
    const double distance = distance_to_threshold(predictions[i], thresholds);
    ++(distance <= kBorder ? border : differ);
    fmt::print(
        "image {}: expected exit {} class {}, got exit {} class {}; {:.2e} from a threshold\n", i,
        exit + 1, label, answer.exit, answer.label, distance);
  }
  fmt::print(
      "{} images: {} agree in exit and class, {} within {:.0e} of a threshold, {} differ, {} "
      "degraded; confidences of those that agree differ by at most {:.2e}\n",
      predictions.size(), agree, border, kBorder, differ, degraded, largest);
  if (differ + degraded > 0)
    throw DataError(
        fmt::format("[split-agreement] {} answers differ and {} are degraded, expected none; give "
                    "both sides the same model and thresholds, and let the cloud run",
                    differ, degraded));
}

}  // namespace

void add_split_agreement_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "split-agreement",
      "Compare the answers of branchy-edge and branchy-cloud, image by image, with one process: "
      "run "
      "both on a MODEL and its data, at batch 1 and with dynamic batches, or read files of branchy "
      "eval --predictions and branchy-edge --out");
  const auto command = std::make_shared<SplitAgreementCommand>();
  SplitAgreementOptions& options = command->run;
  auto* model = verb->add_option("model", options.model, "Run folder or model file to run both on");
  auto* predictions =
      verb->add_option("--predictions", command->predictions, "File of branchy eval --predictions")
          ->excludes(model);
  auto* answers = verb->add_option("--answers", command->answers, "File of branchy-edge --out");
  auto* thresholds = verb->add_option("--threshold", command->thresholds,
                                      "The thresholds that branchy-edge was given");
  predictions->needs(answers)->needs(thresholds);
  answers->needs(predictions);
  thresholds->needs(predictions);
  verb->add_option("--data", options.images.data, "Data set of the model: cifar10:DIR and the like")
      ->needs(model);
  verb->add_option("--split", options.images.split, "Part of the data set")
      ->check(CLI::IsMember({"test", "val"}))
      ->capture_default_str();
  verb->add_option("--cache", options.images.cache, "folder: keep decoded, resized images here");
  verb->add_option("--policy", options.policies, "Policies, one run each: " + policy_usage())
      ->needs(model)
      ->allow_extra_args(false);
  verb->add_option("--limit", options.limit, "Only the first images")->check(CLI::PositiveNumber);
  verb->add_option("--edges", options.edges, "Edges at the same time, with dynamic batches")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  verb->add_option("--in-flight", options.in_flight, "Images of each on the way, likewise")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  verb->add_flag("--no-codec", options.no_codec, "Send float32 though the model has a codec");
  verb->add_option("--bin", options.programs.bin,
                   "Folder of the programs (default: that of this one)");
  verb->add_option("--out", options.out, "Write the figures to this JSON file");
  verb->callback([command] {
    if (!command->predictions.empty()) return run(*command);
    if (command->run.model.empty() || command->run.images.data.empty())
      throw ConfigError(
          "[split-agreement] give MODEL with --data, or --predictions with --answers and "
          "--threshold");
    if (command->run.policies.empty()) command->run.policies = {"max-probability:0.9"};
    run_split_agreement(command->run);
  });
}

}  // namespace branchy
