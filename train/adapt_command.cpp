#include "train/adapt_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/threads.h"
#include "train/adapt_inputs.h"
#include "train/adaptation.h"
#include "train/interrupt.h"
#include "train/latency_report.h"
#include "train/progress.h"

namespace branchy {

namespace {

struct AdaptCommand {
  AdaptFlags flags;
  std::string method = "interpolate", out, csv;
  bool json = false;
};

SettingGrid make_grid(const AdaptCommand& c, const AdaptInputs& inputs) {
  Progress bar("adapt");
  return {inputs.table, grid_axes(c.flags, inputs.selection.num_exits(), inputs.has_scores),
          inputs.latency, [&](double share) {
            bar.update(share, "of the grid");
            if (Interrupt::requested()) throw CLI::RuntimeError(kInterruptedExitCode);
          }};
}

LatencyReport report_of(const AdaptCommand& c, const Adaptation& adaptation,
                        const AdaptInputs& inputs) {
  LatencyReport report = empty_report(c.flags, inputs);
  const auto& regression = adaptation.regression();
  if (regression)
    report.facts.emplace_back(
        "regression", fmt::format("root mean square error of a threshold {:.4f}, before projection",
                                  regression->root_mean_square_error()));
  for (const AdaptMethod method : kAdaptMethods) {
    if (method == AdaptMethod::kRegression && !regression) continue;
    for (const double bandwidth : adaptation.bandwidths()) {
      const LatencyChoice choice = adaptation.choose(method, bandwidth);
      report.rows.push_back(latency_row(inputs, std::string(method_name(method)), bandwidth,
                                        choice.evaluated.setting));
    }
  }
  return report;
}

void write_model(const AdaptCommand& c, const AdaptTable& table, AdaptInputs& inputs) {
  ModelInfo& info = inputs.model.info;
  std::erase_if(info.records,
                [](const auto& record) { return record.first.starts_with("adapt."); });
  table.store(info);
  info.records["adapt.method"] = c.method;
  info.records["adapt.select_on"] = inputs.selection.part;
  info.records["adapt.device"] = inputs.device;
  info.records["adapt.sent_bytes"] = fmt::format("{}", inputs.latency.sent_bytes);
  info.records["adapt.digest"] = inputs.selection.model_digest;
  save_model(c.out, *inputs.model.network, info, inputs.model.attachments);
  fmt::print(stderr, "{}: {} rows of bandwidth, method {}\n", c.out, table.rows().size(), c.method);
}

void warn_of_infeasible(const Adaptation& adaptation) {
  for (std::size_t i = 0; i < adaptation.labels().size(); ++i) {
    const LatencyChoice& choice = adaptation.labels()[i];
    if (choice.feasible) continue;
    fmt::print(stderr, "{:g} Mbit/s: no setting keeps {:g} ms; the fastest, {}, takes {:.2f} ms\n",
               adaptation.bandwidths()[i] / 1e6, adaptation.limit_ms(),
               policy_text(choice.evaluated.setting), choice.latency_ms);
  }
}

void run(const AdaptCommand& c) {
  const AdaptMethod method = parse_adapt_method(c.method);
  if (method == AdaptMethod::kRegression &&
      !ThresholdRegression::is_trainable(parse_bandwidths(c.flags.bandwidths)))
    throw ConfigError(std::string(kRegressionNeeds));
  const Interrupt interrupt;
  set_num_threads(1);  // the regression networks are too small for more
  AdaptInputs inputs = load_adapt_inputs(c.flags);
  const SettingGrid grid = make_grid(c, inputs);
  const Adaptation adaptation(grid,
                              {.limit_ms = c.flags.kept_limit_ms(),
                               .bandwidths = inputs.bandwidths,
                               .regression = {.hidden = c.flags.hidden, .seed = c.flags.seed}});
  const AdaptTable table = adaptation.table(method);
  const LatencyReport report = report_of(c, adaptation, inputs);
  if (!c.csv.empty()) write_file_atomically(c.csv, report.csv());
  fmt::print("{}", c.json ? report.json() : report.text());
  warn_of_infeasible(adaptation);
  if (!c.out.empty()) write_model(c, table, inputs);
}

}  // namespace

void add_adapt_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "adapt", "Choose thresholds for every bandwidth so that the mean latency keeps a limit");
  verb->footer(
      "Latency is eq. (11) of Dong, Mao, Zhang 2022: device operations / device speed (or "
      "measured\n"
      "times) + bits sent / bandwidth (+ encoder, round trip, server). Methods: search, the "
      "grid's\n"
      "most accurate setting at each bandwidth; interpolate, between the settings found at the "
      "given\n"
      "bandwidths; regression, networks of two layers by decade of bandwidth as published. A "
      "setting\n"
      "that breaks the limit on the selection data is moved to the nearest of the grid that keeps "
      "it.\n"
      "A model with a codec: make the caches with it attached, so that the accuracy is that of "
      "coded\n"
      "features. --out writes the model with the table that branchy-edge follows as it runs.");
  const auto command = std::make_shared<AdaptCommand>();
  add_adapt_flags(*verb, command->flags);
  verb->add_option("--method", command->method,
                   "What --out stores: search, interpolate or regression")
      ->check(CLI::IsMember({"search", "interpolate", "regression"}))
      ->capture_default_str();
  verb->add_option("--out", command->out,
                   "Write the model with the table to this file (may be the same)");
  verb->add_option("--csv", command->csv, "Write the report to this CSV file");
  verb->add_flag("--json", command->json, "Print JSON instead of tables");
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
