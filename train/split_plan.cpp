#include "train/split_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "infer/latency_model.h"

namespace branchy {

namespace {

constexpr double kBitsPerByte = 8, kMsPerSecond = 1e3;

/// A share of 0 makes a part free even where it cannot run.
double weighted(double share, double ms) { return share == 0.0 ? 0.0 : share * ms; }

/// What lies between the values after k and after k+1 blocks: the block, then the active exits that
/// read its output; behind the last block the final exit too.
struct Segment {
  SideTimes ms;           ///< weighted by the shares that get there
  double going_on = 1.0;  ///< share that gets to its block
};

std::vector<Segment> segments_of(const SplitProblem& problem, const ActiveSet& exits) {
  std::vector<Segment> segments(problem.blocks.size());
  std::size_t next = 0;  // exit
  const auto add = [](SideTimes& sum, double share, const SideTimes& ms) {
    sum.edge += weighted(share, ms.edge);
    sum.cloud += weighted(share, ms.cloud);
  };
  for (std::size_t block = 0; block < segments.size(); ++block) {
    Segment& segment = segments[block];
    segment.going_on = exits.going_on[next];
    add(segment.ms, segment.going_on, problem.blocks[block]);
    const auto depth = static_cast<std::int64_t>(block) + 1;
    for (; next < problem.exits.size() && problem.exits[next].after_block == depth; ++next)
      if (exits.active[next]) add(segment.ms, exits.going_on[next], problem.exits[next].ms);
  }
  add(segments.back().ms, exits.going_on.back(), problem.final_exit);
  return segments;
}

double sending_ms(const SplitProblem& problem, std::size_t cut) {
  return kBitsPerByte * problem.cut_bytes[cut] / problem.bits_per_second * kMsPerSecond +
         problem.round_trip_ms;
}

void require_fit(const SplitProblem& problem, const ActiveSet& exits) {
  if (exits.active.size() != problem.exits.size() ||
      exits.going_on.size() != problem.exits.size() + 1)
    throw ConfigError(fmt::format("[plan] {} active exits and {} shares for {} early exits",
                                  exits.active.size(), exits.going_on.size(),
                                  problem.exits.size()));
}

SplitPlan plan_at(const SplitProblem& problem, const std::vector<Segment>& segments,
                  std::size_t cut) {
  SplitPlan plan{.cut = static_cast<std::int64_t>(cut)};
  for (std::size_t i = 0; i < segments.size(); ++i)
    (i < cut ? plan.edge_ms : plan.cloud_ms) +=
        i < cut ? segments[i].ms.edge : segments[i].ms.cloud;
  if (cut < segments.size()) {
    plan.sent_share = segments[cut].going_on;
    plan.network_ms = weighted(plan.sent_share, sending_ms(problem, cut));
  }
  plan.mean_ms = plan.edge_ms + plan.network_ms + plan.cloud_ms;
  return plan;
}

}  // namespace

void SplitProblem::validate() const {
  require_bandwidth("plan", bits_per_second);
  const auto require_ms = [](const char* what, double ms) {
    if (!(ms >= 0.0))
      throw ConfigError(fmt::format("[plan] {} {} ms, expected 0 or more", what, ms));
  };
  const auto require_both = [&](const char* what, const SideTimes& ms) {
    require_ms(what, ms.edge);
    require_ms(what, ms.cloud);
  };
  for (const SideTimes& block : blocks) require_both("block time", block);
  std::int64_t depth = 1;
  for (const Exit& exit : exits) {
    require_both("exit time", exit.ms);
    if (exit.after_block < depth || exit.after_block > std::ssize(blocks))
      throw ConfigError(fmt::format("[plan] an exit after block {} of {}, expected rising depths",
                                    exit.after_block, blocks.size()));
    depth = exit.after_block;
  }
  require_both("final exit time", final_exit);
  require_ms("round trip", round_trip_ms);
  if (blocks.empty() || cut_bytes.size() != blocks.size())
    throw ConfigError(fmt::format("[plan] {} sizes for the cuts before {} blocks", cut_bytes.size(),
                                  blocks.size()));
  for (const double bytes : cut_bytes)
    if (!(bytes >= 0.0 && std::isfinite(bytes)))
      throw ConfigError(fmt::format("[plan] {} bytes at a cut, expected 0 or more", bytes));
}

SplitPlan split_at(const SplitProblem& problem, const ActiveSet& exits, std::int64_t cut) {
  require_fit(problem, exits);
  if (cut < 0 || cut > std::ssize(problem.blocks))
    throw ConfigError(
        fmt::format("[plan] cut after {} blocks, the network has {}", cut, problem.blocks.size()));
  return plan_at(problem, segments_of(problem, exits), static_cast<std::size_t>(cut));
}

SplitPlan shortest_split(const SplitProblem& problem, const ActiveSet& exits) {
  require_fit(problem, exits);
  const std::vector<Segment> segments = segments_of(problem, exits);
  // The graph has no cycle and its nodes come in the order of its edges, so that one sweep of
  // relaxations finds the shortest paths from the image on the edge. `edge` and `cloud` are the
  // distances of the two nodes of the current depth, `crossed` where the cloud's path crossed.
  double edge = 0, cloud = kCannotRun;
  std::size_t crossed = 0;
  for (std::size_t depth = 0; depth < segments.size(); ++depth) {
    const double crossing = edge + weighted(segments[depth].going_on, sending_ms(problem, depth));
    if (crossing < cloud) {
      cloud = crossing;
      crossed = depth;
    }
    edge += segments[depth].ms.edge;
    cloud += segments[depth].ms.cloud;
  }
  const bool all_on_edge = edge < cloud;
  if (!std::isfinite(std::min(edge, cloud)))
    throw ConfigError(
        "[plan] no cut leaves each side only parts that it can run; measure both "
        "sides with the whole model");
  return plan_at(problem, segments, all_on_edge ? segments.size() : crossed);
}

}  // namespace branchy
