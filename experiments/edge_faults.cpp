// Real branchy-edges with a real branchy-cloud while something goes wrong: every image is answered,
// rightly, or marked as degraded with the most confident exit that the edge has.
#include <fmt/format.h>
#include <sys/mount.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>
#include <set>
#include <thread>

#include "experiments/fault_ground.h"
#include "experiments/link_emulator.h"
#include "experiments/tampering_proxy.h"

namespace branchy {
namespace {

using detail::await;
using std::chrono::milliseconds;

// Slow enough that an edge is still at work when something happens to it.
constexpr LinkConditions kLink{.round_trip_ms = 4};

CloudProgram start_cloud(const FaultGround& ground, int port = 0) {
  const FaultOptions& o = ground.options;
  return CloudProgram(o.programs, o.cloud_model, o.cloud_options, port);
}

std::vector<std::string> edge_options(const FaultGround& ground, int port, int timeout_ms) {
  return {"--cloud",      loopback_url(port),
          "--data",       ground.options.data,
          "--limit",      std::to_string(ground.options.edge_images),
          "--threshold",  fmt::format("{:.9g}", ground.expected->threshold()),
          "--timeout-ms", std::to_string(timeout_ms)};
}

// Of an edge, which sends a code where it has a codec.
std::int64_t edge_request_bytes(const FaultGround& ground) {
  const std::int64_t whole = detail::request_bytes(ground);
  const std::int64_t code = ground.expected->code_bytes();
  if (code == 0) return whole;
  const Tensor& features = ground.recorded.features;
  return whole - features.size() / features.dim(0) * std::int64_t{sizeof(float)} + code;
}

// What an edge that has ended made of its images.
FaultOutcome check_edge(const FaultGround& ground, ChildProgram& edge, const std::string& name) {
  FaultOutcome outcome{.requests = ground.options.edge_images};
  const auto code = edge.wait(std::chrono::seconds(180));
  if (code != 0)
    outcome.problems.push_back(
        fmt::format("the edge ended with {}: {}", code.value_or(-1), edge.log()));
  std::set<std::int64_t> seen;
  for (const EdgeLine& line :
       parse_edge_lines(file_text(edge_results(ground.options.programs, name)))) {
    const std::string wrong = ground.expected->wrong_with(line);
    if (!seen.insert(line.index).second)
      outcome.problems.push_back(fmt::format("image {} was answered twice", line.index));
    if (!wrong.empty()) {
      ++outcome.wrong;
      if (outcome.problems.size() < 5) outcome.problems.push_back(wrong);
      continue;
    }
    ++outcome.right;
    if (!line.degraded) continue;
    ++outcome.degraded;
    ++outcome.errors["degraded: " + line.reason];
  }
  outcome.lost = outcome.requests - std::ssize(seen);
  return outcome;
}

// An edge behind a link, and what happens to it while it is at work.
FaultOutcome with_link(const FaultGround& ground, const std::string& name, int timeout_ms,
                       const std::function<void(CloudProgram&, LinkEmulator&)>& disturb,
                       const LinkScript& script = {}) {
  CloudProgram cloud = start_cloud(ground);
  LinkEmulator link({.target_port = cloud.port(), .conditions = kLink, .script = script});
  const auto edge = start_edge(ground.options.programs, name, ground.options.edge_model,
                               edge_options(ground, link.port(), timeout_ms));
  // Twice as many as can be on their way at once, so that some are answered before.
  const std::int64_t some = 8 * edge_request_bytes(ground);
  const bool at_work =
      await([&] { return link.stats().up_bytes > some || !edge->running(); }) && edge->running();
  if (disturb) disturb(cloud, link);
  FaultOutcome outcome = check_edge(ground, *edge, name);
  if (disturb && !at_work)
    outcome.problems.emplace_back("the edge was not at work when it was disturbed");
  return outcome;
}

void require_degraded(FaultOutcome& outcome, const FaultGround& ground) {
  if (outcome.degraded == 0) outcome.problems.emplace_back("no answer was degraded");
  if (outcome.degraded >= ground.expected->num_offloaded())
    outcome.problems.emplace_back("every answer of the cloud was degraded");
}

FaultOutcome undisturbed(const FaultGround& ground) {
  FaultOutcome outcome = with_link(ground, "undisturbed", 60'000, nullptr);
  if (outcome.degraded > 0) outcome.problems.emplace_back("degraded without any fault");
  return outcome;
}

FaultOutcome killed(const FaultGround& ground) {
  FaultOutcome outcome =
      with_link(ground, "killed", 2'000, [&](CloudProgram& cloud, LinkEmulator&) {
        const int port = cloud.port();
        cloud.process().signal(SIGKILL);
        (void)cloud.process().wait(std::chrono::seconds(10));
        std::this_thread::sleep_for(milliseconds(100));
        cloud = start_cloud(ground, port);
      });
  require_degraded(outcome, ground);
  return outcome;
}

FaultOutcome stalled(const FaultGround& ground) {
  FaultOutcome outcome = with_link(ground, "stalled", 300, [&](CloudProgram&, LinkEmulator& link) {
    LinkConditions still = kLink;
    still.stalled = true;
    link.set(still);
    std::this_thread::sleep_for(milliseconds(static_cast<int>(ground.options.stall_seconds * 1e3)));
    link.set(kLink);
  });
  require_degraded(outcome, ground);
  return outcome;
}

FaultOutcome black_hole(const FaultGround& ground) {
  FaultOutcome outcome =
      with_link(ground, "black_hole", 300, [&](CloudProgram&, LinkEmulator& link) {
        LinkConditions hole = kLink;
        hole.black_hole = true;
        link.set(hole);
        std::this_thread::sleep_for(milliseconds(400));
        link.set(kLink);
      });
  require_degraded(outcome, ground);
  return outcome;
}

FaultOutcome reset(const FaultGround& ground) {
  return with_link(ground, "reset", 5'000, nullptr,
                   detail::resets_in_every_phase(edge_request_bytes(ground)));
}

FaultOutcome tampered(const FaultGround& ground) {
  CloudProgram cloud = start_cloud(ground);
  // A right answer after each spoilt one, so that the circuit breaker stays closed.
  std::vector<Tampering> sequence;
  for (const Tampering tampering : all_tamperings()) {
    sequence.push_back(tampering);
    sequence.push_back(Tampering::kNone);
  }
  const TamperingProxy proxy(cloud.port(), sequence);
  const auto edge = start_edge(ground.options.programs, "tampered", ground.options.edge_model,
                               edge_options(ground, proxy.port(), 5'000));
  FaultOutcome outcome = check_edge(ground, *edge, "tampered");
  if (proxy.num_tampered() < 2 * std::ssize(sequence))
    outcome.problems.push_back(fmt::format("only {} answers were spoilt", proxy.num_tampered()));
  return outcome;
}

FaultOutcome full_disk(const FaultGround& ground) {
  const auto work = ground.options.programs.work / "full";
  std::filesystem::create_directories(work);
  const auto disk = work / "disk";
  std::filesystem::create_directories(disk);
  CloudProgram cloud = start_cloud(ground);
  FaultOutcome results;
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=8k") == 0) {
    ProgramOptions full = ground.options.programs;
    full.work = disk;
    std::filesystem::create_symlink(work / "edge.log", disk / "results.log");
    std::filesystem::create_symlink(work / "edge.log.out", disk / "results.log.out");
    auto edge = start_edge(full, "results", ground.options.edge_model,
                           edge_options(ground, cloud.port(), 10'000));
    const auto code = edge->wait(std::chrono::seconds(120));
    const std::string log = edge->log();
    if (code != 1 || log.find("results.jsonl") == std::string::npos)
      results.problems.push_back(
          fmt::format("results on a full disk: code {}, '{}'", code.value_or(-1), log));
    if (std::filesystem::exists(edge_results(full, "results")))
      results.problems.emplace_back("a part of the results is there as if it were all");
    edge.reset();
    ::umount2(disk.c_str(), MNT_DETACH);
  } else {
    results.errors[fmt::format("no small disk: {}", std::strerror(errno))] = 1;
  }
  // Its log goes nowhere, while it has something to say: the cloud dies.
  const auto log = ground.options.programs.work / "unlogged.log";
  std::filesystem::remove(log);
  std::filesystem::create_symlink("/dev/full", log);
  const auto edge = start_edge(ground.options.programs, "unlogged", ground.options.edge_model,
                               edge_options(ground, cloud.port(), 2'000));
  cloud.process().signal(SIGKILL);
  FaultOutcome outcome = check_edge(ground, *edge, "unlogged");
  outcome.problems.insert(outcome.problems.end(), results.problems.begin(), results.problems.end());
  outcome.errors.insert(results.errors.begin(), results.errors.end());
  return outcome;
}

FaultOutcome clock_jump(const FaultGround& ground) {
  FaultGround under{.options = ground.options, .recorded = ground.recorded, .expected = nullptr};
  under.expected = std::make_unique<ExpectedAnswers>(*ground.expected);
  const auto offset = ground.options.programs.work / "edge_clock";
  std::filesystem::create_directories(ground.options.programs.work);
  if (!detail::put_under_faketime(under.options.programs, offset))
    return {.skipped = "libfaketime is not there (Debian package faketime)"};
  FaultOutcome outcome = with_link(under, "clock_jump", 5'000, [&](CloudProgram&, LinkEmulator&) {
    for (const int seconds : {86'400, -86'400, 0}) {
      detail::set_clock_offset(offset, seconds);
      std::this_thread::sleep_for(milliseconds(100));
    }
  });
  if (outcome.degraded > 0)
    outcome.problems.emplace_back("a jump of the wall clock degraded answers");
  return outcome;
}

constexpr std::array kScenarios{
    FaultScenario{"edge-undisturbed", "no fault, to compare", undisturbed},
    FaultScenario{"edge-cloud-killed", "kill -9 of the cloud and restart", killed},
    FaultScenario{"edge-stalled", "the link stands still", stalled},
    FaultScenario{"edge-black-hole", "the link swallows what is sent", black_hole},
    FaultScenario{"edge-reset", "connections are reset in every phase of a request, answers cut",
                  reset},
    FaultScenario{"edge-tampered",
                  "garbage, half answers, wrong lengths, wrong ids, 500, 503 instead of answers",
                  tampered},
    FaultScenario{"edge-full-disk", "no room for log and results", full_disk},
    FaultScenario{"edge-clock-jump", "the wall clock jumps by a day, both ways", clock_jump},
};

}  // namespace

std::span<const FaultScenario> edge_faults() { return kScenarios; }

}  // namespace branchy
