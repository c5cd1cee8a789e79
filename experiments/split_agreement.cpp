#include "experiments/split_agreement.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/error.h"
#include "infer/policies/max_probability.h"
#include "infer/threshold_list.h"

namespace branchy {

namespace {

using nlohmann::json;

struct SplitAgreementCommand {
  std::string predictions, answers, thresholds;
};

/// Confidences this near to a threshold may fall on either side of it (rounding of another batch
/// size or thread count).
constexpr double kBorder = 1e-5;

std::vector<json> read_lines(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw IoError(fmt::format("[{}] cannot open the file; check the path", path));
  std::vector<json> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(json::parse(line, nullptr, /*allow_exceptions=*/false));
    if (!lines.back().is_object())
      throw DataError(fmt::format("[{}] line {} is no JSON object", path, lines.size()));
  }
  return lines;
}

/// The exit that the thresholds choose for one line of `branchy eval --predictions`.
std::size_t expected_exit(const json& prediction, const std::vector<float>& thresholds) {
  const auto confidences = prediction.at("confidences").get<std::vector<float>>();
  for (std::size_t exit = 0; exit + 1 < confidences.size(); ++exit)
    if (should_exit(confidences[exit], thresholds.at(exit))) return exit;
  return confidences.size() - 1;
}

double distance_to_threshold(const json& prediction, const std::vector<float>& thresholds) {
  const auto confidences = prediction.at("confidences").get<std::vector<float>>();
  double nearest = 1.0;
  for (std::size_t exit = 0; exit < thresholds.size(); ++exit)
    nearest = std::min(nearest, std::abs(static_cast<double>(confidences[exit]) -
                                         static_cast<double>(thresholds[exit])));
  return nearest;
}

void run(const SplitAgreementCommand& c) {
  const auto predictions = read_lines(c.predictions);
  const auto answers = read_lines(c.answers);
  if (predictions.size() != answers.size() || predictions.empty())
    throw DataError(fmt::format(
        "[split-agreement] {} predictions and {} answers; expected the same images in both",
        predictions.size(), answers.size()));
  const auto num_exits = static_cast<std::int64_t>(predictions[0].at("confidences").size());
  const auto thresholds = resolve_thresholds(parse_thresholds(c.thresholds), num_exits - 1);
  std::size_t agree = 0, border = 0, differ = 0, degraded = 0;
  double largest = 0.0;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const std::size_t exit = expected_exit(predictions[i], thresholds);
    const auto label = predictions[i].at("classes").at(exit).get<std::int64_t>();
    if (answers[i].at("degraded").get<bool>()) ++degraded;
    if (answers[i].at("exit") == exit + 1 && answers[i].at("class") == label) {
      ++agree;
      largest = std::max(largest, std::abs(predictions[i].at("confidences").at(exit).get<double>() -
                                           answers[i].at("confidence").get<double>()));
      continue;
    }
    const double distance = distance_to_threshold(predictions[i], thresholds);
    ++(distance <= kBorder ? border : differ);
    fmt::print(
        "image {}: expected exit {} class {}, got exit {} class {}; {:.2e} from a threshold\n", i,
        exit + 1, label, answers[i].at("exit").dump(), answers[i].at("class").dump(), distance);
  }
  fmt::print(
      "{} images: {} agree in exit and class, {} within {:.0e} of a threshold, {} differ, {} "
      "degraded; "
      "confidences of those that agree differ by at most {:.2e}\n",
      predictions.size(), agree, border, kBorder, differ, degraded, largest);
  if (differ + degraded > 0)
    throw DataError("[split-agreement] the split system answers differently");
}

}  // namespace

void add_split_agreement_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "split-agreement", "Compare the answers of branchy-edge and branchy-cloud with branchy eval");
  const auto command = std::make_shared<SplitAgreementCommand>();
  verb->add_option("--predictions", command->predictions, "File of branchy eval --predictions")
      ->required();
  verb->add_option("--answers", command->answers, "File of branchy-edge --out")->required();
  verb->add_option("--threshold", command->thresholds, "The thresholds that branchy-edge was given")
      ->required();
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
