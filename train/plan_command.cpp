#include "train/plan_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/provenance.h"
#include "infer/threshold_list.h"
#include "layers/metadata_reader.h"
#include "train/checkpoint.h"
#include "train/plan_front.h"
#include "train/side_times.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

struct PlanCommand {
  std::string model, edge_times, cloud_times, logits, p_tars = "0.8", probabilities, csv;
  double edge_speed = 0, cloud_speed = 0, mbit = 0, round_trip_ms = 0, image_bytes = 0;
  double min_accuracy = 0;
  std::vector<std::string> cut_bytes;
  bool json = false;
};

void check_flags(const PlanCommand& c) {
  const auto require_one = [](const char* side, bool times, bool speed) {
    if (times == speed)
      throw ConfigError(
          fmt::format("[plan] give --{0}-times FILE or --{0}-speed OPERATIONS", side));
  };
  require_one("edge", !c.edge_times.empty(), c.edge_speed != 0);
  require_one("cloud", !c.cloud_times.empty(), c.cloud_speed != 0);
  if (!(c.mbit > 0.0 && std::isfinite(c.mbit)))
    throw ConfigError(
        fmt::format("[plan] --bandwidth {}, expected Mbit/s, positive and finite", c.mbit));
  if (!(c.round_trip_ms >= 0.0 && std::isfinite(c.round_trip_ms)))
    throw ConfigError(
        fmt::format("[plan] --round-trip-ms {}, expected 0 or more", c.round_trip_ms));
  if (!(c.min_accuracy >= 0.0 && c.min_accuracy <= 100.0))
    throw ConfigError(fmt::format("[plan] --min-accuracy {}, expected percent", c.min_accuracy));
  if (c.min_accuracy > 0 && c.logits.empty())
    throw ConfigError("[plan] --min-accuracy needs --logits");
}

/// NAME=BYTES of --cut-bytes: what is sent after that block.
void set_cut_bytes(const std::string& text, const MultiExitNetwork& network,
                   std::vector<double>& cut_bytes) {
  const std::size_t equals = text.find('=');
  const std::string number = equals == std::string::npos ? "" : text.substr(equals + 1);
  char* end = nullptr;
  const double bytes = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0' || !(bytes >= 0.0 && std::isfinite(bytes)))
    throw ConfigError(fmt::format("[plan] --cut-bytes {}, expected BLOCK=BYTES", text));
  const auto cut = static_cast<std::size_t>(network.blocks_through(text.substr(0, equals)));
  if (cut == cut_bytes.size())
    throw ConfigError(
        fmt::format("[plan] --cut-bytes {}: nothing is sent after the last block", text));
  cut_bytes[cut] = bytes;
}

SplitProblem problem_of(const PlanCommand& c, const MultiExitNetwork& network) {
  const auto profile = [&](const std::string& file, double speed) {
    return file.empty() ? side_profile(speed, network)
                        : side_profile(load_layer_times(file), network);
  };
  const SideProfile edge = profile(c.edge_times, c.edge_speed);
  const SideProfile cloud = profile(c.cloud_times, c.cloud_speed);
  SplitProblem problem{.bits_per_second = c.mbit * 1e6, .round_trip_ms = c.round_trip_ms};
  for (std::size_t i = 0; i < edge.blocks.size(); ++i) {
    problem.blocks.push_back({edge.blocks[i], cloud.blocks[i]});
    const std::int64_t values = network.feature_shape(static_cast<std::int64_t>(i)).size();
    // The image travels as bytes of its pixels, features as float32.
    problem.cut_bytes.push_back(static_cast<double>(i == 0 ? values : 4 * values));
  }
  for (std::int64_t exit = 1; exit < network.num_exits(); ++exit) {
    const auto index = static_cast<std::size_t>(exit - 1);
    problem.exits.push_back(
        {network.exit(exit).after_block, {edge.exits[index], cloud.exits[index]}});
  }
  problem.final_exit = {edge.exits.back(), cloud.exits.back()};
  if (c.image_bytes > 0) problem.cut_bytes[0] = c.image_bytes;
  for (const std::string& text : c.cut_bytes) set_cut_bytes(text, network, problem.cut_bytes);
  problem.validate();
  return problem;
}

