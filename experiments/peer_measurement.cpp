#include "experiments/peer_measurement.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.h"
#include "experiments/split_programs.h"
#include "experiments/step_program.h"

namespace branchy {

namespace {

namespace fs = std::filesystem;

/// The flags that make the network of peers/torch_networks.py.
std::vector<std::string> network_flags_of(const std::string& network) {
  if (network == "mobilenet_v2")
    return {"--net", network, "--classes", "257", "--exits", "5", "--option", "input=224"};
  return {"--net", network, "--classes", "10", "--exits", "2"};
}

std::string own_program() { return fs::read_symlink("/proc/self/exe").string(); }

StepProgramOptions branchy_program(const PeerSetting& setting, std::int64_t threads) {
  const bool infers = setting.opponent == Opponent::kOnnxRuntime;
  StepProgramOptions options{
      .name = threads == setting.threads ? "branchy" : fmt::format("branchy-t{}", threads),
      .command = {own_program(), infers ? "infer-step" : "train-step"}};
  for (const std::string& flag : network_flags_of(setting.network)) options.command.push_back(flag);
  for (const std::string& flag :
       {std::string("--batch"), std::to_string(setting.batch), std::string("--threads"),
        std::to_string(threads), std::string("--on-request")})
    options.command.push_back(flag);
  return options;
}

std::string script(const PeerPlaces& places, const std::string& name) {
  const fs::path path = places.scripts / name;
  std::error_code ignored;
  if (!fs::exists(path, ignored))
    throw ConfigError(fmt::format(
        "[{}] there is no such script; start in the folder of the sources, or give --scripts",
        path.string()));
  return path.string();
}

StepProgramOptions pytorch_program(const PeerSetting& setting, const PeerPlaces& places,
                                   const std::string& layout) {
  const std::string threads = std::to_string(setting.threads);
  return {.name = "pytorch-" + layout,
          .command = {places.python, script(places, "torch_step.py"), setting.network, "--batch",
                      std::to_string(setting.batch), "--threads", threads, "--layout", layout,
                      "--on-request"},
          .environment = {{"OMP_NUM_THREADS", threads}}};
}

/// Exports the network where that has not been done.
StepProgramOptions onnx_program(const PeerSetting& setting, const PeerPlaces& places) {
  const fs::path model = places.work / (setting.network + ".onnx");
  if (!fs::exists(fs::path(model).replace_extension(".json")))
    run_to_end({.command = {places.python, script(places, "torch_export_onnx.py"), setting.network,
                            model.string()},
                .log = places.work / "export.log"});
  return {.name = "onnxruntime",
          .command = {places.node, script(places, "onnx_step.js"), model.string(), "--batch",
                      std::to_string(setting.batch), "--threads", std::to_string(setting.threads),
                      "--on-request"}};
}

std::vector<StepProgramOptions> programs_of(const PeerSetting& setting, const PeerPlaces& places) {
  std::vector<StepProgramOptions> programs{branchy_program(setting, setting.threads)};
  switch (setting.opponent) {
    case Opponent::kPyTorch:
      programs.push_back(pytorch_program(setting, places, "nchw"));
      programs.push_back(pytorch_program(setting, places, "channels_last"));
      break;
    case Opponent::kOnnxRuntime:
      programs.push_back(onnx_program(setting, places));
      break;
    case Opponent::kOneThread:
      programs.push_back(branchy_program(setting, 1));
      break;
  }
  return programs;
}

MachineCeiling ceiling_of(const PeerSetting& setting, const PeerPlaces& places) {
  const std::vector<std::string> command{own_program(), "ceiling", "--threads",
                                         std::to_string(setting.threads)};
  const auto json =
      nlohmann::json::parse(hear_once({.name = "ceiling", .command = command}, places.work));
  return {.gflops = json.value("gflops", 0.0), .gb_per_second = json.value("gb_per_second", 0.0)};
}

constexpr const char* kBusyUntilOrphaned =
    "while kill -0 $PPID 2>/dev/null; do i=0; while [ $i -lt 10000 ]; do i=$((i+1)); done; done";

/// A process that computes on the last CPU that this one may use.
std::unique_ptr<ChildProgram> busy_process(const PeerPlaces& places) {
  cpu_set_t set;
  CPU_ZERO(&set);
  ::sched_getaffinity(0, sizeof set, &set);
  int last = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) last = cpu;
  return std::make_unique<ChildProgram>(
      ChildOptions{.command = {"/bin/sh", "-c", kBusyUntilOrphaned},
                   .log = places.work / "busy.log",
                   .cpus = {last}});
}

void expect_same_network(const StepProgram& ours, const StepProgram& theirs) {
  if (ours.parameters() == theirs.parameters() && ours.macs() == theirs.macs()) return;
  throw DataError(fmt::format(
      "[peers] {} has {} parameters and {} multiply-adds, {} has {} and {}; expected the same "
      "network (one exported by another version? remove it from --work)",
      theirs.name(), theirs.parameters(), theirs.macs(), ours.name(), ours.parameters(),
      ours.macs()));
}

using Programs = std::vector<std::unique_ptr<StepProgram>>;

Programs start(const PeerSetting& setting, const PeerPlaces& places) {
  Programs programs;
  for (const StepProgramOptions& options : programs_of(setting, places)) {
    programs.push_back(std::make_unique<StepProgram>(options, places.work));
    expect_same_network(*programs.front(), *programs.back());
  }
  return programs;
}

std::vector<ProgramFigures> run_rounds(const Programs& programs, const PeerRounds& rounds,
                                       const std::function<void(const std::string&)>& progress) {
  std::vector<ProgramFigures> figures;
  std::vector<double> latest;  // milliseconds of a step, for the number of steps in a round
  for (const auto& program : programs) {
    figures.push_back({.name = program->name(), .program = program->program(), .ms = {}});
    latest.push_back(program->median_ms(1));
    if (latest.back() < 100) latest.back() = program->median_ms(10);
  }
  for (std::int64_t round = 0; round < rounds.rounds; ++round) {
    std::string line = fmt::format("round {}:", round + 1);
    for (std::size_t turn = 0; turn < programs.size(); ++turn) {
      const std::size_t i = (turn + static_cast<std::size_t>(round)) % programs.size();
      const double steps = std::clamp(1000.0 * rounds.seconds / latest[i], 3.0, 1e5);
      latest[i] = programs[i]->median_ms(static_cast<std::int64_t>(steps));
      figures[i].ms.push_back(latest[i]);
    }
    for (std::size_t i = 0; i < programs.size(); ++i)
      line += fmt::format(" {} {:.2f} ms", figures[i].name, latest[i]);
    progress(line);
  }
  for (std::size_t i = 0; i < programs.size(); ++i) figures[i].peak_mib = programs[i]->peak_mib();
  return figures;
}

double change(double a, double b) { return std::abs(a - b) / std::max({a, b, 1e-9}); }

}  // namespace

double PeerMeasurement::ceiling_drift() const {
  return std::max(change(before.gflops, after.gflops),
                  change(before.gb_per_second, after.gb_per_second));
}

PeerMeasurement measure_peers(const PeerSetting& setting, const PeerPlaces& places,
                              const PeerRounds& rounds,
                              const std::function<void(const std::string&)>& progress) {
  fs::create_directories(places.work);
  PeerMeasurement measurement{.setting = setting, .programs = {}};
  measurement.before = ceiling_of(setting, places);
  {
    const Programs programs = start(setting, places);
    std::unique_ptr<ChildProgram> busy;
    if (setting.busy_cpu) busy = busy_process(places);
    measurement.programs = run_rounds(programs, rounds, progress);
  }
  measurement.after = ceiling_of(setting, places);
  return measurement;
}

}  // namespace branchy
