// PeerMeasurement: branchy and its peers in one setting, measured in turn.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/machine_ceiling.h"
#include "experiments/peer_cases.h"

namespace branchy {

/// Where the peers are.
struct PeerPlaces {
  std::string python = "/usr/bin/python3";  ///< with PyTorch
  std::string node = "node";                ///< finds onnxruntime-node, see peers/README.md
  std::filesystem::path scripts = "experiments/peers";
  std::filesystem::path work = "runs/peers";  ///< exported networks, logs
};

struct PeerRounds {
  std::int64_t rounds = 5;
  double seconds = 2.0;  ///< about how long each program works in a round, of at least three steps
};

/// A program and its figures.
struct ProgramFigures {
  std::string name;        ///< "branchy", "pytorch-channels_last"
  std::string program;     ///< "PyTorch 1.13.0"
  std::vector<double> ms;  ///< median of each round
  double peak_mib = 0;
};

struct PeerMeasurement {
  PeerSetting setting;
  std::vector<ProgramFigures> programs;    ///< branchy first
  MachineCeiling before = {}, after = {};  ///< on the setting's threads

  /// The largest change of the ceiling, as a share of its larger value.
  [[nodiscard]] double ceiling_drift() const;
};

/// Starts every program in a process of its own, then lets one after the other work, round by
/// round, each time beginning with another. `progress` gets lines for people. Throws as StepProgram
/// does, ConfigError when the scripts are not there, DataError when the programs do not run the
/// same network.
[[nodiscard]] PeerMeasurement measure_peers(
    const PeerSetting& setting, const PeerPlaces& places, const PeerRounds& rounds,
    const std::function<void(const std::string&)>& progress);

}  // namespace branchy
