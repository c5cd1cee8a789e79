#include "train/evaluation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "infer/batch_prediction.h"

namespace branchy {

ExitPredictions predict_dataset(const std::shared_ptr<const Plan>& plan,
                                std::shared_ptr<const Dataset> dataset, const ModelInfo& info,
                                std::int64_t batch, const PredictionTaps& taps) {
  const auto total = static_cast<double>(dataset->size());
  ExitRunner runner(plan);
  Loader loader(std::move(dataset), {.batch = batch, .normalization = {info.mean, info.std}});
  ExitPredictions result;
  result.predictions.resize(static_cast<std::size_t>(plan->part().last_exit));
  loader.start_epoch(0);
  while (const auto next = loader.next()) {
    if (taps.batch) taps.batch(*next);
    runner.start(next->images);
    while (runner.has_next()) {
      const ExitOutput output = runner.next_exit();
      if (taps.output) taps.output(output);
      const auto rows = predict_all(output.exit, output.logits, info.temperature(output.exit));
      auto& all = result.predictions[static_cast<std::size_t>(output.exit - 1)];
      all.insert(all.end(), rows.begin(), rows.end());
    }
    result.labels.insert(result.labels.end(), next->labels.begin(), next->labels.end());
    if (taps.progress) taps.progress(static_cast<double>(result.labels.size()) / total);
  }
  return result;
}

std::vector<double> accuracy_of_all(const ExitPredictions& data) {
  std::vector<double> accuracy;
  for (const auto& exit : data.predictions) {
    std::int64_t correct = 0;
    for (std::size_t i = 0; i < exit.size(); ++i)
      correct += exit[i].label == data.labels[i] ? 1 : 0;
    accuracy.push_back(static_cast<double>(correct) / static_cast<double>(data.labels.size()));
  }
  return accuracy;
}

std::vector<std::int64_t> route(const ExitPredictions& data, std::span<const float> thresholds) {
  std::vector<std::int64_t> exits(data.labels.size(),
                                  static_cast<std::int64_t>(data.predictions.size()));
  for (std::size_t i = 0; i < exits.size(); ++i) {
    for (std::size_t exit = 0; exit < thresholds.size(); ++exit) {
      if (!should_exit(data.predictions[exit][i].confidence, thresholds[exit])) continue;
      exits[i] = static_cast<std::int64_t>(exit) + 1;
      break;
    }
  }
  return exits;
}

ThresholdReport report_threshold(const ExitPredictions& data, std::span<const float> thresholds,
                                 const MultiExitNetwork& network) {
  ThresholdReport report;
  const auto num_exits = static_cast<std::int64_t>(data.predictions.size());
  std::int64_t operations = 0;
  for (std::int64_t exit = 1; exit <= num_exits; ++exit) {
    // A sample of the final exit has paid for every early exit, and nothing more on the device.
    if (exit < num_exits || num_exits == 1)
      operations +=
          (total_cost(network.profile_trunk(exit)) + total_cost(network.profile_exit(exit)))
              .ptflops;
    report.exits.push_back({.device_operations = operations});
  }
  std::vector<std::int64_t> correct(report.exits.size());
  const auto taken = route(data, thresholds);
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const auto exit = static_cast<std::size_t>(taken[i] - 1);
    ++report.exits[exit].samples;
    if (data.predictions[exit][i].label == data.labels[i]) ++correct[exit];
  }
  const auto total = static_cast<double>(taken.size());
  for (std::size_t i = 0; i < report.exits.size(); ++i) {
    ExitReport& exit = report.exits[i];
    exit.share = static_cast<double>(exit.samples) / total;
    exit.accuracy = exit.samples == 0
                        ? std::nan("")
                        : static_cast<double>(correct[i]) / static_cast<double>(exit.samples);
    report.accuracy += static_cast<double>(correct[i]) / total;
    report.mean_device_operations += exit.share * static_cast<double>(exit.device_operations);
  }
  return report;
}

}  // namespace branchy
