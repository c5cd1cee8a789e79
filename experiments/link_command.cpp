#include "experiments/link_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/printable.h"
#include "experiments/link_calibration.h"
#include "experiments/link_emulator.h"
#include "infer/shutdown_signal.h"

namespace branchy {
namespace {

struct LinkCommand {
  std::string listen = "127.0.0.1:0", to, script, port_file;
  LinkConditions conditions;
  std::uint64_t seed = 1;
  bool self_test = false;
};

std::pair<std::string, int> host_and_port(const std::string& flag, const std::string& text) {
  const std::size_t colon = text.rfind(':');
  int port = -1;
  if (colon != std::string::npos) {
    const char* end = text.data() + text.size();
    const auto read = std::from_chars(text.data() + colon + 1, end, port);
    if (read.ec != std::errc() || read.ptr != end) port = -1;
  }
  if (port < 0 || port > 65535)
    throw ConfigError(
        fmt::format("[link] {} is '{}', expected ADDRESS:PORT", flag, printable(text)));
  return {text.substr(0, colon), port};
}

// Prints what transfers take and fails when one is more than 5 % + 1 ms off.
void self_test(LinkConditions conditions) {
  if (conditions.up_mbit == 0) conditions.up_mbit = conditions.down_mbit = 94;
  if (conditions.round_trip_ms == 0) conditions.round_trip_ms = 12.8;
  if (conditions.jitter_ms != 0)
    throw ConfigError("[link] --self-test has no expectation for --jitter-ms; leave it out");
  fmt::print("{:>10} {:>12} {:>12} {:>12} {:>12}\n", "bytes", "connection", "expected ms",
             "least ms", "median ms");
  bool right = true;
  for (const LinkCalibration& row :
       calibrate_link(conditions, {64, 1'200, 30'000, 150'528, 2'000'000}, 9)) {
    right = right && row.least_ms >= row.expected_ms - 0.05 &&
            std::abs(row.least_ms - row.expected_ms) <= 0.05 * row.expected_ms + 1;
    fmt::print("{:>10} {:>12} {:>12.3f} {:>12.3f} {:>12.3f}\n", row.bytes,
               row.new_connection ? "new" : "kept", row.expected_ms, row.least_ms, row.median_ms);
  }
  if (!right)
    throw DataError("[link] a transfer is more than 5 % + 1 ms off; is the machine busy?");
}

void run(const LinkCommand& c) {
  if (c.self_test) return self_test(c.conditions);
  if (c.to.empty()) throw ConfigError("[link] give --to ADDRESS:PORT, or --self-test");
  const auto [target_host, target_port] = host_and_port("--to", c.to);
  const auto [listen_host, listen_port] = host_and_port("--listen", c.listen);
  LinkOptions options{.listen_host = listen_host,
                      .listen_port = listen_port,
                      .target_host = target_host,
                      .target_port = target_port,
                      .conditions = c.conditions,
                      .seed = c.seed};
  if (!c.script.empty()) options.script = load_link_script(c.script);
  const ShutdownSignal shutdown;
  const LinkEmulator link(options);
  if (!c.port_file.empty()) write_file_atomically(c.port_file, fmt::format("{}\n", link.port()));
  fmt::print(stderr, "listening on {}:{}\n", listen_host, link.port());
  shutdown.wait();
  const LinkStats stats = link.stats();
  fmt::print("{}\n", nlohmann::ordered_json{{"connections", stats.connections},
                                            {"open", stats.open},
                                            {"resets", stats.resets},
                                            {"up_bytes", stats.up_bytes},
                                            {"down_bytes", stats.down_bytes}}
                         .dump());
}

}  // namespace

void add_link_options(CLI::App& app, LinkConditions& conditions) {
  const auto number = [&](const std::string& flag, double& value, const std::string& text) {
    return app.add_option(flag, value, text)->check(CLI::NonNegativeNumber)->capture_default_str();
  };
  auto* up = number("--up-mbit", conditions.up_mbit, "Payload Mbit/s to the target; 0: unlimited");
  auto* down =
      number("--down-mbit", conditions.down_mbit, "Payload Mbit/s from the target; 0: unlimited");
  app.add_option_function<double>(
         "--mbit",
         [&conditions](double value) { conditions.up_mbit = conditions.down_mbit = value; },
         "Both of them")
      ->check(CLI::NonNegativeNumber)
      ->excludes(up)
      ->excludes(down);
  number("--round-trip-ms", conditions.round_trip_ms, "Round trip without transfer");
  number("--jitter-ms", conditions.jitter_ms, "Each segment takes up to so much longer");
}

void add_link_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "link",
      "A TCP relay that makes loopback behave like a network: bandwidth, round trip, jitter, "
      "resets, stalls, black holes, half answers; scripted over time; prints its counts as JSON "
      "when stopped");
  const auto command = std::make_shared<LinkCommand>();
  verb->add_option("--to", command->to, "ADDRESS:PORT that connections are relayed to");
  verb->add_option("--listen", command->listen, "ADDRESS:PORT to listen on, port 0 for a free one")
      ->capture_default_str();
  verb->add_option("--port-file", command->port_file, "Write the port here when ready");
  add_link_options(*verb, command->conditions);
  verb->add_option("--reset-probability", command->conditions.reset_probability,
                   "Chance of each segment of 1460 bytes to reset its connection")
      ->check(CLI::Range(0.0, 1.0));
  verb->add_option("--reset-after-bytes", command->conditions.reset_after_bytes,
                   "Reset each connection after so many bytes, both ways together")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--cut-answer-after-bytes", command->conditions.cut_answer_after_bytes,
                   "Close each connection orderly after so many bytes from the target")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--script", command->script,
                   "JSON file of changes over time: {\"loop_ms\": 4000, \"changes\": [{\"at_ms\": "
                   "1000, \"stalled\": true}, {\"at_ms\": 2000, \"stalled\": false, \"mbit\": 5, "
                   "\"reset\": true}]}; names are the flags' with _, and stalled, black_hole, "
                   "reset (all open connections, now)");
  verb->add_option("--seed", command->seed, "Of jitter and resets")->capture_default_str();
  verb->add_flag("--self-test", command->self_test,
                 "Measure transfers against bytes * 8 / bandwidth + round trip (default link: 94 "
                 "Mbit/s, 12.8 ms)");
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
