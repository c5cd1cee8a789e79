// Learning-rate schedules: the rate is a pure function of the step.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace branchy {

enum class ScheduleKind { kConstant, kCosine, kCosineSwing, kOneCycle, kStep };

/// "constant", "cosine", "cosine-swing", "one-cycle", "step"; throws ConfigError listing them.
[[nodiscard]] ScheduleKind parse_schedule(std::string_view name);
[[nodiscard]] std::string_view to_string(ScheduleKind kind);

struct ScheduleParams {
  ScheduleKind kind = ScheduleKind::kCosine;
  double rate = 0.1;                ///< base (peak) rate
  double end_rate = 0.0;            ///< cosine and one-cycle end here and stay
  std::int64_t decay_steps = 1;     ///< steps from the first to `end_rate`
  std::int64_t warmup_steps = 0;    ///< linear rise to `rate`; for one-cycle the rising part
  std::vector<std::int64_t> drops;  ///< step schedule: the rate is multiplied by `factor` at each
  double factor = 0.1;
  std::int64_t hold_steps = 1;  ///< the rate changes at multiples of this alone (of an epoch)
  /// Throws ConfigError naming the value out of range.
  void validate() const;
};

/// The rate of step 0, 1, ...
///
/// constant: `rate`. cosine: end + (rate - end) (1 + cos(pi t)) / 2 with t = step / decay_steps
/// (Loshchilov, Hutter 2017). cosine-swing: the same beyond `decay_steps`, where it rises again:
/// a wave of period 2 decay_steps (what PyTorch's CosineAnnealingLR does past T_max). one-cycle:
/// linear rise over the warm-up, then linear fall to the end rate (Smith, Topin 2018). step: `rate`
/// times `factor` for every drop passed. The warm-up of the others multiplies by (step + 1) /
/// warmup_steps.
[[nodiscard]] double learning_rate(const ScheduleParams& params, std::int64_t step);

}  // namespace branchy
