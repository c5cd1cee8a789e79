#include "experiments/codec_curve.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/provenance.h"
#include "experiments/gnuplot.h"

namespace branchy {

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

struct CodecCurveCommand {
  std::vector<std::string> results;
  std::filesystem::path out;
  double max_loss = 0.5;
  std::string title = "Feature codec";
};

/// One way to send a sample on, at one threshold.
struct Row {
  std::string form;
  double ratio = 0.0;  ///< float32 feature over what is sent, without lossless stage
  double none = 0.0, zstd = 0.0, range = 0.0;  ///< mean bytes; equal where there is no such stage
  double bare = 0.0;  ///< jpeg: mean bytes when both sides know size and tables; else as `none`
  double final_accuracy = 0.0;
  std::vector<double> accuracies;  ///< by threshold set
};

json read_result(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw IoError(fmt::format("[{}] cannot be read", path));
  json result = json::parse(file, nullptr, /*allow_exceptions=*/false);
  if (!result.is_object() || !result.contains("forms") || !result.contains("codec"))
    throw DataError(
        fmt::format("[{}] is no result of `branchy codec eval --json`; give those", path));
  return result;
}

std::vector<double> accuracies(const json& form) {
  std::vector<double> values;
  for (const json& policy : form.at("policies")) values.push_back(policy.at("accuracy"));
  return values;
}

/// Rows of the codecs, one a file, then those of the baselines of the first file that has them.
std::vector<Row> rows_of(const std::vector<json>& results) {
  std::vector<Row> rows;
  for (const json& result : results) {
    const json& codec = result.at("codec");
    const json& form = result.at("forms").at(0);
    const json& stages = codec.at("mean_bytes_by_stage");
    rows.push_back(
        {.form = fmt::format("codec {} x {} bit", codec.at("options").at("code").get<std::string>(),
                             codec.at("bits").get<int>()),
         .ratio = codec.at("ratio"),
         .none = stages.at("none"),
         .zstd = stages.at("zstd"),
         .range = stages.at("range"),
         .bare = stages.at("none"),
         .final_accuracy = form.at("acc_all").back(),
         .accuracies = accuracies(form)});
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.none > b.none; });
  const auto with_baselines = std::find_if(results.begin(), results.end(), [](const json& result) {
    return result.at("forms").size() > 1;
  });
  if (with_baselines == results.end())
    throw DataError(
        "[codec-curve] no result has baselines to compare with; run one `branchy codec eval --base "
        "NETWORK` without --no-baselines");
  const json& forms = with_baselines->at("forms");
  const double float_bytes = forms.at(1).at("mean_bytes");
  for (std::size_t i = 1; i < forms.size(); ++i) {
    const json& form = forms[i];
    const double bytes = form.at("mean_bytes");
    rows.push_back({.form = form.at("form"),
                    .ratio = float_bytes / bytes,
                    .none = bytes,
                    .zstd = bytes,
                    .range = bytes,
                    .bare = form.value("mean_bytes_without_tables", bytes),
                    .final_accuracy = form.at("acc_all").back(),
                    .accuracies = accuracies(form)});
  }
  return rows;
}

void require_one_setting(const std::vector<std::string>& paths, const std::vector<json>& results) {
  for (std::size_t i = 1; i < results.size(); ++i)
    for (const char* key : {"data_checksum", "split", "samples"})
      if (results[i].at(key) != results[0].at(key))
        throw DataError(
            fmt::format("[codec-curve] {} and {} differ in {}; compare results on the "
                        "same images",
                        paths[0], paths[i], key));
}

bool is_codec(const Row& row) { return row.form.starts_with("codec"); }

/// The codec with the largest ratio that loses at most `max_loss` points against the float32
/// feature, at the final exit (no threshold) or a set of thresholds.
std::optional<Row> largest_ratio(const std::vector<Row>& rows, double max_loss,
                                 std::optional<std::size_t> threshold) {
  const auto accuracy = [&](const Row& row) {
    return threshold ? row.accuracies.at(*threshold) : row.final_accuracy;
  };
  const auto plain =
      std::find_if(rows.begin(), rows.end(), [](const Row& row) { return row.form == "float32"; });
  std::optional<Row> best;
  for (const Row& row : rows)
    if (is_codec(row) && 100.0 * (accuracy(*plain) - accuracy(row)) <= max_loss + 1e-9 &&
        (!best || row.ratio > best->ratio))
      best = row;
  return best;
}

std::string thresholds_text(const json& policy) {
  return fmt::format("{:.3g}", fmt::join(policy.at("thresholds").get<std::vector<double>>(), "+"));
}

std::string to_csv(const std::vector<Row>& rows, const json& policies) {
  std::string text = "form,ratio,bytes_none,bytes_zstd,bytes_range,bytes_without_tables,acc_final";
  for (const json& policy : policies) text += ",acc@" + thresholds_text(policy);
  text += '\n';
  for (const Row& row : rows)
    text += fmt::format("{},{:.4g},{:.1f},{:.1f},{:.1f},{:.1f},{:.4f}{}{:.4f}\n", row.form,
                        row.ratio, row.none, row.zstd, row.range, row.bare, row.final_accuracy,
                        row.accuracies.empty() ? "" : ",", fmt::join(row.accuracies, ","));
  return text;
}

