#include "train/metrics_log.h"

#include <fmt/core.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/error.h"

namespace branchy {

namespace {

std::string csv_header(std::int64_t num_exits) {
  std::string header = "epoch,step,rate,train_loss,val_loss";
  for (const char* set : {"train", "val"})
    for (std::int64_t exit = 1; exit <= num_exits; ++exit)
      header += fmt::format(",{}_accuracy_exit{}", set, exit);
  return header + ",images_per_second,loader_wait_seconds,seconds\n";
}

/// The lines for which `keep` holds; a torn last line (no newline) goes.
template <typename Keep>
std::string kept_lines(const std::filesystem::path& path, const Keep& keep) {
  std::ifstream file(path);
  std::string kept;
  for (std::string line; std::getline(file, line) && !file.eof();)
    if (keep(line)) kept += line + "\n";
  return kept;
}

bool json_line_is_older(const std::string& line, std::int64_t step) {
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  return json.is_object() && json.contains("step") && json["step"].is_number_integer() &&
         json["step"].get<std::int64_t>() <= step;
}

bool csv_line_is_older(const std::string& line, std::int64_t step) {
  const std::size_t comma = line.find(',');
  if (comma == std::string::npos || line.empty() || line[0] == 'e') return false;
  return std::strtoll(line.c_str() + comma + 1, nullptr, 10) <= step;
}

std::ofstream reopen(const std::filesystem::path& path, const std::string& content) {
  write_file_atomically(path, content);
  std::ofstream file(path, std::ios::app);
  if (!file) throw IoError(fmt::format("[{}] cannot append; check the permissions", path.string()));
  return file;
}

void flush_line(std::ofstream& file, const std::string& line) {
  file << line << '\n' << std::flush;
  if (!file) throw IoError("[metrics] cannot write the log; free some space on the disk of --out");
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& folder, std::int64_t step,
                       std::int64_t num_exits)
    : jsonl_(reopen(folder / "metrics.jsonl",
                    kept_lines(folder / "metrics.jsonl",
                               [&](const std::string& l) { return json_line_is_older(l, step); }))),
      csv_(reopen(
          folder / "metrics.csv",
          csv_header(num_exits) + kept_lines(folder / "metrics.csv", [&](const std::string& l) {
            return csv_line_is_older(l, step);
          }))) {}

void MetricsLog::append(const StepMetrics& m) {
  const nlohmann::ordered_json json{{"type", "step"}, {"epoch", m.epoch},
                                    {"step", m.step}, {"rate", m.rate},
                                    {"loss", m.loss}, {"exit_losses", m.exit_losses}};
  flush_line(jsonl_, json.dump());
}

void MetricsLog::append(const EpochMetrics& m) {
  nlohmann::ordered_json json{
      {"type", "epoch"}, {"epoch", m.epoch},           {"step", m.step},
      {"rate", m.rate},  {"train_loss", m.train_loss}, {"train_accuracy", m.train_accuracy}};
  if (!m.val_accuracy.empty()) {
    json["val_loss"] = m.val_loss;
    json["val_accuracy"] = m.val_accuracy;
  }
  json["images_per_second"] = m.images_per_second;
  json["loader_wait_seconds"] = m.loader_wait_seconds;
  json["seconds"] = m.seconds;
  json["peak_resident_bytes"] = m.peak_bytes;
  flush_line(jsonl_, json.dump());

  std::string row = fmt::format("{},{},{},{}", m.epoch, m.step, m.rate, m.train_loss);
  row += m.val_accuracy.empty() ? "," : fmt::format(",{}", m.val_loss);
  for (const double accuracy : m.train_accuracy) row += fmt::format(",{}", accuracy);
  for (std::size_t i = 0; i < m.train_accuracy.size(); ++i)
    row += m.val_accuracy.empty() ? "," : fmt::format(",{}", m.val_accuracy[i]);
  row +=
      fmt::format(",{:.2f},{:.3f},{:.1f}", m.images_per_second, m.loader_wait_seconds, m.seconds);
  flush_line(csv_, row);
}

}  // namespace branchy
