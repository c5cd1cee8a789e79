#include "train/calibration_report.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/provenance.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

std::string number(double value, int decimals) {
  return std::isnan(value) ? "n/a" : fmt::format("{:.{}f}", value, decimals);
}

std::string row(const std::string& exit, const CalibrationMetrics& m) {
  return fmt::format("{:>4} {:>8.4f} {:>10} {:>12} {:>8} {:>7} {:>10} {:>7} {:>7} {:>8}\n", exit,
                     m.temperature, number(100.0 * m.accuracy, 2), number(100.0 * m.confidence, 2),
                     number(m.nll, 4), number(100.0 * m.ece, 2), number(100.0 * m.adaptive_ece, 2),
                     number(m.brier, 4), number(m.auroc, 4), number(m.aurc, 5));
}

std::string fit_line(std::size_t exit, const TemperatureFit& fit) {
  if (fit.status != TemperatureFitStatus::kFitted)
    return fmt::format("exit {}: temperature stays 1: {} ({} samples)\n", exit,
                       describe(fit.status), fit.samples);
  return fmt::format("exit {}: temperature {:.4f} from {} samples, NLL {:.4f} -> {:.4f}\n", exit,
                     fit.temperature, fit.samples, fit.nll_before, fit.nll_after);
}

ordered_json json_number(double value) {
  return std::isnan(value) ? ordered_json() : ordered_json(value);
}

ordered_json to_json(const CalibrationMetrics& m) {
  ordered_json json{{"temperature", m.temperature},
                    {"accuracy", json_number(m.accuracy)},
                    {"confidence", json_number(m.confidence)},
                    {"nll", json_number(m.nll)},
                    {"ece", json_number(m.ece)},
                    {"adaptive_ece", json_number(m.adaptive_ece)},
                    {"brier", json_number(m.brier)},
                    {"auroc", json_number(m.auroc)},
                    {"aurc", json_number(m.aurc)}};
  json["bins"] = ordered_json::array();
  for (const ReliabilityBin& bin : m.bins)
    json["bins"].push_back({{"low", bin.low},
                            {"high", bin.high},
                            {"samples", bin.samples},
                            {"confidence", json_number(bin.confidence)},
                            {"accuracy", json_number(bin.accuracy)}});
  return json;
}

}  // namespace

std::string calibration_text(const CalibrationReport& report) {
  const Calibration& calibration = report.calibration;
  std::string text = fmt::format("mode {}", mode_name(calibration.options.mode));
  if (calibration.options.mode == CalibrationMode::kAsPublished)
    text += fmt::format(", p_tar {}", calibration.options.p_tar);
  text += "\n";
  for (std::size_t i = 0; i < calibration.fits.size(); ++i)
    text += fit_line(i + 1, calibration.fits[i]);
  for (const CalibrationEffect& effect : report.effects) {
    text += fmt::format(
        "\n{}: {} samples, every exit before and after\n{:>4} {:>8} {:>10} {:>12} "
        "{:>8} {:>7} {:>10} {:>7} {:>7} {:>8}\n",
        effect.part, effect.before.front().samples, "exit", "T", "accuracy %", "confidence %",
        "NLL", "ECE %", "ad. ECE %", "Brier", "AUROC", "AURC");
    for (std::size_t i = 0; i < effect.before.size(); ++i)
      text += row(std::to_string(i + 1), effect.before[i]) + row("", effect.after[i]);
    text += fmt::format("mean ECE {} % -> {} %; no class changed\n",
                        number(100.0 * effect.mean_ece_before(), 2),
                        number(100.0 * effect.mean_ece_after(), 2));
  }
  return text;
}

std::string calibration_json(const CalibrationReport& report) {
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  const Calibration& calibration = report.calibration;
  json["model"] = report.model;
  json["model_digest"] = report.model_digest;
  json["mode"] = mode_name(calibration.options.mode);
  if (calibration.options.mode == CalibrationMode::kAsPublished)
    json["p_tar"] = calibration.options.p_tar;
  json["select_on"] = report.effects.front().part;
  for (std::size_t i = 0; i < calibration.fits.size(); ++i) {
    const TemperatureFit& fit = calibration.fits[i];
    json["exits"].push_back({{"exit", i + 1},
                             {"temperature", fit.temperature},
                             {"status", describe(fit.status)},
                             {"samples", fit.samples},
                             {"nll_before", json_number(fit.nll_before)},
                             {"nll_after", json_number(fit.nll_after)}});
  }
  for (const CalibrationEffect& effect : report.effects) {
    ordered_json entry{{"part", effect.part},
                       {"data_checksum", effect.data_checksum},
                       {"samples", effect.before.front().samples},
                       {"mean_ece_before", effect.mean_ece_before()},
                       {"mean_ece_after", effect.mean_ece_after()}};
    for (std::size_t i = 0; i < effect.before.size(); ++i)
      entry["exits"].push_back({{"exit", i + 1},
                                {"before", to_json(effect.before[i])},
                                {"after", to_json(effect.after[i])}});
    json["effects"].push_back(std::move(entry));
  }
  return json.dump(2) + "\n";
}

}  // namespace branchy