std::vector<double> exit_probabilities(const PlanCommand& c, std::size_t early) {
  if (c.probabilities.empty()) return std::vector<double>(early, 0.0);
  const std::vector<float> given = parse_thresholds(c.probabilities);
  return {given.begin(), given.end()};
}

std::vector<PlannedSplit> all_plans(const PlanCommand& c, const SplitProblem& problem,
                                    const LoadedModel& model) {
  if (c.logits.empty()) return plan_all(problem, exit_probabilities(c, problem.exits.size()));
  const LogitsCache cache = load_logits(c.logits);
  require_same_model(cache, c.logits, model);
  const StoredExits exits(cache, model.info.temperatures);
  return plan_all(problem, exits, parse_thresholds(c.p_tars));
}

/// The fastest that is accurate enough.
const PlannedSplit& best_of(const PlanCommand& c, const std::vector<PlannedSplit>& front) {
  for (const PlannedSplit& plan : front)
    if (100.0 * plan.accuracy.value_or(100.0) >= c.min_accuracy) return plan;
  throw ConfigError(fmt::format("[plan] no plan is {:g} % accurate, the best {:.2f} %",
                                c.min_accuracy, 100.0 * front.back().accuracy.value_or(0.0)));
}

std::string cut_name(const MultiExitNetwork& network, std::int64_t cut) {
  if (cut == 0) return "image";
  return network.blocks()[static_cast<std::size_t>(cut - 1)].name;
}

std::string active_text(const PlannedSplit& plan) {
  std::vector<std::size_t> exits;
  for (std::size_t i = 0; i < plan.active.size(); ++i)
    if (plan.active[i]) exits.push_back(i + 1);
  return exits.empty() ? "none" : fmt::format("{}", fmt::join(exits, "+"));
}

void print_line(const PlannedSplit& plan, const MultiExitNetwork& network) {
  const bool on_edge = plan.plan.cut == network.whole().end_block;
  fmt::print(
      "{:>9.3f} {:>9} {:>9.3f} {:>9.3f} {:>9.3f} {:>7.2f} {:>8} {:>10} {:>6}\n", plan.plan.mean_ms,
      plan.accuracy ? fmt::format("{:.2f}", 100.0 * *plan.accuracy) : "n/a", plan.plan.edge_ms,
      plan.plan.network_ms, plan.plan.cloud_ms, 100.0 * plan.plan.sent_share, active_text(plan),
      on_edge ? "(no cut)" : cut_name(network, plan.plan.cut),
      active_text(plan) == "none" || !plan.accuracy ? "" : fmt::format("{:g}", plan.p_tar));
}

void print_front(const std::vector<PlannedSplit>& front, const PlannedSplit& best,
                 const MultiExitNetwork& network) {
  fmt::print("{:>9} {:>9} {:>9} {:>9} {:>9} {:>7} {:>8} {:>10} {:>6}\n", "mean ms", "accuracy",
             "edge ms", "net ms", "cloud ms", "sent %", "exits", "cut after", "p_tar");
  for (const PlannedSplit& plan : front) print_line(plan, network);
  fmt::print("\nbest:\n");
  print_line(best, network);
}

ordered_json to_json(const PlannedSplit& plan, const MultiExitNetwork& network) {
  const bool on_edge = plan.plan.cut == network.whole().end_block;
  ordered_json json{{"mean_ms", plan.plan.mean_ms},       {"edge_ms", plan.plan.edge_ms},
                    {"network_ms", plan.plan.network_ms}, {"cloud_ms", plan.plan.cloud_ms},
                    {"sent_share", plan.plan.sent_share}, {"cut_blocks", plan.plan.cut}};
  json["cut_after"] = on_edge ? ordered_json() : ordered_json(cut_name(network, plan.plan.cut));
  json["active_exits"] = ordered_json::array();
  for (std::size_t i = 0; i < plan.active.size(); ++i)
    if (plan.active[i]) json["active_exits"].push_back(i + 1);
  json["accuracy"] = plan.accuracy ? ordered_json(*plan.accuracy) : ordered_json();
  json["p_tar"] = plan.accuracy ? ordered_json(plan.p_tar) : ordered_json();
  return json;
}

