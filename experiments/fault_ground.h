// What cloud and edge scenarios have in common.
#pragma once

#include <chrono>
#include <functional>

#include "experiments/fault_scenarios.h"
#include "experiments/link_conditions.h"
#include "experiments/load_generator.h"

namespace branchy::detail {

/// Load on 127.0.0.1:`port` for the scenario's time; failed requests are sent again for two
/// minutes.
[[nodiscard]] LoadOptions fault_load(const FaultGround& ground, int port);
[[nodiscard]] FaultOutcome to_outcome(const LoadReport& report);

/// Waits until `condition` holds; false when it does not within `limit`.
[[nodiscard]] bool await(const std::function<bool()>& condition,
                         std::chrono::milliseconds limit = std::chrono::seconds(60));
/// Ends a cloud by SIGTERM; notes as a problem when that does not give exit code 0.
void stop_cloud(CloudProgram& cloud, FaultOutcome& outcome);

/// A link that resets connections in every phase of a request of `request_bytes`, cuts answers
/// short, and then lets all pass, over and over.
[[nodiscard]] LinkScript resets_in_every_phase(std::int64_t request_bytes);
/// Request and answer bytes that a recorded feature takes.
[[nodiscard]] std::int64_t request_bytes(const FaultGround& ground);

/// The programs under a wall clock that `offset_file` moves, or nothing without libfaketime.
[[nodiscard]] bool put_under_faketime(ProgramOptions& programs,
                                      const std::filesystem::path& offset_file);
/// Moves the wall clock of those programs by so many seconds from the true time.
void set_clock_offset(const std::filesystem::path& offset_file, int seconds);

}  // namespace branchy::detail
