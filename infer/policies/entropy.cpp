#include "infer/policies/entropy.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "infer/policies/policy_reader.h"

namespace branchy {

EntropyPolicy::EntropyPolicy(ExitThresholds thresholds, std::optional<float> drop,
                             ActiveExits active)
    : thresholds_(std::move(thresholds)), drop_(drop), active_(std::move(active)) {}

PolicyPtr EntropyPolicy::parse(PolicyReader& reader, std::int64_t num_exits) {
  const auto given = reader.numbers();
  ExitThresholds thresholds(given, num_exits - 1);
  std::optional<float> drop;
  if (!reader.option("drop").empty()) {
    drop = reader.option_share("drop", 1.0F);
    for (const float threshold : given)
      if (threshold > *drop)
        reader.refuse(fmt::format("threshold {} is above drop {}; what leaves cannot be dropped",
                                  threshold, *drop));
  }
  return std::make_shared<EntropyPolicy>(std::move(thresholds), drop,
                                         ActiveExits(reader, num_exits - 1));
}

std::string EntropyPolicy::text() const {
  return fmt::format("{}:{}{}{}", kName, thresholds_.text(),
                     drop_ ? fmt::format(",drop={}", *drop_) : "", active_.text());
}

bool EntropyPolicy::computes(std::int64_t exit, const SampleContext& /*sample*/) const {
  return active_.contains(exit);
}

Decision EntropyPolicy::decide(std::span<const ExitView> seen, const SampleContext& sample) const {
  const ExitView& current = seen.back();
  const std::int64_t exit = current.prediction.exit;
  if (exit == sample.num_exits || current.entropy < thresholds_.at(exit))
    return {Verdict::kExit, current.prediction};
  if (drop_ && current.entropy > *drop_) return {Verdict::kDrop, current.prediction};
  return {};
}

}  // namespace branchy