std::string csv_text(const std::vector<PlannedSplit>& front, const MultiExitNetwork& network) {
  std::string text =
      "mean_ms,accuracy,edge_ms,network_ms,cloud_ms,sent_share,active_exits,cut_blocks,cut_after,"
      "p_tar\n";
  for (const PlannedSplit& plan : front)
    text += fmt::format(
        "{},{},{},{},{},{},{},{},{},{}\n", plan.plan.mean_ms,
        plan.accuracy ? fmt::format("{}", *plan.accuracy) : "", plan.plan.edge_ms,
        plan.plan.network_ms, plan.plan.cloud_ms, plan.plan.sent_share, active_text(plan),
        plan.plan.cut,
        plan.plan.cut == network.whole().end_block ? "" : cut_name(network, plan.plan.cut),
        plan.accuracy ? fmt::format("{}", plan.p_tar) : "");
  return text;
}

void run(const PlanCommand& c) {
  check_flags(c);
  const LoadedModel model = load_trained(c.model);
  const MultiExitNetwork& network = *model.network;
  const SplitProblem problem = problem_of(c, network);
  const std::vector<PlannedSplit> front = non_dominated(all_plans(c, problem, model));
  const PlannedSplit& best = best_of(c, front);
  if (!c.csv.empty()) write_file_atomically(c.csv, csv_text(front, network));
  if (!c.json) {
    print_front(front, best, network);
    return;
  }
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json["model"] = c.model;
  json["mbit_per_second"] = c.mbit;
  json["round_trip_ms"] = c.round_trip_ms;
  json["best"] = to_json(best, network);
  json["front"] = ordered_json::array();
  for (const PlannedSplit& plan : front) json["front"].push_back(to_json(plan, network));
  fmt::print("{}\n", json.dump(2));
}

}  // namespace

void add_plan_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "plan", "The best cut and set of active exits for an edge, a cloud and the link between");
  verb->footer(
      "For every set of active exits the best cut is the shortest path through the trunk's blocks\n"
      "on the edge and in the cloud, weighted by the share of samples that get there (Pacheco and\n"
      "Couto 2020). Printed are the plans that no other beats in time and accuracy. Exits behind "
      "the\n"
      "cut run in the cloud. Shares and accuracy come from --logits and --p-tar (policy p-tar "
      "with\n"
      "its fallback), shares alone from --exit-probabilities; without either no sample leaves "
      "early.");
  const auto command = std::make_shared<PlanCommand>();
  verb->add_option("model", command->model, "Run folder (its best checkpoint) or model file")
      ->required();
  verb->add_option("--edge-times", command->edge_times,
                   "Times of the parts on the edge, from branchy-edge --measure there");
  verb->add_option("--edge-speed", command->edge_speed,
                   "Instead: operations (ptflops) a second of the edge");
  verb->add_option("--cloud-times", command->cloud_times, "The same of the cloud's machine");
  verb->add_option("--cloud-speed", command->cloud_speed, "Instead: operations a second");
  verb->add_option("--bandwidth", command->mbit, "Of the link, Mbit/s")->required();
  verb->add_option("--round-trip-ms", command->round_trip_ms, "Of an empty message and its answer")
      ->capture_default_str();
  verb->add_option("--image-bytes", command->image_bytes,
                   "Bytes of an image that is sent (default: one a pixel and channel)")
      ->check(CLI::PositiveNumber);
  verb->add_option(
      "--cut-bytes", command->cut_bytes,
      "BLOCK=BYTES: what is sent after this block, such as a codec's (default float32)");
  auto* logits = verb->add_option("--logits", command->logits,
                                  "Logits cache of branchy infer-all: how samples leave, accuracy");
  verb->add_option("--p-tar", command->p_tars, "Confidences to try with it, separated by commas")
      ->capture_default_str()
      ->needs(logits);
  verb->add_option("--exit-probabilities", command->probabilities,
                   "Instead of logits: share that leaves each early exit of those that get there")
      ->excludes(logits);
  verb->add_option("--min-accuracy", command->min_accuracy,
                   "Percent that the best plan has at least (default: the fastest)");
  verb->add_option("--csv", command->csv, "Write the front to this CSV file");
  verb->add_flag("--json", command->json, "Print JSON instead of a table");
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
