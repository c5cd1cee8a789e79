// Clients of a real branchy-cloud while something goes wrong: nothing is lost, nothing is wrong.
#include <fmt/format.h>

#include <array>
#include <csignal>
#include <thread>

#include "core/error.h"
#include "experiments/fault_ground.h"
#include "experiments/hostile_clients.h"
#include "experiments/link_emulator.h"
#include "experiments/malformed_requests.h"

namespace branchy {
namespace {

using detail::await;
using detail::fault_load;
using detail::stop_cloud;
using detail::to_outcome;
using std::chrono::milliseconds;

milliseconds share_of_load(const FaultGround& ground, double share) {
  return milliseconds(static_cast<int>(share * ground.options.seconds * 1e3));
}

CloudProgram start(const FaultGround& ground, std::vector<std::string> options = {}, int port = 0) {
  const FaultOptions& o = ground.options;
  options.insert(options.end(), o.cloud_options.begin(), o.cloud_options.end());
  return CloudProgram(o.programs, o.cloud_model, std::move(options), port);
}

FaultOutcome undisturbed(const FaultGround& ground) {
  CloudProgram cloud = start(ground);
  LoadGenerator load(ground.recorded, fault_load(ground, cloud.port()));
  FaultOutcome outcome = to_outcome(load.finish());
  if (!outcome.errors.empty()) outcome.problems.emplace_back("errors without any fault");
  stop_cloud(cloud, outcome);
  return outcome;
}

FaultOutcome killed(const FaultGround& ground) {
  auto cloud = std::make_unique<CloudProgram>(start(ground));
  const int port = cloud->port();
  LoadGenerator load(ground.recorded, fault_load(ground, port));
  bool at_work = true;
  for (int round = 0; round < 2; ++round) {
    const std::int64_t before = load.answered();
    at_work = at_work && await([&] { return load.answered() > before + 50; });
    cloud->process().signal(SIGKILL);
    at_work = at_work && cloud->process().wait(std::chrono::seconds(10)) == 128 + SIGKILL;
    cloud = std::make_unique<CloudProgram>(start(ground, {}, port));
  }
  FaultOutcome outcome = to_outcome(load.finish());
  if (!at_work) outcome.problems.emplace_back("the cloud was not at work when it was killed");
  if (outcome.errors.empty()) outcome.problems.emplace_back("nobody noticed that it was killed");
  stop_cloud(*cloud, outcome);
  return outcome;
}

FaultOutcome terminated(const FaultGround& ground) {
  auto cloud = std::make_unique<CloudProgram>(start(ground));
  const int port = cloud->port();
  LoadGenerator load(ground.recorded, fault_load(ground, port));
  const bool at_work = await([&] { return load.answered() > 50; });
  FaultOutcome early;
  stop_cloud(*cloud, early);
  cloud = std::make_unique<CloudProgram>(start(ground, {}, port));
  FaultOutcome outcome = to_outcome(load.finish());
  outcome.problems.insert(outcome.problems.end(), early.problems.begin(), early.problems.end());
  if (!at_work) outcome.problems.emplace_back("the cloud was not at work when it was stopped");
  stop_cloud(*cloud, outcome);
  return outcome;
}

FaultOutcome stalled(const FaultGround& ground) {
  CloudProgram cloud = start(ground);
  LinkEmulator link({.target_port = cloud.port()});
  LoadGenerator load(ground.recorded, fault_load(ground, link.port()));
  const bool at_work = await([&] { return load.answered() > 20; });
  link.set({.stalled = true});
  std::this_thread::sleep_for(milliseconds(static_cast<int>(ground.options.stall_seconds * 1e3)));
  const std::int64_t during = load.answered();
  link.set({});
  const bool goes_on = await([&] { return load.answered() > during + 20; });
  FaultOutcome outcome = to_outcome(load.finish());
  if (!at_work || !goes_on) outcome.problems.emplace_back("no load before or after the stall");
  stop_cloud(cloud, outcome);
  return outcome;
}

FaultOutcome reset(const FaultGround& ground) {
  CloudProgram cloud = start(ground);
  FaultOutcome outcome;
  {
    const LinkEmulator link(
        {.target_port = cloud.port(),
         .script = detail::resets_in_every_phase(detail::request_bytes(ground))});
    LoadGenerator load(ground.recorded, fault_load(ground, link.port()));
    outcome = to_outcome(load.finish());
    if (link.stats().resets < 20)
      outcome.problems.push_back(fmt::format("only {} resets", link.stats().resets));
  }
  stop_cloud(cloud, outcome);
  return outcome;
}

FaultOutcome idle_connections(const FaultGround& ground) {
  // The cloud needs as many files as this process.
  const std::int64_t most = raise_open_files_limit() - 500;
  const std::int64_t count = std::min(ground.options.idle_connections, most);
  if (count < 100) return {.skipped = fmt::format("only {} files may be open", most + 500)};
  CloudProgram cloud = start(
      ground, {"--max-connections", std::to_string(count + ground.options.connections + 100)});
  IdleConnections idle(cloud.port(), count);
  LoadGenerator load(ground.recorded, fault_load(ground, cloud.port()));
  FaultOutcome outcome = to_outcome(load.finish());
  if (idle.size() < count)
    outcome.problems.push_back(fmt::format("{} idle connections, wanted {}", idle.size(), count));
  if (!outcome.errors.empty()) outcome.problems.emplace_back("the idle ones disturbed the others");
  // The server ends a connection that says nothing for ten seconds.
  if (ground.options.seconds < 9 && idle.num_ended() > 0)
    outcome.problems.push_back(fmt::format("{} idle connections ended early", idle.num_ended()));
  stop_cloud(cloud, outcome);
  return outcome;
}

FaultOutcome slow_loris(const FaultGround& ground) {
  CloudProgram cloud = start(ground);
  IdleConnections slow(cloud.port(), 200);
  LoadGenerator load(ground.recorded, fault_load(ground, cloud.port()));
  const auto end = std::chrono::steady_clock::now() + share_of_load(ground, 1);
  while (std::chrono::steady_clock::now() < end) {
    slow.drip();
    std::this_thread::sleep_for(milliseconds(200));
  }
  FaultOutcome outcome = to_outcome(load.finish());
  if (slow.size() < 200) outcome.problems.emplace_back("the slow ones could not connect");
  if (!outcome.errors.empty()) outcome.problems.emplace_back("the slow ones disturbed the others");
  // The time-out for a header is 10 s.
  if (ground.options.seconds >= 15 && slow.num_ended() < slow.size())
    outcome.problems.push_back(
        fmt::format("{} slow clients were never disconnected", slow.size() - slow.num_ended()));
  stop_cloud(cloud, outcome);
  return outcome;
}

FaultOutcome huge_body(const FaultGround& ground) {
  CloudProgram cloud = start(ground);
  LoadGenerator load(ground.recorded, fault_load(ground, cloud.port()));
  const std::string path = "/v2/models/" + ground.recorded.model + "/infer";
  std::vector<std::string> problems;
  for (const bool chunked : {false, true}) {
    const HugeBodyAnswer answer = send_huge_body(cloud.port(), path, 1LL << 30, chunked);
    // A body of known length is refused unread; the other once it is beyond the limit (16 MiB).
    const std::int64_t most = (chunked ? 48LL : 16LL) << 20;  // with what sockets hold
    if (answer.status != 413 || answer.bytes_sent > most)
      problems.push_back(fmt::format("1 GiB, {}: status {} after {} bytes",
                                     chunked ? "chunked" : "of known length", answer.status,
                                     answer.bytes_sent));
  }
  const std::int64_t peak = cloud.process().peak_bytes();
  FaultOutcome outcome = to_outcome(load.finish());
  outcome.problems.insert(outcome.problems.end(), problems.begin(), problems.end());
  if (!outcome.errors.empty()) outcome.problems.emplace_back("it disturbed the others");
  if (peak > 1LL << 30) outcome.problems.push_back(fmt::format("the cloud grew to {} bytes", peak));
  stop_cloud(cloud, outcome);
  return outcome;
}

FaultOutcome malformed_requests(const FaultGround& ground) {
  CloudProgram cloud = start(ground);
  const HttpUrl url{.host = "127.0.0.1", .port = cloud.port()};
  const std::string good = feature_request(ground.recorded, url, 0, 1, {}, "0000000000");
  const MalformedReport report =
      send_malformed(good, cloud.port(), ground.options.malformed, 4, ground.options.seed);
  LoadOptions after = fault_load(ground, cloud.port());
  after.limit = 100;
  LoadGenerator load(ground.recorded, after);
  FaultOutcome outcome = to_outcome(load.finish());
  if (!outcome.errors.empty()) outcome.problems.emplace_back("errors afterwards");
  for (const auto& [status, count] : report.by_status)
    outcome.errors[status == 0 ? "malformed: closed" : fmt::format("malformed: {}", status)] =
        count;
  if (report.no_http + report.silent + report.refused > 0)
    outcome.problems.push_back(
        fmt::format("of {} malformed requests {} got no HTTP, {} nothing, {} no connection",
                    report.sent, report.no_http, report.silent, report.refused));
  // Changed bits make finite numbers that overflow in the network; all else would be a defect.
  const std::string log = cloud.process().log();
  for (std::size_t at = log.find("failure: "); at != std::string::npos;
       at = log.find("failure: ", at + 1)) {
    const std::string failure = log.substr(at, log.find('\n', at) - at);
    if (failure.find("not finite") == std::string::npos) outcome.problems.push_back(failure);
  }
  if (report.by_status.count(400) == 0) outcome.problems.emplace_back("no malformed one got 400");
  stop_cloud(cloud, outcome);
  return outcome;
}

FaultOutcome full_disk(const FaultGround& ground) {
  FaultGround full{.options = ground.options, .recorded = ground.recorded, .expected = nullptr};
  // The log goes to a link that leads to the device which is always full.
  full.options.programs.work = ground.options.programs.work / "full";
  std::filesystem::create_directories(full.options.programs.work);
  const auto log = full.options.programs.work / "cloud.log";
  std::filesystem::remove(log);
  std::filesystem::create_symlink("/dev/full", log);
  CloudProgram cloud = start(full, {"--log-requests"});
  LoadGenerator load(ground.recorded, fault_load(ground, cloud.port()));
  FaultOutcome outcome = to_outcome(load.finish());
  if (!outcome.errors.empty()) outcome.problems.emplace_back("a full disk disturbed the clients");
  outcome.seconds = 0;
  cloud.process().signal(SIGTERM);
  if (cloud.process().wait(std::chrono::seconds(60)) != 0)
    outcome.problems.emplace_back("the cloud did not end with 0");
  return outcome;
}

FaultOutcome clock_jump(const FaultGround& ground) {
  FaultGround under{.options = ground.options, .recorded = ground.recorded, .expected = nullptr};
  const auto offset = ground.options.programs.work / "clock";
  std::filesystem::create_directories(ground.options.programs.work);
  if (!detail::put_under_faketime(under.options.programs, offset))
    return {.skipped = "libfaketime is not there (Debian package faketime)"};
  CloudProgram cloud = start(under);
  LoadGenerator load(ground.recorded, fault_load(ground, cloud.port()));
  for (const int seconds : {86'400, -86'400, 0}) {
    std::this_thread::sleep_for(share_of_load(ground, 0.25));
    detail::set_clock_offset(offset, seconds);
  }
  FaultOutcome outcome = to_outcome(load.finish());
  if (!outcome.errors.empty()) outcome.problems.emplace_back("a jump disturbed the clients");
  stop_cloud(cloud, outcome);
  return outcome;
}

constexpr std::array kScenarios{
    FaultScenario{"cloud-undisturbed", "no fault, to compare", undisturbed},
    FaultScenario{"cloud-killed", "kill -9 of the cloud and restart, twice", killed},
    FaultScenario{"cloud-terminated", "SIGTERM drains, restart on the same port", terminated},
    FaultScenario{"cloud-stalled", "the link stands still", stalled},
    FaultScenario{"cloud-reset", "connections are reset in every phase of a request, answers cut",
                  reset},
    FaultScenario{"cloud-idle", "thousands of idle connections", idle_connections},
    FaultScenario{"cloud-slow-loris", "200 clients that send a header byte by byte", slow_loris},
    FaultScenario{"cloud-huge-body", "bodies of 1 GiB, of known length and chunked", huge_body},
    FaultScenario{"cloud-malformed", "malformed requests, then good ones", malformed_requests},
    FaultScenario{"cloud-full-disk", "the log's disk is full", full_disk},
    FaultScenario{"cloud-clock-jump", "the wall clock jumps by a day, both ways", clock_jump},
};

}  // namespace

std::span<const FaultScenario> cloud_faults() { return kScenarios; }

}  // namespace branchy
