// PeerCase: one comparison of branchy with a peer, and how it should come out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace branchy {

/// PyTorch trains; ONNX Runtime infers; one thread trains, as a measure of what more bring.
enum class Opponent { kPyTorch, kOnnxRuntime, kOneThread };
enum class PeerQuantity { kSpeed, kMemory };

/// One network in one state. Cases that share it are measured together.
struct PeerSetting {
  std::string network;
  Opponent opponent = Opponent::kPyTorch;
  std::int64_t batch = 1, threads = 1;
  bool busy_cpu = false;  ///< another process keeps one CPU busy meanwhile

  friend bool operator==(const PeerSetting&, const PeerSetting&) = default;
};

/// The ratio of a speed is that of the peer's time to branchy's, which `must` and `goal` bound from
/// below; that of memory is branchy's peak to the peer's, bounded from above.
struct PeerCase {
  std::string name;  ///< "infer-resnet44-b1-t2"
  PeerSetting setting;
  PeerQuantity quantity = PeerQuantity::kSpeed;
  std::optional<double> must = {}, goal = {};
};

/// Every comparison; `threads` computing threads, where a case does not have one.
[[nodiscard]] std::vector<PeerCase> peer_cases(std::int64_t threads);

/// The cases that some name stands for: its own, or what several begin with up to a '-' ("infer",
/// "infer-resnet44"); all without names. Throws ConfigError listing the cases for another name.
[[nodiscard]] std::vector<PeerCase> chosen_cases(const std::vector<PeerCase>& cases,
                                                 const std::vector<std::string>& names);

}  // namespace branchy
