#include "infer/edge_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "infer/pixel_input.h"

namespace branchy {
namespace {

constexpr std::chrono::milliseconds kFirstPause{1000};
constexpr std::chrono::milliseconds kLongestPause{30000};
// How old a round trip and a bandwidth may get before they are measured on purpose.
constexpr std::chrono::seconds kRoundTripAge{1};
constexpr std::chrono::seconds kBandwidthAge{3};

double ms_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
      .count();
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
  if (options_.cloud_only && cloud_ == nullptr) {
    throw ConfigError("[edge] --cloud-only needs --cloud URL");
  }
  if (const Attachment* predictor = model_.attachment(kPredictorAttachment))
    predictor_.emplace(*predictor, model_.info);
  const Attachment* codec = model_.attachment(kCodecAttachment);
  if (codec != nullptr && options_.use_codec) coder_.emplace(*codec, model_.info);
  set_policy(options_.policy);
}

void EdgeEngine::set_policy(PolicyPtr policy) {
  BRANCHY_DCHECK(policy != nullptr);
  const std::string text = policy->text();
  if (policy->looks_ahead())
    throw ConfigError(fmt::format(
        "[policy] '{}' looks at exits before they are computed; use `branchy policy`", text));
  if (policy->needs_scores() && !predictor_)
    throw ConfigError(fmt::format(
        "[policy] '{}' needs an Exit Predictor, the model has none; see `branchy predictor train`",
        text));
  if (policy->needs_scores()) predictor_->require_before_exits(*model_.plan);
  const bool goes_on = cloud_ != nullptr && cloud_decides();
  if (goes_on && !options_.cloud_only && policy->memory() == PolicyMemory::kLogits)
    throw ConfigError(
        fmt::format("[policy] '{}' needs the logits of all exits before, which do not travel; cut "
                    "at the last early exit",
                    text));
  options_.policy = std::move(policy);
}

// Whether early exits lie behind the cut.
bool EdgeEngine::cloud_decides() const {
  return model_.plan->part().last_exit < model_.info.config.early_exits;
}

SampleContext EdgeEngine::context() const {
  return {.num_exits = model_.info.config.early_exits + 1, .scores = scores_};
}

EdgeOutcome EdgeEngine::classify(std::span<const std::uint8_t> pixels) {
  const Clock::time_point start = Clock::now();
  EdgeOutcome outcome;
  seen_.clear();
  scores_.clear();
  std::optional<Decision> decision;
  if (!options_.cloud_only) {
    decision = run_exits(pixels);
    outcome.edge_ms = ms_since(start);
  }
  if (decision) {
    outcome.prediction = decision->answer;
    outcome.last_exit = seen_.views().back().prediction.exit;
    outcome.dropped = decision->verdict == Verdict::kDrop;
  } else {
    ask_cloud(outcome, pixels);
  }
  outcome.total_ms = ms_since(start);
  return outcome;
}

std::optional<Decision> EdgeEngine::run_exits(std::span<const std::uint8_t> pixels) {
  const Tensor image = normalize_pixels(pixels, *model_.image_shape, model_.info);
  runner_.start(image);
  const ExitPolicy& policy = *options_.policy;
  if (policy.needs_scores()) {
    const std::int64_t depth = predictor_->reads_after();
    const Tensor scores = predictor_->scores(depth == 0 ? image : runner_.value_after(depth));
    scores_.assign(scores.data().begin(), scores.data().end());
  }
  const std::int64_t early = model_.info.config.early_exits;
  for (std::int64_t exit = 1; exit <= model_.plan->part().last_exit; ++exit) {
    if (exit <= early && !policy.computes(exit, context())) continue;
    seen_.add(exit, runner_.run_to(exit).logits.data(), model_.info.temperature(exit));
    Decision decision = policy.decide(seen_.views(), context());
    if (decision.verdict != Verdict::kGoOn) return decision;
  }
  return std::nullopt;
}

void EdgeEngine::run_all_exits(std::span<const std::uint8_t> pixels) {
  seen_.clear();
  runner_.start(normalize_pixels(pixels, *model_.image_shape, model_.info));
  while (runner_.has_next()) {
    const ExitOutput output = runner_.next_exit();
    seen_.add(output.exit, output.logits.data(), model_.info.temperature(output.exit));
  }
}

void EdgeEngine::ask_cloud(EdgeOutcome& outcome, std::span<const std::uint8_t> pixels) {
  if (cloud_ == nullptr) return degrade(outcome, pixels, "no cloud", "no --cloud was given");
  if (!breaker_.allows(Clock::now())) return degrade(outcome, pixels, "paused", {});
  const Result<CloudAnswer> answer = send(outcome, pixels);
  if (!answer) {
    breaker_.failed(Clock::now());
    const Failure& failure = answer.failure();
    return degrade(outcome, pixels, std::string(to_string(failure.kind)), failure.text);
  }
  breaker_.succeeded();
  cloud_was_away_ = false;
  take_answer(outcome, *answer);
}

Result<CloudAnswer> EdgeEngine::send(EdgeOutcome& outcome, std::span<const std::uint8_t> pixels) {
  RemotePolicy policy;
  if (cloud_decides()) {
    policy = {.text = options_.policy->text(), .seen = {}, .scores = scores_};
    if (options_.policy->memory() != PolicyMemory::kNone) policy.seen = seen_.views();
  }
  const Clock::time_point start = Clock::now();
  Tensor feature;
  std::vector<std::byte> code;
  if (!options_.cloud_only) {
    feature = runner_.feature();
    if (coder_) code = coder_->encode(feature);
    outcome.edge_ms += ms_since(start);
  }
  const Clock::time_point asked = Clock::now();
  Result<CloudAnswer> answer = options_.cloud_only
                                   ? cloud_->infer_image(*model_.image_shape, pixels, policy)
                               : coder_ ? cloud_->infer_code(code, policy)
                                        : cloud_->infer_feature(feature, policy);
  outcome.round_trip_ms = ms_since(asked);
  return answer;
}

void EdgeEngine::take_answer(EdgeOutcome& outcome, const CloudAnswer& answer) {
  outcome.from_cloud = true;
  outcome.last_exit = answer.last_exit;
  outcome.cloud_ms = answer.compute_ms;
  outcome.bytes_sent = answer.bytes_sent;
  outcome.bytes_received = answer.bytes_received;
  link_.add_transfer(answer.bytes_sent + answer.bytes_received,
                     std::max(answer.round_trip_ms - answer.compute_ms, 0.0));
  last_transfer_ = Clock::now();
  if (!cloud_decides()) {
    seen_.add(answer.exit, answer.logits, model_.info.temperature(answer.exit));
    const Decision decision = options_.cloud_only
                                  ? Decision{Verdict::kExit, seen_.views().back().prediction}
                                  : options_.policy->decide(seen_.views(), context());
    outcome.prediction = decision.answer;
    outcome.dropped = decision.verdict == Verdict::kDrop;
    return;
  }
  outcome.dropped = answer.dropped;
  if (const Prediction* mine = seen_.find(answer.exit)) {
    outcome.prediction = *mine;
  } else {
    outcome.prediction = predict(answer.exit, answer.logits, model_.info.temperature(answer.exit));
  }
}

void EdgeEngine::degrade(EdgeOutcome& outcome, std::span<const std::uint8_t> pixels,
                         const std::string& reason, const std::string& text) {
  const Clock::time_point start = Clock::now();
  outcome.degraded = true;
  outcome.reason = reason;
  if (seen_.empty()) run_all_exits(pixels);  // the policy skipped them, or they were the cloud's
  outcome.prediction = seen_.most_confident();
  outcome.last_exit = seen_.views().back().prediction.exit;
  outcome.edge_ms += ms_since(start);
  if (!cloud_was_away_ && warn_ && !text.empty()) {
    warn_(text + "; answering with the most confident exit here (degraded)");
  }
  cloud_was_away_ = true;
}

bool EdgeEngine::probe(std::size_t padding_bytes) {
  if (!breaker_.allows(Clock::now())) return false;
  const Result<LinkProbe> probe = cloud_->probe(padding_bytes);
  last_probe_ = Clock::now();
  if (!probe) {
    breaker_.failed(*last_probe_);
    return false;
  }
  probe_bytes_ += probe->bytes;
  if (padding_bytes == 0) {
    link_.add_round_trip(probe->ms);
  } else {
    link_.add_transfer(probe->bytes, probe->ms);
    last_transfer_ = last_probe_;
  }
  return true;
}

void EdgeEngine::probe_link() {
  if (cloud_ == nullptr) return;
  const Clock::time_point now = Clock::now();
  if (last_probe_ && now - *last_probe_ < kRoundTripAge) return;
  // The first exchange may have to connect, which is no round trip.
  if (!last_probe_ && breaker_.allows(now)) (void)cloud_->probe(0);
  if (!probe(0)) return;
  if (!last_transfer_ || now - *last_transfer_ >= kBandwidthAge)
    (void)probe(CloudClient::kMaxPadding);
}

}  // namespace branchy
