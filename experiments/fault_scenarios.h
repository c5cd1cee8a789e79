// Fault scenarios: a real cloud and real edges under load while something goes wrong.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/expected_answers.h"
#include "experiments/recorded_features.h"
#include "experiments/split_programs.h"

namespace branchy {

struct FaultOptions {
  ProgramOptions programs;
  std::filesystem::path edge_model, cloud_model;  ///< the two sides of one export
  std::string data;                               ///< "cifar10:DIR" and the like
  std::int64_t images = 256;                      ///< of its test part
  std::int64_t edge_images = 256;                 ///< that edges classify in a scenario; <= images
  double seconds = 5;                             ///< of load
  double stall_seconds = 10;
  std::int64_t connections = 32;
  std::int64_t idle_connections = 10'000;
  std::int64_t malformed = 100'000;
  std::uint64_t seed = 1;
  std::vector<std::string> cloud_options = {};  ///< added to every branchy-cloud
};

/// What all scenarios share.
struct FaultGround {
  FaultOptions options;
  RecordedFeatures recorded;
  std::unique_ptr<ExpectedAnswers> expected;
};

/// Computes the right answers. Throws as load_served_model, open_images and record_features do.
[[nodiscard]] FaultGround prepare_faults(const FaultOptions& options);

struct FaultOutcome {
  std::int64_t requests = 0, right = 0, wrong = 0, lost = 0;
  std::int64_t degraded = 0;                        ///< of the edge's: right without the cloud
  std::map<std::string, std::int64_t> errors = {};  ///< that were met on the way, by kind
  std::string skipped = {};                         ///< why it could not be run; "" when it was
  std::vector<std::string> problems = {};           ///< what must not be; for people
  double seconds = 0;

  [[nodiscard]] bool passed() const {
    return skipped.empty() && problems.empty() && wrong == 0 && lost == 0 && requests > 0;
  }
};

struct FaultScenario {
  std::string_view name, description;
  FaultOutcome (*run)(const FaultGround&);
};

/// Clients of a cloud; edges with a cloud.
[[nodiscard]] std::span<const FaultScenario> cloud_faults();
[[nodiscard]] std::span<const FaultScenario> edge_faults();
/// Of either; null when there is none of this name.
[[nodiscard]] const FaultScenario* find_fault(std::string_view name);

}  // namespace branchy
