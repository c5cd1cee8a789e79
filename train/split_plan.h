// SplitPlan: where to cut a network with exits between an edge and a cloud so that an answer takes
// the least mean time.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace branchy {

/// For a part that a side cannot run (its time was not measured).
inline constexpr double kCannotRun = std::numeric_limits<double>::infinity();

/// Milliseconds of one sample on either side.
struct SideTimes {
  double edge = 0, cloud = 0;
};

/// A trunk of B blocks and early exits along it. Times in milliseconds for one sample.
struct SplitProblem {
  struct Exit {
    std::int64_t after_block = 0;  ///< reads the value after so many blocks
    SideTimes ms;
  };
  std::vector<SideTimes> blocks = {};  ///< [B]
  std::vector<Exit> exits = {};        ///< early exits, by depth
  SideTimes final_exit = {};
  /// [B]: bytes that cross when the edge has run k blocks; index 0: the image.
  std::vector<double> cut_bytes = {};
  double bits_per_second = 0;
  double round_trip_ms = 0;  ///< of a message without content and its answer

  /// Throws ConfigError for a negative or NaN time or size, counts that disagree, or a bandwidth
  /// that is not positive and finite.
  void validate() const;
};

/// Which early exits are computed, on whichever side they lie, and how many samples leave there.
struct ActiveSet {
  std::vector<bool> active = {};  ///< [early exits]
  /// [early exits + 1]: share of the samples that have not left before early exit n (index n-1);
  /// the last: before the final exit.
  std::vector<double> going_on = {};
};

struct SplitPlan {
  std::int64_t cut = 0;  ///< blocks on the edge; all of them: nothing is sent
  double mean_ms = kCannotRun;
  double edge_ms = 0, network_ms = 0, cloud_ms = 0;  ///< its parts
  double sent_share = 0;
};

/// The mean time of one cut: every block and active exit costs its time at its side times the share
/// of samples that get there; those that cross pay bits / bandwidth and the round trip.
[[nodiscard]] SplitPlan split_at(const SplitProblem& problem, const ActiveSet& exits,
                                 std::int64_t cut);

/// The cut with the least mean time, as the shortest path through the graph of Pacheco and Couto
/// ("Inference time optimization using BranchyNet partitioning", 2020): a node for the value after
/// each block on the edge and one in the cloud, edges from value to value weighted by time times
/// the share of samples that get there, and from edge to cloud by the time to send. Equals: the
/// earlier cut. Throws ConfigError when no cut can run.
[[nodiscard]] SplitPlan shortest_split(const SplitProblem& problem, const ActiveSet& exits);

}  // namespace branchy
