#include "experiments/peers_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/atomic_file.h"
#include "core/provenance.h"
#include "experiments/peer_cases.h"
#include "experiments/peer_measurement.h"
#include "experiments/peer_row.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

/// Above this the machine was not the same from begin to end.
constexpr double kLargestDrift = 0.15;

struct PeersCommand {
  PeerPlaces places;
  PeerRounds rounds;
  std::vector<std::string> cases;
  std::int64_t threads = 2;
  std::string out;
  bool list = false;
};

void print_now(const std::string& line) {
  fmt::print(stderr, "{}\n", line);
  std::fflush(stderr);
}

ordered_json ceiling_json(const MachineCeiling& ceiling) {
  return {{"gflops", ceiling.gflops}, {"gb_per_second", ceiling.gb_per_second}};
}

ordered_json bound_json(const std::optional<double>& bound) {
  return bound ? ordered_json(*bound) : ordered_json();
}

ordered_json row_json(const PeerRow& row) {
  return {{"case", row.which.name},
          {"quantity", row.which.quantity == PeerQuantity::kSpeed ? "ms per step" : "peak MiB"},
          {"branchy", row.ours},
          {"peer", row.peer},
          {"peer_figure", row.theirs},
          {"ratio", row.ratio},
          {"least_ratio", row.least_ratio},
          {"most_ratio", row.most_ratio},
          {"must", bound_json(row.which.must)},
          {"goal", bound_json(row.which.goal)},
          {"reached", to_text(row.reached)}};
}

ordered_json measurement_json(const PeerMeasurement& m) {
  ordered_json json{{"network", m.setting.network},
                    {"batch", m.setting.batch},
                    {"threads", m.setting.threads},
                    {"busy_cpu", m.setting.busy_cpu}};
  for (const ProgramFigures& program : m.programs)
    json["programs"].push_back({{"name", program.name},
                                {"program", program.program},
                                {"ms_per_step", program.ms},
                                {"median_ms_per_step", median_ms(program)},
                                {"peak_mib", program.peak_mib}});
  json["ceiling_before"] = ceiling_json(m.before);
  json["ceiling_after"] = ceiling_json(m.after);
  json["ceiling_drift"] = m.ceiling_drift();
  return json;
}

void warn_of_drift(const PeerMeasurement& m) {
  const double drift = m.ceiling_drift();
  print_now(fmt::format(
      "ceiling, {} threads: {:.0f} to {:.0f} GFLOP/s, {:.1f} to {:.1f} GB/s{}", m.setting.threads,
      m.before.gflops, m.after.gflops, m.before.gb_per_second, m.after.gb_per_second,
      drift > kLargestDrift ? fmt::format("; it changed by {:.0f} %: something else runs, "
                                          "do not trust these figures",
                                          100.0 * drift)
                            : ""));
}

/// Each setting once, in the order of the cases.
std::vector<PeerMeasurement> measure_all(const PeersCommand& c,
                                         const std::vector<PeerCase>& cases) {
  std::vector<PeerMeasurement> measurements;
  for (const PeerCase& each : cases) {
    const bool known =
        std::any_of(measurements.begin(), measurements.end(),
                    [&](const PeerMeasurement& m) { return m.setting == each.setting; });
    if (known) continue;
    print_now(fmt::format("{}: {} with batch {}, {} threads", each.name, each.setting.network,
                          each.setting.batch, each.setting.threads));
    measurements.push_back(measure_peers(each.setting, c.places, c.rounds, print_now));
    warn_of_drift(measurements.back());
  }
  return measurements;
}

void run(const PeersCommand& c) {
  const std::vector<PeerCase> cases = chosen_cases(peer_cases(c.threads), c.cases);
  if (c.list) {
    for (const PeerCase& each : cases) fmt::print("{}\n", each.name);
    return;
  }
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json["threads"] = c.threads;
  json["rounds"] = c.rounds.rounds;
  json["seconds"] = c.rounds.seconds;
  const std::vector<PeerMeasurement> measurements = measure_all(c, cases);
  fmt::print("{}", peer_row_header());
  for (const PeerCase& each : cases) {
    const auto found =
        std::find_if(measurements.begin(), measurements.end(),
                     [&](const PeerMeasurement& m) { return m.setting == each.setting; });
    const PeerRow row = peer_row(each, *found);
    fmt::print("{}", to_text(row));
    json["cases"].push_back(row_json(row));
  }
  for (const PeerMeasurement& m : measurements) json["measurements"].push_back(measurement_json(m));
  if (!c.out.empty()) write_file_atomically(c.out, json.dump(2) + "\n");
}

}  // namespace

void add_peers_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("peers",
                                      "Training and inference beside PyTorch and ONNX Runtime, "
                                      "measured in turn: ratios of medians, "
                                      "what must and what should be reached");
  const auto command = std::make_shared<PeersCommand>();
  verb->add_option("--case", command->cases,
                   "Cases by name or its beginning: train, memory-vgg16_bn, infer-resnet44-b1 "
                   "(default: all; see --list)")
      ->delimiter(',');
  verb->add_flag("--list", command->list, "Print the names of the cases and end");
  verb->add_option("--rounds", command->rounds.rounds, "Rounds; every program works once in each")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  verb->add_option("--seconds", command->rounds.seconds,
                   "About how long a program works in a round, of at least three steps")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
  verb->add_option("--threads", command->threads,
                   "Computing threads; inference is measured with one as well")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  verb->add_option("--python", command->places.python, "Python that has PyTorch and torchvision")
      ->capture_default_str();
  verb->add_option("--node", command->places.node,
                   "Node.js; it finds onnxruntime-node in NODE_PATH, or in the folder that "
                   "ONNXRUNTIME_NODE names")
      ->capture_default_str();
  verb->add_option("--scripts", command->places.scripts, "Folder of the peers' scripts")
      ->capture_default_str();
  verb->add_option("--work", command->places.work,
                   "Folder for networks exported to ONNX, which are kept, and logs")
      ->capture_default_str();
  verb->add_option("--out", command->out, "Write all figures to this JSON file");
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
