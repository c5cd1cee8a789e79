#include "experiments/ceiling_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/machine_ceiling.h"
#include "core/threads.h"

namespace branchy {

namespace {

void run(std::int64_t threads) {
  set_num_threads(threads);
  const MachineCeiling ceiling = measure_machine_ceiling();
  const nlohmann::ordered_json json{
      {"threads", threads}, {"gflops", ceiling.gflops}, {"gb_per_second", ceiling.gb_per_second}};
  fmt::print("{}\n", json.dump());
}

}  // namespace

void add_ceiling_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "ceiling", "Multiply-adds and memory traffic that this machine gives now, as a line of JSON");
  const auto threads = std::make_shared<std::int64_t>(num_available_cpus());
  verb->add_option("--threads", *threads, "Compute threads")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  verb->callback([threads] { run(*threads); });
}

}  // namespace branchy
