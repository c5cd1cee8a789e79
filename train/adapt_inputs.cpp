#include "train/adapt_inputs.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <sstream>

#include "core/error.h"
#include "core/printable.h"
#include "infer/threshold_list.h"
#include "layers/metadata_reader.h"
#include "train/checkpoint.h"
#include "train/coded_exits.h"

namespace branchy {

namespace {

constexpr double kMega = 1e6;

/// From 0, where every sample leaves at the first exit that is computed, to almost 1.
constexpr const char* kLambdas = "0,0.2,0.3,0.4,0.5,0.55,0.6,0.65,0.7,0.75,0.8,0.85,0.9,0.95,0.99";
/// From 0, where the exit is always computed, to 1, where it practically never is.
constexpr const char* kGammas = "0,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,1";
/// A threshold of its own for each exit makes the grid too large beyond so many.
constexpr std::int64_t kMostSeparateExits = 2;

void check_flags(const AdaptFlags& flags) {
  const auto require = [](const char* flag, double value, double low, double high) {
    if (!(value >= low && value <= high))
      throw ConfigError(fmt::format("[adapt] {} {}, expected {} to {}", flag, value, low, high));
  };
  if (!(flags.limit_ms > 0.0 && std::isfinite(flags.limit_ms)))
    throw ConfigError(
        fmt::format("[adapt] --limit-ms {}, expected a positive, finite number", flags.limit_ms));
  require("--margin", flags.margin, 0, 90);
  require("--feature-bytes", flags.feature_bytes, 0, 1e12);
  require("--round-trip-ms", flags.round_trip_ms, 0, 1e9);
  require("--server-ms", flags.server_ms, 0, 1e9);
}

const Attachment* codec_of(const LoadedModel& model) {
  const auto found = model.attachments.find(std::string(kCodecAttachment));
  return found == model.attachments.end() ? nullptr : &found->second;
}

LogitsCache load_cache(const std::string& path, const LoadedModel& model) {
  LogitsCache cache = load_logits(path);
  require_same_model(cache, path, model);
  const std::string codec = codec_digest(model);
  if (cache.codec_digest != codec)
    throw DataError(fmt::format(
        "[{}] holds logits {}; accuracy would be another, run `branchy infer-all` again", path,
        codec.empty()                ? "of coded features, the model has no codec"
        : cache.codec_digest.empty() ? "of plain features, the model sends coded ones"
                                     : "of another codec's features"));
  return cache;
}

/// Whether the cache's scores are of the predictor that the model carries.
bool has_scores(const LogitsCache& cache, const std::string& path, const LoadedModel& model) {
  const auto found = model.attachments.find(std::string(kPredictorAttachment));
  if (found == model.attachments.end()) return false;
  const std::string digest = network_digest(*found->second.network);
  if (!cache.scores.defined() || cache.predictor_digest != digest)
    throw DataError(fmt::format(
        "[{}] holds no scores of the model's predictor ({:.12}); run `branchy infer-all` again",
        path, digest));
  return true;
}

}  // namespace

void add_adapt_flags(CLI::App& app, AdaptFlags& flags) {
  app.add_option("cache", flags.selection,
                 "Logits cache of the selection data, made by branchy infer-all")
      ->required();
  app.add_option("--test", flags.test,
                 "Logits cache of test data: reported beside, nothing chosen");
  app.add_option("--model", flags.model, "Run folder or model file that the caches are of")
      ->required();
  app.add_option("--select-on", flags.select_on,
                 "Part of the data that the first cache must be of: val or test (then said so)")
      ->check(CLI::IsMember({"val", "test"}))
      ->capture_default_str();
  app.add_option("--limit-ms", flags.limit_ms, "Largest mean latency")->capture_default_str();
  app.add_option("--margin", flags.margin,
                 "Percent of the limit to keep free on the selection data, for other data")
      ->capture_default_str();
  app.add_option("--bandwidths", flags.bandwidths, "Mbit/s, separated by commas")
      ->capture_default_str();
  auto* speed = app.add_option("--device-speed", flags.device_speed,
                               "Operations (ptflops) a second of the device (3.62e9: Dong et al.)")
                    ->capture_default_str();
  app.add_option("--measured", flags.measured,
                 "Times of the device's parts instead, from branchy-edge --measure")
      ->excludes(speed);
  app.add_option("--feature-bytes", flags.feature_bytes,
                 "Bytes that a sample sends (default: of the codec, else float32)");
  app.add_option("--round-trip-ms", flags.round_trip_ms, "Network time of an empty message")
      ->capture_default_str();
  app.add_option("--server-ms", flags.server_ms, "Time on the server (eq. 11 leaves it out)")
      ->capture_default_str();
  app.add_option("--lambdas", flags.lambdas,
                 fmt::format("Confidences to try, default {}", kLambdas));
  app.add_option("--gammas", flags.gammas,
                 fmt::format("Predictor scores to try, default {}", kGammas));
  app.add_flag("--shared", flags.shared,
               fmt::format("One lambda and gamma for all early exits (default beyond {} of them)",
                           kMostSeparateExits));
  app.add_flag("--no-predictor", flags.no_predictor,
               "Leave the model's predictor alone: policies by confidence only");
  app.add_option("--hidden", flags.hidden, "Width of the regression networks")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--seed", flags.seed, "Of the regression networks")->capture_default_str();
}

std::vector<double> parse_bandwidths(const std::string& text) {
  std::vector<double> bandwidths;
  for (const std::string& one : split_text(text, ',')) {
    std::istringstream stream(one);
    stream.imbue(std::locale::classic());
    double value = 0;
    const bool read = static_cast<bool>(stream >> value) && stream.peek() == EOF;
    if (!read || !(value > 0.0 && std::isfinite(value)))
      throw ConfigError(
          fmt::format("[bandwidth] '{}' Mbit/s, expected positive, finite numbers separated by "
                      "commas",
                      printable(one)));
    bandwidths.push_back(value * kMega);
  }
  if (bandwidths.empty()) throw ConfigError("[bandwidth] none given, expected Mbit/s");
  return bandwidths;
}

LatencyModel latency_model(const AdaptFlags& flags, const LoadedModel& model,
                           const LogitsCache& cache) {
  const ExitCosts& costs = cache.costs;
  LatencyModel latency{.sent_bytes = static_cast<double>(costs.feature_bytes),
                       .round_trip_ms = flags.round_trip_ms,
                       .server_ms = flags.server_ms};
  std::int64_t encoder_operations = 0;
  if (const Attachment* codec = codec_of(model)) {
    encoder_operations = total_cost(codec->network->profile_trunk(1)).ptflops;
    latency.sent_bytes = cache.coded_bytes;
  }
  if (flags.feature_bytes > 0) latency.sent_bytes = flags.feature_bytes;
  latency.parts = flags.measured.empty()
                      ? part_times(costs, flags.device_speed, encoder_operations)
                      : part_times(load_layer_times(flags.measured), model.network->config().name,
                                   costs.num_exits());
  latency.validate();
  return latency;
}

GridAxes grid_axes(const AdaptFlags& flags, std::int64_t num_exits, bool with_scores) {
  GridAxes axes{.lambdas = parse_thresholds(flags.lambdas.empty() ? kLambdas : flags.lambdas),
                .shared = flags.shared || num_exits - 1 > kMostSeparateExits};
  if (with_scores) axes.gammas = parse_thresholds(flags.gammas.empty() ? kGammas : flags.gammas);
  return axes;
}

AdaptInputs load_adapt_inputs(const AdaptFlags& flags) {
  check_flags(flags);
  AdaptInputs inputs;
  inputs.bandwidths = parse_bandwidths(flags.bandwidths);
  inputs.model = load_trained(flags.model);
  inputs.selection = load_cache(flags.selection, inputs.model);
  if (inputs.selection.part != flags.select_on)
    throw ConfigError(fmt::format("[adapt] {} is of part '{}', expected '{}'; see --select-on",
                                  flags.selection, inputs.selection.part, flags.select_on));
  inputs.has_scores =
      !flags.no_predictor && has_scores(inputs.selection, flags.selection, inputs.model);
  if (!flags.test.empty()) {
    inputs.test = load_cache(flags.test, inputs.model);
    if (inputs.has_scores) (void)has_scores(*inputs.test, flags.test, inputs.model);
  }
  inputs.latency = latency_model(flags, inputs.model, inputs.selection);
  inputs.device = flags.measured.empty()
                      ? fmt::format("{:g} operations/s (ptflops)", flags.device_speed)
                      : "measured on " + load_layer_times(flags.measured).cpu;
  inputs.sent = fmt::format("{:g} bytes, {}", inputs.latency.sent_bytes,
                            flags.feature_bytes > 0  ? "by --feature-bytes"
                            : codec_of(inputs.model) ? "coded, the mean over the selection data"
                                                     : "float32");
  const auto table_of = [&](const LogitsCache& cache) {
    return confidence_table(StoredExits(cache, inputs.model.info.temperatures), inputs.has_scores);
  };
  inputs.table = table_of(inputs.selection);
  if (inputs.test) inputs.test_table = table_of(*inputs.test);
  return inputs;
}

LatencyRow latency_row(const AdaptInputs& inputs, std::string method, double bits_per_second,
                       const ThresholdSetting& setting) {
  const auto point = [&](const ConfidenceTable& table) {
    return latency_point(count_routes(table, setting), inputs.latency, inputs.selection.costs,
                         bits_per_second);
  };
  LatencyRow row{.method = std::move(method),
                 .bits_per_second = bits_per_second,
                 .policy = policy_text(setting),
                 .selection = point(inputs.table),
                 .test = {}};
  if (inputs.test_table) row.test = point(*inputs.test_table);
  return row;
}

LatencyReport empty_report(const AdaptFlags& flags, const AdaptInputs& inputs) {
  const auto described = [](const std::string& path, const LogitsCache& cache) {
    return fmt::format("{}: {}, {} samples, checksum of the data {:.16}", path, cache.part,
                       cache.num_samples(), cache.data_checksum);
  };
  LatencyReport report{.limit_ms = flags.limit_ms, .facts = {}, .rows = {}};
  report.facts = {{"model", flags.model},
                  {"selected on", described(flags.selection, inputs.selection)},
                  {"limit", fmt::format("{:g} ms, {:g} ms on the selection data", flags.limit_ms,
                                        flags.kept_limit_ms())},
                  {"device", inputs.device},
                  {"sent", inputs.sent}};
  if (inputs.test) report.facts.emplace_back("tested on", described(flags.test, *inputs.test));
  return report;
}

}  // namespace branchy
