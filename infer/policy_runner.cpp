#include "infer/policy_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.h"

namespace branchy {

namespace {

/// Rows `places` of `value`, in this order.
Tensor gather(const Tensor& value, const std::vector<std::size_t>& places) {
  Tensor rows(value.shape().with_batch(std::ssize(places)));
  const auto size = static_cast<std::size_t>(value.size() / value.dim(0));
  const auto from = value.data();
  auto to = rows.mutable_data().begin();
  for (const std::size_t place : places) {
    const auto row = from.subspan(place * size, size);
    to = std::copy(row.begin(), row.end(), to);
  }
  return rows;
}

void add(SampleOutcome& outcome, std::int64_t operations, bool on_device) {
  outcome.total_operations += operations;
  if (on_device) outcome.device_operations += operations;
}

}  // namespace

/// A batch on its way.
struct PolicyRunner::Request {
  const ExitPolicy& policy;
  std::vector<SampleOutcome> outcomes = {};
  std::vector<std::vector<ExitView>> seen = {};
  std::vector<Tensor> scaled = {};      ///< what the views refer to
  Tensor scores = {};                   ///< [N, early exits], or undefined
  std::vector<std::size_t> alive = {};  ///< rows that the trunk computes, rising
  std::int64_t pieces_done = 0;         ///< trunk pieces executed for those alive

