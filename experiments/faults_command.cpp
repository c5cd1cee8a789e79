#include "experiments/faults_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/printable.h"
#include "core/provenance.h"
#include "core/threads.h"
#include "experiments/fault_scenarios.h"

namespace branchy {
namespace {

using nlohmann::ordered_json;

struct FaultsCommand {
  FaultOptions options;
  std::vector<std::string> names;
  std::string out;
};

std::vector<const FaultScenario*> chosen(const std::vector<std::string>& names) {
  std::vector<const FaultScenario*> scenarios;
  for (const std::string& name : names) {
    const FaultScenario* scenario = find_fault(name);
    if (scenario == nullptr)
      throw ConfigError(fmt::format("[faults] no scenario '{}'; see --help", printable(name)));
    scenarios.push_back(scenario);
  }
  if (!names.empty()) return scenarios;
  for (const auto all : {cloud_faults(), edge_faults()})
    for (const FaultScenario& scenario : all) scenarios.push_back(&scenario);
  return scenarios;
}

ordered_json to_json(const FaultScenario& scenario, const FaultOutcome& outcome) {
  return {{"name", scenario.name},        {"description", scenario.description},
          {"passed", outcome.passed()},   {"skipped", outcome.skipped},
          {"requests", outcome.requests}, {"right", outcome.right},
          {"wrong", outcome.wrong},       {"lost", outcome.lost},
          {"degraded", outcome.degraded}, {"errors", outcome.errors},
          {"problems", outcome.problems}, {"seconds", outcome.seconds}};
}

void run(FaultsCommand c) {
  const auto scenarios = chosen(c.names);
  set_num_threads(1);
  c.options.programs.work =
      std::filesystem::temp_directory_path() / fmt::format("branchy-faults-{}", ::getpid());
  c.options.edge_images = std::min(c.options.edge_images, c.options.images);
  const FaultGround ground = prepare_faults(c.options);
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json["seconds_of_load"] = c.options.seconds;
  json["connections"] = c.options.connections;
  json["threshold"] = ground.expected->threshold();
  int failed = 0;
  for (const FaultScenario* scenario : scenarios) {
    const auto begin = std::chrono::steady_clock::now();
    FaultOutcome outcome = scenario->run(ground);
    outcome.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    json["scenarios"].push_back(to_json(*scenario, outcome));
    const std::string verdict = !outcome.skipped.empty() ? "skipped: " + outcome.skipped
                                : outcome.passed()       ? "passed"
                                                         : "FAILED";
    fmt::print("{:<18} {:>7} requests, {:>7} right, {} wrong, {} lost, {} degraded, {:.1f} s: {}\n",
               scenario->name, outcome.requests, outcome.right, outcome.wrong, outcome.lost,
               outcome.degraded, outcome.seconds, verdict);
    for (const auto& [kind, count] : outcome.errors) fmt::print("    {} x {}\n", count, kind);
    for (const std::string& problem : outcome.problems) fmt::print("    {}\n", printable(problem));
    std::fflush(stdout);
    failed += outcome.passed() || !outcome.skipped.empty() ? 0 : 1;
  }
  if (!c.out.empty()) write_file_atomically(c.out, json.dump(2) + "\n");
  if (failed > 0) throw DataError(fmt::format("[faults] {} scenarios failed", failed));
  std::error_code ignored;
  std::filesystem::remove_all(c.options.programs.work, ignored);
}

std::string scenario_list() {
  std::string text = "Scenarios to run (default: all):";
  for (const auto all : {cloud_faults(), edge_faults()})
    for (const FaultScenario& scenario : all)
      text += fmt::format("\n{}: {}", scenario.name, scenario.description);
  return text;
}

}  // namespace

void add_faults_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "faults",
      "Run a real cloud and real edges under load while something goes wrong; every answer is "
      "checked, none may be lost or wrong");
  const auto command = std::make_shared<FaultsCommand>();
  FaultOptions& options = command->options;
  verb->add_option("--edge", options.edge_model, "The edge file of `branchy export`")->required();
  verb->add_option("--cloud-model", options.cloud_model, "The cloud file")->required();
  verb->add_option("--data", options.data, "cifar10:DIR, cifar100:DIR or folder:DIR")->required();
  verb->add_option("--scenario", command->names, scenario_list())->allow_extra_args(false);
  verb->add_option("--images", options.images, "Test images whose features clients send")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  verb->add_option("--edge-images", options.edge_images, "Of them, those that edges classify")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  verb->add_option("--seconds", options.seconds, "Of load in each scenario")
      ->check(CLI::Range(0.1, 86'400.0))
      ->capture_default_str();
  verb->add_option("--stall-seconds", options.stall_seconds, "How long the link stands still")
      ->check(CLI::Range(0.0, 600.0))
      ->capture_default_str();
  verb->add_option("--connections", options.connections, "Clients of the cloud")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  verb->add_option("--idle-connections", options.idle_connections, "Beside them, for cloud-idle")
      ->check(CLI::Range(100, 60'000))
      ->capture_default_str();
  verb->add_option("--malformed", options.malformed, "Malformed requests")
      ->check(CLI::Range(1, 100'000'000))
      ->capture_default_str();
  verb->add_option("--seed", options.seed, "Of malformed requests")->capture_default_str();
  verb->add_option("--cloud-option", options.cloud_options, "Added to each branchy-cloud")
      ->allow_extra_args(false);
  verb->add_option("--bin", options.programs.bin,
                   "Folder of the programs (default: that of this one)");
  verb->add_option("--out", command->out, "Write the figures to this JSON file");
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
