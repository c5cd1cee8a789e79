#include "optim/schedule.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace branchy {

ScheduleKind parse_schedule(std::string_view name) {
  for (const auto kind : {ScheduleKind::kConstant, ScheduleKind::kCosine,
                          ScheduleKind::kCosineSwing, ScheduleKind::kOneCycle, ScheduleKind::kStep})
    if (name == to_string(kind)) return kind;
  throw ConfigError(fmt::format(
      "[schedule] '{}'; expected constant, cosine, cosine-swing, one-cycle or step", name));
}

std::string_view to_string(ScheduleKind kind) {
  switch (kind) {
    case ScheduleKind::kConstant:
      return "constant";
    case ScheduleKind::kCosine:
      return "cosine";
    case ScheduleKind::kCosineSwing:
      return "cosine-swing";
    case ScheduleKind::kOneCycle:
      return "one-cycle";
    case ScheduleKind::kStep:
      break;
  }
  return "step";
}

void ScheduleParams::validate() const {
  if (!(rate > 0.0) || !std::isfinite(rate) || !(end_rate >= 0.0) || end_rate > rate)
    throw ConfigError(
        fmt::format("[schedule] rate {} end rate {}: expected rate > 0 and 0 <= end rate <= rate",
                    rate, end_rate));
  if (decay_steps < 1 || warmup_steps < 0 || hold_steps < 1 || !(factor > 0.0))
    throw ConfigError(fmt::format(
        "[schedule] {} decay steps, {} warm-up steps, {} held steps, factor {}: expected 1 or "
        "more, 0 or more, 1 or more, above 0",
        decay_steps, warmup_steps, hold_steps, factor));
}

double learning_rate(const ScheduleParams& params, std::int64_t step) {
  step -= step % params.hold_steps;
  const auto at = static_cast<double>(step);
  const auto warmup = static_cast<double>(params.warmup_steps);
  const auto decay = static_cast<double>(params.decay_steps);
  double rate = params.rate;
  switch (params.kind) {
    case ScheduleKind::kConstant:
      break;
    case ScheduleKind::kCosine:
    case ScheduleKind::kCosineSwing: {
      const double t =
          params.kind == ScheduleKind::kCosine ? std::min(1.0, at / decay) : at / decay;
      rate = params.end_rate +
             (params.rate - params.end_rate) * 0.5 * (1.0 + std::cos(std::numbers::pi * t));
      break;
    }
    case ScheduleKind::kOneCycle: {
      if (step < params.warmup_steps) break;
      const double room = std::max(1.0, decay - warmup);
      const double t = std::min(1.0, (at - warmup) / room);
      rate = params.rate + (params.end_rate - params.rate) * t;
      break;
    }
    case ScheduleKind::kStep:
      for (const std::int64_t drop : params.drops)
        if (step >= drop) rate *= params.factor;
      break;
  }
  return step < params.warmup_steps ? rate * (at + 1.0) / warmup : rate;
}

}  // namespace branchy
