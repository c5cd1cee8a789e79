// The measurements of Lee et al. 2020: one early exit answers on the edge, the rest in the cloud.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "layers/network.h"
#include "train/policy_simulation.h"

namespace branchy {

/// One model with one active exit at one threshold. A sample is local when the normalised entropy
/// of the active exit is below the threshold, strictly; the others are answered by the final exit.
struct LeeRow {
  std::string model;        ///< as given: "SEM-5"
  bool multi_exit = false;  ///< MEM: the network has more early exits, which are not computed
  std::int64_t block = 0;   ///< the active exit follows this block
  double threshold = 0.0;
  std::int64_t samples = 0, local = 0;
  /// Accuracy, 0..1, of the samples answered on the edge, and of those answered in the cloud;
  /// nothing when there are none.
  std::optional<double> acc_exited, acc_cloud;
  double overall = 0.0;        ///< accuracy of all answers
  double acc_all = 0.0;        ///< of all samples at the active exit, whatever their entropy
  double acc_all_final = 0.0;  ///< of all samples at the final exit
  std::int64_t device_operations =
      0;                    ///< trunk to the active exit and the exit, each sample (ptflops)
  double mean_bytes = 0.0;  ///< float32 feature at the active exit, over all samples

  [[nodiscard]] double local_share() const {
    return static_cast<double>(local) / static_cast<double>(samples);
  }
  /// "SEM-5", or "MEM exit 5".
  [[nodiscard]] std::string name() const;
};

/// For each threshold, 0 < T <= 1, in order: of a network with one early exit that one, of others
/// those after `blocks`. Throws ConfigError when the network has no early exit after a block.
[[nodiscard]] std::vector<LeeRow> lee_rows(const std::string& model,
                                           const MultiExitNetwork& network,
                                           const StoredExits& exits,
                                           std::span<const std::int64_t> blocks,
                                           std::span<const double> thresholds);

/// A figure that the paper prints.
struct LeePrinted {
  bool multi_exit = false;
  std::int64_t block = 0;
  std::string quantity;             ///< a member of LeeRow: local, acc_exited, acc_cloud, ...
  std::optional<double> threshold;  ///< nothing where it does not matter
  double value = 0.0;               ///< samples (of 10,000) or percent
  std::string where;

  [[nodiscard]] bool is_of(const LeeRow& row) const;
};
/// Those of experiments/reference/lee_2020.json.
[[nodiscard]] std::vector<LeePrinted> lee_printed();
/// The same quantity of a row, in the unit of the paper; nothing for an empty group.
[[nodiscard]] std::optional<double> measured(const LeeRow& row, const std::string& quantity);

}  // namespace branchy
