#include "infer/edge_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "infer/pixel_input.h"

namespace branchy {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

bool is_past(const std::optional<Clock::time_point>& deadline) {
  return deadline && Clock::now() >= *deadline;
}

void conclude(EdgeOutcome& outcome, const Decision& decision, const SeenExits& seen) {
  outcome.prediction = decision.answer;
  outcome.last_exit = seen.views().back().prediction.exit;
  outcome.dropped = decision.verdict == Verdict::kDrop;
}

}  // namespace

CloudModel cloud_model_for(const ServedModel& model) {
  return {.name = model.info.config.name,
          .cut = model.info.cut,
          .num_classes = model.info.config.classes,
          .num_exits = model.info.config.early_exits + 1,
          .num_edge_exits = model.num_edge_exits()};
}

EdgeEngine::EdgeEngine(ServedModel model, bool has_cloud, EdgeOptions options)
    : model_(std::move(model)),
      has_cloud_(has_cloud),
      options_(std::move(options)),
      cloud_(cloud_model_for(model_)),
      runner_(model_.plan) {
  const NetworkPart& part = model_.plan->part();
  if (!model_.image_shape || part.first_exit != 1 || cloud_.num_edge_exits < 1) {
    throw ConfigError(
        "[edge] the model file has no image input or no exit; give the edge file of "
        "branchy export");
  }
  has_rest_ = cloud_.num_edge_exits < cloud_.num_exits && part.last_exit == cloud_.num_exits;
  if (options_.cloud_only && !has_cloud_) {
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
  const bool goes_on = has_cloud_ && cloud_decides();
  if (goes_on && !options_.cloud_only && policy->memory() == PolicyMemory::kLogits)
    throw ConfigError(
        fmt::format("[policy] '{}' needs the logits of all exits before, which do not travel; cut "
                    "at the last early exit",
                    text));
  options_.policy = std::move(policy);
}

bool EdgeEngine::cloud_decides() const {
  return cloud_.num_edge_exits < model_.info.config.early_exits;
}

SampleContext EdgeEngine::context(std::span<const float> scores) const {
  return {.num_exits = cloud_.num_exits, .scores = scores};
}

void EdgeEngine::start(std::span<const std::uint8_t> pixels, const ExitPolicy& policy,
                       std::vector<float>& scores) {
  const Tensor image = normalize_pixels(pixels, *model_.image_shape, model_.info);
  runner_.start(image);
  if (!policy.needs_scores()) return;
  const std::int64_t depth = predictor_->reads_after();
  const Tensor found = predictor_->scores(depth == 0 ? image : runner_.value_after(depth));
  scores.assign(found.data().begin(), found.data().end());
}

std::optional<Decision> EdgeEngine::run_exits(const EdgeTask& task, SeenExits& seen,
                                              std::int64_t first, std::int64_t last) {
  const SampleContext sample = context(task.scores);
  const std::int64_t early = model_.info.config.early_exits;
  for (std::int64_t exit = first; exit <= last; ++exit) {
    if (exit <= early && !task.policy->computes(exit, sample)) continue;
    if (!seen.empty() && is_past(task.deadline)) break;
    seen.add(exit, runner_.run_to(exit).logits.data(), model_.info.temperature(exit));
    Decision decision = task.policy->decide(seen.views(), sample);
    if (decision.verdict != Verdict::kGoOn) return decision;
  }
  return std::nullopt;
}

void EdgeEngine::compute(EdgeTask& task) {
  const Clock::time_point began = Clock::now();
  task.policy = options_.policy;
  task.outcome.policy = task.policy->text();
  if (!options_.cloud_only) {
    start(task.pixels, *task.policy, task.scores);
    const auto decision = run_exits(task, task.seen, 1, cloud_.num_edge_exits);
    task.outcome.edge_ms = ms_since(began);
    if (decision) {
      conclude(task.outcome, *decision, task.seen);
      task.is_decided = true;
      return;
    }
  }
  task.is_late = is_past(task.deadline);
  if (!task.is_late && (has_cloud_ || has_rest_)) ask(task);
}

void EdgeEngine::ask(EdgeTask& task) {
  const Clock::time_point began = Clock::now();
  if (options_.cloud_only) {
    task.question = image_question(*model_.image_shape, task.pixels);
  } else {
    task.feature = runner_.value_after(model_.cut_blocks);
    if (coder_) {
      const std::vector<std::byte> code = coder_->encode(task.feature);
      task.question = code_question(cloud_, code);
      if (has_rest_ && coder_->can_decode()) task.feature = coder_->decode(code);
    } else {
      task.question = feature_question(cloud_, task.feature);
    }
  }
  if (cloud_decides()) {
    task.question->policy = task.policy->text();
    if (task.policy->memory() != PolicyMemory::kNone) task.question->seen = task.seen.predictions();
    task.question->scores = task.scores;
  }
  task.outcome.encode_ms = ms_since(began);
}

EdgeOutcome EdgeEngine::compute_rest(const EdgeTask& task, std::string_view reason) {
  const Clock::time_point began = Clock::now();
  EdgeOutcome outcome = task.outcome;
  SeenExits seen = task.seen;
  EdgeTask rest;  // without a deadline: the caller has seen to it
  rest.policy = task.policy;
  rest.scores = task.scores;
  std::int64_t first = cloud_.num_edge_exits + 1;
  if (task.feature.defined()) {
    runner_.start_after(model_.cut_blocks, task.feature);
  } else {
    start(task.pixels, *task.policy, rest.scores);
    first = 1;
  }
  const auto decision = run_exits(rest, seen, first, cloud_.num_exits);
  BRANCHY_DCHECK(decision.has_value());
  conclude(outcome, *decision, seen);
  outcome.hedged = has_cloud_;
  outcome.reason = reason;
  outcome.edge_ms += ms_since(began);
  return outcome;
}

void EdgeEngine::compute_exits(EdgeTask& task) {
  const Clock::time_point began = Clock::now();
  runner_.start(normalize_pixels(task.pixels, *model_.image_shape, model_.info));
  for (std::int64_t exit = 1; exit <= cloud_.num_edge_exits; ++exit) {
    if (!task.seen.empty() && is_past(task.deadline)) break;
    task.seen.add(exit, runner_.run_to(exit).logits.data(), model_.info.temperature(exit));
  }
  task.outcome.edge_ms += ms_since(began);
}

EdgeOutcome EdgeEngine::take_answer(const EdgeTask& task, const CloudAnswer& answer) const {
  EdgeOutcome outcome = task.outcome;
  outcome.from_cloud = true;
  outcome.last_exit = answer.last_exit;
  outcome.cloud_ms = answer.compute_ms;
  outcome.cloud_queue_ms = answer.queue_ms;
  outcome.bytes_sent = answer.bytes_sent;
  outcome.bytes_received = answer.bytes_received;
  const float temperature = model_.info.temperature(answer.exit);
  if (!cloud_decides()) {
    SeenExits seen = task.seen;
    seen.add(answer.exit, answer.logits, temperature);
    const Decision decision = options_.cloud_only
                                  ? Decision{Verdict::kExit, seen.views().back().prediction}
                                  : task.policy->decide(seen.views(), context(task.scores));
    outcome.prediction = decision.answer;
    outcome.dropped = decision.verdict == Verdict::kDrop;
    return outcome;
  }
  outcome.dropped = answer.dropped;
  const Prediction* mine = task.seen.find(answer.exit);
  outcome.prediction = mine != nullptr ? *mine : predict(answer.exit, answer.logits, temperature);
  return outcome;
}

EdgeOutcome EdgeEngine::degrade(const EdgeTask& task, std::string_view reason) const {
  EdgeOutcome outcome = task.outcome;
  outcome.degraded = true;
  outcome.reason = reason;
  outcome.prediction = task.seen.most_confident();
  outcome.last_exit = task.seen.views().back().prediction.exit;
  return outcome;
}

}  // namespace branchy
