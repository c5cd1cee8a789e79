// AdaptInputs: what choosing thresholds for bandwidths starts from, by flags of several verbs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "infer/latency_model.h"
#include "layers/model_file.h"
#include "train/latency_report.h"
#include "train/logits_cache.h"
#include "train/setting_grid.h"

namespace CLI {
class App;
}

namespace branchy {

struct AdaptFlags {
  std::string model, selection, test, select_on = "val";
  std::string bandwidths = "0.1,0.3,0.5,0.7,1,3,5,7,10,30,50,70,100";  ///< Mbit/s, DETAILS of Dong
  double limit_ms = 30;
  double margin = 0;  ///< percent of the limit kept free on the selection data
  double device_speed = 3.62e9;
  std::string measured;
  double feature_bytes = 0;  ///< 0: of the codec, else float32
  double round_trip_ms = 0, server_ms = 0;
  std::string lambdas, gammas;
  bool shared = false, no_predictor = false;
  std::uint64_t seed = 1;
  std::int64_t hidden = 32;

  /// The limit that settings have to keep on the selection data.
  [[nodiscard]] double kept_limit_ms() const { return limit_ms * (1.0 - margin / 100.0); }
};

void add_adapt_flags(CLI::App& app, AdaptFlags& flags);

/// Mbit/s separated by commas as bit/s. Throws ConfigError naming the one that is no positive,
/// finite number.
[[nodiscard]] std::vector<double> parse_bandwidths(const std::string& text);

struct AdaptInputs {
  LoadedModel model;
  LogitsCache selection;
  std::optional<LogitsCache> test;
  std::vector<double> bandwidths;  ///< bit/s
  LatencyModel latency;
  std::string device;       ///< "3.62e9 operations/s", or the measured CPU
  std::string sent;         ///< where the number of bytes comes from
  bool has_scores = false;  ///< both caches hold scores of the model's predictor
  ConfidenceTable table;    ///< of `selection`, at the model's temperatures
  std::optional<ConfidenceTable> test_table;
};

/// Throws ConfigError for flags out of range, a selection cache of another part than --select-on,
/// DataError for caches of another model, predictor or codec.
[[nodiscard]] AdaptInputs load_adapt_inputs(const AdaptFlags& flags);

/// A setting on both data sets.
[[nodiscard]] LatencyRow latency_row(const AdaptInputs& inputs, std::string method,
                                     double bits_per_second, const ThresholdSetting& setting);
/// What a report says of its inputs.
[[nodiscard]] LatencyReport empty_report(const AdaptFlags& flags, const AdaptInputs& inputs);

/// The latency model of a model under these flags: with the codec that it carries, its mean bytes
/// as the cache counted them.
[[nodiscard]] LatencyModel latency_model(const AdaptFlags& flags, const LoadedModel& model,
                                         const LogitsCache& cache);

/// The grid's thresholds by the flags; without gammas unless `with_scores`.
[[nodiscard]] GridAxes grid_axes(const AdaptFlags& flags, std::int64_t num_exits, bool with_scores);

}  // namespace branchy
