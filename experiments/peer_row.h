// PeerRow: a case with its figures and what they come to.
#pragma once

#include <string>

#include "experiments/peer_measurement.h"

namespace branchy {

/// What was reached of a case.
enum class Reached { kNothing, kMust, kGoal, kNoBounds };

struct PeerRow {
  PeerCase which;
  std::string peer;                        ///< the one that counts
  double ours = 0, theirs = 0;             ///< milliseconds a step, or MiB
  double ratio = 0;                        ///< of medians
  double least_ratio = 0, most_ratio = 0;  ///< over the rounds
  Reached reached = Reached::kNothing;
};

/// "nothing", "must", "goal", "n/a".
[[nodiscard]] std::string to_text(Reached reached);
[[nodiscard]] double median_ms(const ProgramFigures& program);

/// The peer that counts is the fastest; for memory the one that takes least.
[[nodiscard]] PeerRow peer_row(const PeerCase& which, const PeerMeasurement& measurement);

[[nodiscard]] std::string peer_row_header();
[[nodiscard]] std::string to_text(const PeerRow& row);

}  // namespace branchy
