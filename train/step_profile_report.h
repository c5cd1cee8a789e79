// A StepProfile as a table for people and as JSON for programs.
#pragma once

#include <cstdint>
#include <string>

#include "core/machine_ceiling.h"
#include "core/step_profile.h"

namespace branchy {

/// What was profiled, and on what.
struct ProfiledRun {
  std::string network;
  std::int64_t batch = 0;
  MachineCeiling ceiling;
};

/// Means of a step: by kind of work, and the layers that take most of the time. The per cent of the
/// ceiling is the time that a kind's operations and bytes need at the measured ceiling (whichever
/// takes longer, Williams, Waterman, Patterson 2009) in the time that it took; above 100 where the
/// data was in a cache. Throws nothing; the profile has a step or more.
[[nodiscard]] std::string profile_table(const StepProfile& profile, const ProfiledRun& run);

/// The same with every layer, and with what provenance() says.
[[nodiscard]] std::string profile_json(const StepProfile& profile, const ProfiledRun& run);

}  // namespace branchy