PlotPanel panel(const std::vector<Row>& rows, const std::string& title,
                std::optional<std::size_t> threshold) {
  PlotPanel plot{.title = title,
                 .x = {.label = "bytes a sample that is sent", .log = true},
                 .y = {.label = "accuracy (%)"},
                 .legend = LegendPlace::kBottomRight};
  const auto curve = [&](const std::string& label, double Row::*bytes, const auto& takes) {
    PlotSeries series{.label = label};
    for (const Row& row : rows)
      if (takes(row))
        series.points.push_back(
            {.x = row.*bytes,
             .y = 100.0 * (threshold ? row.accuracies.at(*threshold) : row.final_accuracy)});
    std::sort(series.points.begin(), series.points.end(),
              [](const PlotPoint& a, const PlotPoint& b) { return a.x < b.x; });
    if (!series.points.empty()) plot.series.push_back(std::move(series));
  };
  for (const char* bits : {"8 bit", "4 bit"}) {
    const auto takes = [&](const Row& row) { return is_codec(row) && row.form.ends_with(bits); };
    curve(fmt::format("codec, {}", bits), &Row::none, takes);
    curve(fmt::format("codec, {}, range coder", bits), &Row::range, takes);
  }
  const auto is_jpeg = [](const Row& row) { return row.form.starts_with("jpeg"); };
  curve("JPEG of the image", &Row::none, is_jpeg);
  curve("JPEG, tables known to both sides", &Row::bare, is_jpeg);
  curve("feature, float32 and 8 bit", &Row::none,
        [](const Row& row) { return !is_codec(row) && !row.form.starts_with("jpeg"); });
  return plot;
}

ordered_json to_json(const CodecCurveCommand& c, const std::vector<Row>& rows,
                     const json& first_result) {
  ordered_json table;
  for (const auto& [key, value] : provenance()) table[key] = value;
  for (const char* key : {"data", "data_checksum", "split", "samples"})
    table[key] = first_result.at(key);
  const json& policies = first_result.at("forms").at(0).at("policies");
  for (const json& policy : policies)
    table["thresholds"].push_back(ordered_json(policy.at("thresholds")));
  for (const Row& row : rows)
    table["rows"].push_back({{"form", row.form},
                             {"ratio", row.ratio},
                             {"bytes_none", row.none},
                             {"bytes_zstd", row.zstd},
                             {"bytes_range", row.range},
                             {"bytes_without_tables", row.bare},
                             {"acc_final", row.final_accuracy},
                             {"acc_thresholds", row.accuracies}});
  table["max_loss_points"] = c.max_loss;
  const auto name = [&](std::optional<std::size_t> threshold) -> ordered_json {
    const auto best = largest_ratio(rows, c.max_loss, threshold);
    if (!best) return nullptr;
    return {{"form", best->form}, {"ratio", best->ratio}, {"bytes_range", best->range}};
  };
  table["largest_ratio"]["final"] = name(std::nullopt);
  for (std::size_t i = 0; i < policies.size(); ++i)
    table["largest_ratio"][thresholds_text(policies[i])] = name(i);
  return table;
}

void run(const CodecCurveCommand& c) {
  std::vector<json> results;
  for (const std::string& path : c.results) results.push_back(read_result(path));
  require_one_setting(c.results, results);
  const json& policies = results[0].at("forms").at(0).at("policies");
  const std::vector<Row> rows = rows_of(results);
  for (const Row& row : rows)
    if (row.accuracies.size() != policies.size())
      throw DataError("[codec-curve] the results have different thresholds; evaluate them alike");
  std::error_code error;
  std::filesystem::create_directories(c.out, error);
  if (error) throw IoError(fmt::format("[{}] {}", c.out.string(), error.message()));
  const ordered_json table = to_json(c, rows, results[0]);
  write_file_atomically(c.out / "table.json", table.dump(2) + "\n");
  write_file_atomically(c.out / "table.csv", to_csv(rows, policies));
  Plot plot{.title = c.title};
  plot.panels.push_back(panel(rows, "final exit, all samples", std::nullopt));
  for (std::size_t i = 0; i < policies.size(); ++i)
    plot.panels.push_back(panel(rows, "overall, threshold " + thresholds_text(policies[i]), i));
  write_svg(plot, c.out / "curve.svg");
  fmt::print("{}", to_csv(rows, policies));
  fmt::print("largest ratio that loses at most {} points: {}\n", c.max_loss,
             table["largest_ratio"].dump());
}

}  // namespace

void add_codec_curve_command(CLI::App& app) {
  CLI::App* curve =
      app.add_subcommand("codec-curve", "Accuracy against bytes of feature codecs: table and SVG");
  const auto command = std::make_shared<CodecCurveCommand>();
  curve
      ->add_option("results", command->results,
                   "Files of `branchy codec eval --json`, one of them with baselines")
      ->required();
  curve->add_option("--out", command->out, "Folder for table.json, table.csv and curve.svg")
      ->required();
  curve
      ->add_option("--max-loss", command->max_loss,
                   "Points of accuracy that the named ratio may lose")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  curve->add_option("--title", command->title, "Title of the plot")->capture_default_str();
  curve->callback([command] { run(*command); });
}

}  // namespace branchy
