#include "infer/edge_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "core/error.h"
#include "infer/pixel_input.h"

namespace branchy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFirstPause{1000};
constexpr std::chrono::milliseconds kLongestPause{30000};

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

CloudModel cloud_model_for(const ServedModel& model) {
  const NetworkPart& part = model.plan->part();
  return {.name = model.info.config.name,
          .cut = model.info.cut,
          .num_classes = model.info.config.classes,
          .num_exits = model.info.config.early_exits + 1,
          .num_edge_exits = part.last_exit};
}

EdgeEngine::EdgeEngine(ServedModel model, std::unique_ptr<CloudClient> cloud, EdgeOptions options,
                       Warn warn)
    : model_(std::move(model)),
      cloud_(std::move(cloud)),
      options_(std::move(options)),
      warn_(std::move(warn)),
      breaker_(kFirstPause, kLongestPause),
      runner_(model_.plan) {
  const NetworkPart& part = model_.plan->part();
  if (!model_.image_shape || part.last_exit < part.first_exit || part.first_exit != 1) {
    throw ConfigError(
        "[edge] the model file has no image input or no exit; give the edge file of "
        "branchy export");
  }
  if (std::ssize(options_.thresholds) != model_.info.config.early_exits) {
    throw ConfigError(fmt::format("[edge] {} thresholds for {} early exits",
                                  options_.thresholds.size(), model_.info.config.early_exits));
  }
  if (options_.cloud_only && cloud_ == nullptr) {
    throw ConfigError("[edge] --cloud-only needs --cloud URL");
  }
}

EdgeOutcome EdgeEngine::classify(std::span<const std::uint8_t> pixels) {
  const Clock::time_point start = Clock::now();
  EdgeOutcome outcome;
  seen_.clear();
  if (options_.cloud_only) {
    ask_cloud(outcome, pixels);
    if (outcome.degraded) {
      run_exits(pixels, true);
      outcome.prediction = most_confident(seen_);
      outcome.edge_ms = ms_since(start) - outcome.round_trip_ms;
    }
  } else {
    run_exits(pixels, false);
    outcome.edge_ms = ms_since(start);
    outcome.prediction = seen_.back();
    const auto exit = static_cast<std::size_t>(outcome.prediction.exit);
    const bool is_final = exit > options_.thresholds.size();
    if (!is_final && !should_exit(outcome.prediction.confidence, options_.thresholds[exit - 1])) {
      outcome.prediction = most_confident(seen_);
      ask_cloud(outcome, pixels);
    }
  }
  outcome.total_ms = ms_since(start);
  return outcome;
}

void EdgeEngine::run_exits(std::span<const std::uint8_t> pixels, bool all) {
  runner_.start(normalize_pixels(pixels, *model_.image_shape, model_.info));
  while (runner_.has_next()) {
    const ExitOutput output = runner_.next_exit();
    seen_.push_back(predict(output.exit, output.logits.data()));
    const auto exit = static_cast<std::size_t>(output.exit);
    const bool sure = exit <= options_.thresholds.size() &&
                      should_exit(seen_.back().confidence, options_.thresholds[exit - 1]);
    if (sure && !all) return;
  }
}

void EdgeEngine::ask_cloud(EdgeOutcome& outcome, std::span<const std::uint8_t> pixels) {
  if (cloud_ == nullptr) return degrade(outcome, "no cloud", "no --cloud was given");
  if (!breaker_.allows(Clock::now())) return degrade(outcome, "paused", {});
  const std::size_t here = static_cast<std::size_t>(model_.plan->part().last_exit);
  const std::span<const float> later =
      std::span(options_.thresholds).subspan(std::min(here, options_.thresholds.size()));
  const Clock::time_point start = Clock::now();
  Tensor feature;
  if (!options_.cloud_only) {
    feature = runner_.feature();
    outcome.edge_ms += ms_since(start);
  }
  const Clock::time_point asked = Clock::now();
  const Result<CloudAnswer> answer = options_.cloud_only
                                         ? cloud_->infer_image(*model_.image_shape, pixels, later)
                                         : cloud_->infer_feature(feature, later);
  outcome.round_trip_ms = ms_since(asked);
  if (!answer) {
    breaker_.failed(Clock::now());
    const Failure& failure = answer.failure();
    return degrade(outcome, std::string(to_string(failure.kind)), failure.text);
  }
  breaker_.succeeded();
  cloud_was_away_ = false;
  outcome.from_cloud = true;
  outcome.cloud_ms = answer->compute_ms;
  outcome.bytes_sent = answer->bytes_sent;
  outcome.bytes_received = answer->bytes_received;
  outcome.prediction = predict(answer->exit, answer->logits);
}

void EdgeEngine::degrade(EdgeOutcome& outcome, const std::string& reason, const std::string& text) {
  outcome.degraded = true;
  outcome.reason = reason;
  if (!cloud_was_away_ && warn_ && !text.empty()) {
    warn_(text + "; answering with the most confident exit here (degraded)");
  }
  cloud_was_away_ = true;
}

}  // namespace branchy
