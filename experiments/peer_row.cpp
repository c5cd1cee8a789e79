#include "experiments/peer_row.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"

namespace branchy {

namespace {

constexpr const char* kRow = "{:<24} {:>12} {:>12}  {:<22} {:>6} {:>13} {:>5} {:>5}  {}\n";

/// What is compared: the smaller, the better.
double figure(const ProgramFigures& program, PeerQuantity quantity) {
  return quantity == PeerQuantity::kSpeed ? median_ms(program) : program.peak_mib;
}

Reached reached_of(const PeerCase& which, double ratio) {
  if (!which.must || !which.goal) return Reached::kNoBounds;
  const auto holds = [&](double bound) {
    return which.quantity == PeerQuantity::kSpeed ? ratio >= bound : ratio <= bound;
  };
  if (holds(*which.goal)) return Reached::kGoal;
  return holds(*which.must) ? Reached::kMust : Reached::kNothing;
}

std::string bound_text(const std::optional<double>& bound) {
  return bound ? fmt::format("{:.2f}", *bound) : "n/a";
}

}  // namespace

std::string to_text(Reached reached) {
  switch (reached) {
    case Reached::kNothing:
      return "nothing";
    case Reached::kMust:
      return "must";
    case Reached::kGoal:
      return "goal";
    case Reached::kNoBounds:
      break;
  }
  return "n/a";
}

double median_ms(const ProgramFigures& program) {
  std::vector<double> ms = program.ms;
  BRANCHY_DCHECK(!ms.empty());
  std::sort(ms.begin(), ms.end());
  const std::size_t half = ms.size() / 2;
  return ms.size() % 2 == 1 ? ms[half] : 0.5 * (ms[half - 1] + ms[half]);
}

PeerRow peer_row(const PeerCase& which, const PeerMeasurement& measurement) {
  BRANCHY_DCHECK(measurement.programs.size() > 1);
  const ProgramFigures& ours = measurement.programs.front();
  const ProgramFigures& peer =
      *std::min_element(measurement.programs.begin() + 1, measurement.programs.end(),
                        [&](const ProgramFigures& a, const ProgramFigures& b) {
                          return figure(a, which.quantity) < figure(b, which.quantity);
                        });
  PeerRow row{.which = which,
              .peer = peer.name,
              .ours = figure(ours, which.quantity),
              .theirs = figure(peer, which.quantity)};
  if (which.quantity == PeerQuantity::kSpeed) {
    row.ratio = row.theirs / row.ours;
    std::vector<double> ratios;
    for (std::size_t round = 0; round < ours.ms.size(); ++round)
      ratios.push_back(peer.ms[round] / ours.ms[round]);
    row.least_ratio = *std::min_element(ratios.begin(), ratios.end());
    row.most_ratio = *std::max_element(ratios.begin(), ratios.end());
  } else {
    row.ratio = row.least_ratio = row.most_ratio = row.ours / row.theirs;
  }
  row.reached = reached_of(which, row.ratio);
  return row;
}

std::string peer_row_header() {
  return fmt::format(kRow, "case", "branchy", "peer", "", "ratio", "rounds", "must", "goal",
                     "reached");
}

std::string to_text(const PeerRow& row) {
  const bool speed = row.which.quantity == PeerQuantity::kSpeed;
  const auto with_unit = [&](double value) {
    return speed ? fmt::format("{:.2f} ms", value) : fmt::format("{:.0f} MiB", value);
  };
  const std::string spread =
      speed ? fmt::format("{:.2f} to {:.2f}", row.least_ratio, row.most_ratio) : "";
  return fmt::format(kRow, row.which.name, with_unit(row.ours), with_unit(row.theirs), row.peer,
                     fmt::format("{:.2f}", row.ratio), spread, bound_text(row.which.must),
                     bound_text(row.which.goal), to_text(row.reached));
}

}  // namespace branchy