  SampleContext context(std::size_t row, std::int64_t num_exits) const {
    SampleContext context{.num_exits = num_exits};
    if (scores.defined()) {
      const auto early = static_cast<std::size_t>(num_exits - 1);
      context.scores = scores.data().subspan(row * early, early);
    }
    return context;
  }
};

PolicyRunner::PolicyRunner(std::shared_ptr<const Plan> plan, PolicyRunnerOptions options)
    : plan_(std::move(plan)),
      options_(std::move(options)),
      num_exits_(plan_->part().last_exit),
      trunk_(plan_),
      part_(plan_) {
  if (plan_->part().first_block != 0 || plan_->part().first_exit != 1 || num_exits_ < 1)
    throw ConfigError("[policy runner] the plan is one side of a split, expected a whole network");
  if (num_exits_ > kMostExits)
    throw ConfigError(fmt::format("[policy runner] {} exits, at most {}", num_exits_, kMostExits));
  if (options_.costs.num_exits() != num_exits_ ||
      options_.costs.exit.size() != options_.costs.trunk.size())
    throw ConfigError(fmt::format("[policy runner] costs of {} exits for a network of {}",
                                  options_.costs.num_exits(), num_exits_));
  const auto& temperatures = options_.temperatures;
  if (!temperatures.empty() && std::ssize(temperatures) != num_exits_)
    throw ConfigError(fmt::format("[policy runner] {} temperatures for {} exits",
                                  temperatures.size(), num_exits_));
  for (const float temperature : temperatures)
    if (!(temperature > 0.0F && std::isfinite(temperature)))
      throw ConfigError(fmt::format("[policy runner] temperature {} is not positive", temperature));
  if (options_.scores) options_.scores->require_before_exits(*plan_);
}

void PolicyRunner::require(const ExitPolicy& policy) const {
  if (policy.looks_ahead())
    throw ConfigError(
        fmt::format("[policy '{}'] looks ahead and cannot be executed; evaluate it "
                    "on stored logits",
                    policy.text()));
  if (policy.needs_scores() && !options_.scores)
    throw ConfigError(
        fmt::format("[policy '{}'] needs a predictor, the model has none attached", policy.text()));
}

std::vector<SampleOutcome> PolicyRunner::run(const Tensor& images, const ExitPolicy& policy) {
  require(policy);
  trunk_.start(images);
  Request request{.policy = policy};
  const auto count = static_cast<std::size_t>(images.dim(0));
  request.outcomes.resize(count);
  request.seen.resize(count);
  for (std::size_t row = 0; row < count; ++row) request.alive.push_back(row);
  if (policy.needs_scores()) {
    request.scores = options_.scores->scores_at_start(trunk_, images);
    for (SampleOutcome& outcome : request.outcomes) add(outcome, options_.costs.predictor, true);
  }
  for (std::int64_t exit = 1; exit <= num_exits_ && !request.alive.empty(); ++exit)
    run_exit(request, exit);
  BRANCHY_DCHECK(request.alive.empty());  // a policy never goes on from the final exit
  return std::move(request.outcomes);
}

/// The trunk is computed up to `exit` for all that are alive; the caller runs it.
void PolicyRunner::advance_to(Request& request, std::int64_t exit) const {
  for (; request.pieces_done < exit; ++request.pieces_done) {
    const auto piece = static_cast<std::size_t>(request.pieces_done);
    for (const std::size_t row : request.alive)
      add(request.outcomes[row], options_.costs.trunk[piece], on_device(request.pieces_done + 1));
  }
}

void PolicyRunner::run_exit(Request& request, std::int64_t exit) {
  std::vector<std::size_t> places;  // among those alive
  for (std::size_t place = 0; place < request.alive.size(); ++place)
    if (exit == num_exits_ ||
        request.policy.computes(exit, request.context(request.alive[place], num_exits_)))
      places.push_back(place);
  if (places.empty()) return;
  advance_to(request, exit);
  const Tensor logits = exit_logits(request, exit, places);
  request.scaled.emplace_back(logits.shape());
  std::vector<bool> stops(request.alive.size(), false);
  const auto classes = static_cast<std::size_t>(logits.dim(1));
  for (std::size_t i = 0; i < places.size(); ++i)
    stops[places[i]] = !decide(request, exit, i, request.alive[places[i]],
                               logits.data().subspan(i * classes, classes));
  std::vector<std::size_t> staying;
  for (std::size_t place = 0; place < request.alive.size(); ++place)
    if (!stops[place]) staying.push_back(place);
  if (staying.size() == request.alive.size()) return;
  if (!staying.empty()) {
    const std::int64_t depth = plan_->exit_depth(exit);
    const Tensor value = trunk_.value_after(depth);
    trunk_.start_after(depth, gather(value, staying));
  }
  for (std::size_t& place : staying) place = request.alive[place];
  request.alive = std::move(staying);
}

Tensor PolicyRunner::exit_logits(const Request& request, std::int64_t exit,
                                 const std::vector<std::size_t>& places) {
  if (places.size() == request.alive.size()) return trunk_.run_to(exit).logits;
  const std::int64_t depth = plan_->exit_depth(exit);
  const Tensor value = trunk_.value_after(depth);
  part_.start_after(depth, gather(value, places));
  return part_.run_to(exit).logits;
}

bool PolicyRunner::decide(Request& request, std::int64_t exit, std::size_t logits_row,
                          std::size_t row, std::span<const float> logits) const {
  const auto index = static_cast<std::size_t>(exit - 1);
  const auto& temperatures = options_.temperatures;
  SampleOutcome& outcome = request.outcomes[row];
  add(outcome, options_.costs.exit[index], on_device(exit));
  outcome.computed |= std::uint64_t{1} << static_cast<unsigned>(index);
  const auto scaled =
      request.scaled.back().mutable_data().subspan(logits_row * logits.size(), logits.size());
  request.seen[row].push_back(
      make_exit_view(exit, logits, temperatures.empty() ? 1.0F : temperatures[index], scaled));
  const Decision decision =
      request.policy.decide(request.seen[row], request.context(row, num_exits_));
  if (decision.verdict == Verdict::kGoOn) return true;
  outcome.exit = exit;
  outcome.answer = decision.answer;
  outcome.dropped = decision.verdict == Verdict::kDrop;
  outcome.bytes_sent = on_device(exit) ? 0 : options_.costs.feature_bytes;
  return false;
}

}  // namespace branchy
