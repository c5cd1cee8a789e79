#include "experiments/fault_ground.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <thread>

#include "infer/model_images.h"

namespace branchy {

FaultGround prepare_faults(const FaultOptions& options) {
  const ServedModel edge = load_served_model(options.edge_model);
  const ServedModel cloud = load_served_model(options.cloud_model);
  const auto images =
      open_images(edge.info, edge.image_shape.value_or(Shape()), {.data = options.data}).images;
  FaultGround ground{
      .options = options,
      .recorded = record_features(edge, cloud, *images, options.images),
      .expected = std::make_unique<ExpectedAnswers>(edge, cloud, *images, options.images, 1.0F)};
  ground.expected->set_threshold(ground.expected->middle_threshold());
  return ground;
}

const FaultScenario* find_fault(std::string_view name) {
  for (const auto scenarios : {cloud_faults(), edge_faults()})
    for (const FaultScenario& scenario : scenarios)
      if (scenario.name == name) return &scenario;
  return nullptr;
}

namespace detail {

using std::chrono::milliseconds;

LoadOptions fault_load(const FaultGround& ground, int port) {
  return {.url = {.host = "127.0.0.1", .port = port},
          .connections = ground.options.connections,
          .duration = milliseconds(static_cast<int>(ground.options.seconds * 1e3)),
          .timeout = std::chrono::seconds(30),
          .patience = std::chrono::seconds(120)};
}

FaultOutcome to_outcome(const LoadReport& report) {
  FaultOutcome outcome{.requests = report.sent,
                       .right = report.right,
                       .wrong = report.wrong,
                       .lost = report.lost,
                       .errors = report.errors};
  if (!report.first_wrong.empty()) outcome.problems.push_back(report.first_wrong);
  if (report.sent != report.right + report.wrong + report.lost)
    outcome.problems.push_back(fmt::format("{} requests, but {} answers", report.sent,
                                           report.right + report.wrong + report.lost));
  return outcome;
}

bool await(const std::function<bool()>& condition, milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

void stop_cloud(CloudProgram& cloud, FaultOutcome& outcome) {
  cloud.process().signal(SIGTERM);
  const auto code = cloud.process().wait(std::chrono::seconds(60));
  if (code != 0)
    outcome.problems.push_back(fmt::format("the cloud ended with {} after SIGTERM: {}",
                                           code.value_or(-1), cloud.process().log()));
}

std::int64_t request_bytes(const FaultGround& ground) {
  return std::ssize(feature_request(ground.recorded, {.host = "127.0.0.1", .port = 10'000}, 0, 1,
                                    {}, "0000000000"));
}

LinkScript resets_in_every_phase(std::int64_t request_bytes) {
  const auto bytes = static_cast<double>(request_bytes);
  LinkScript script;
  double at_ms = 100;
  // Opening, inside the header, inside the body, before the answer, inside its header and its body.
  for (const double after : {1.0, 60.0, bytes / 2, bytes, bytes + 40, bytes + 300})
    script.changes.push_back(
        {.at_ms = at_ms += 40, .values = {{"reset_after_bytes", after}}, .reset = true});
  script.changes.push_back({.at_ms = at_ms += 40,
                            .values = {{"reset_after_bytes", 0}, {"cut_answer_after_bytes", 200}}});
  script.changes.push_back({.at_ms = at_ms += 40, .values = {{"cut_answer_after_bytes", 0}}});
  script.loop_ms = at_ms + 500;
  return script;
}

bool put_under_faketime(ProgramOptions& programs, const std::filesystem::path& offset_file) {
  for (const char* path : {"/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
                           "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
                           "/usr/lib/faketime/libfaketimeMT.so.1"}) {
    if (!std::filesystem::exists(path)) continue;
    set_clock_offset(offset_file, 0);
    programs.environment = {{"LD_PRELOAD", path},
                            {"FAKETIME_TIMESTAMP_FILE", offset_file.string()},
                            {"FAKETIME_NO_CACHE", "1"},
                            // As a clock that is set does: it moves the wall clock alone.
                            {"FAKETIME_DONT_FAKE_MONOTONIC", "1"},
                            {"DONT_FAKE_MONOTONIC", "1"}};
    return true;
  }
  return false;
}

void set_clock_offset(const std::filesystem::path& offset_file, int seconds) {
  const auto aside = offset_file.string() + ".new";
  std::ofstream(aside) << fmt::format("{:+}s\n", seconds);
  std::filesystem::rename(aside, offset_file);
}

}  // namespace detail
}  // namespace branchy
