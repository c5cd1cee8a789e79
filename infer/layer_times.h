// LayerTimes: how long each part of a network takes on one machine, measured there and kept in a
// file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace branchy {

/// Written by `branchy-edge --measure FILE`, read by `branchy adapt --measured`, `branchy plan
/// --edge-times/--cloud-times`. One sample at a time; milliseconds, medians.
///
/// The file is JSON: provenance first (its `cpu` and `threads` are read back), then
///   "format": "branchy-layer-times-1",
///   "network": "resnet44", "classes": 10, "early_exits": 2, "runs": 50,
///   "blocks":  [{"name": "stem", "median_ms": 0.31}, ...]   trunk blocks held, in order of depth
///   "trunk":   [{"exit": 1, "median_ms": 0.9}, ...]         trunk between exit n-1 and exit n
///   "exits":   [{"exit": 1, "median_ms": 0.4}, ...]         exit n
///   "predictor_ms": 0.2, "encoder_ms": 0.1, "decoder_ms": 0.1      null or absent: not held
/// Beside each median may stand the 95th percentile, `p95_ms` (`predictor_p95_ms`, ...), which is
/// for people. The file of one side of a split lists the parts that this side holds.
struct LayerTimes {
  struct Block {
    std::string name;  ///< of the trunk block
    double ms = 0;
  };

  std::string network;  ///< NetworkConfig::name
  std::int64_t classes = 0, early_exits = 0;
  std::string cpu;
  std::int64_t threads = 0;
  std::int64_t runs = 0;                 ///< timed runs behind each median
  std::vector<Block> blocks;             ///< in order of depth
  std::map<std::int64_t, double> trunk;  ///< by exit: the piece of trunk before it
  std::map<std::int64_t, double> exits;  ///< by exit
  std::optional<double> predictor, encoder, decoder;
};

/// The file's text, with the provenance of this process (`cpu` and `threads` are taken from it).
/// `p95` holds the 95th percentiles of the same parts, or nothing.
[[nodiscard]] std::string to_json(const LayerTimes& times, const LayerTimes* p95 = nullptr);
/// `place` starts every message. Throws DataError for text that is no such JSON, or a time that is
/// negative or not finite.
[[nodiscard]] LayerTimes parse_layer_times(std::string_view text, std::string_view place);
/// Throws IoError when the file cannot be read.
[[nodiscard]] LayerTimes load_layer_times(const std::filesystem::path& path);

}  // namespace branchy
