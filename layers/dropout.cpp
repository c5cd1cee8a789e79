#include "layers/dropout.h"

#include <fmt/core.h>

#include "core/error.h"
#include "core/kernels/dropout_mask.h"
#include "core/kernels/elementwise.h"
#include "core/step_profile.h"

namespace branchy {

namespace {

// FNV-1a (Fowler, Noll, Vo): the same on every machine, unlike std::hash.
std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char letter : text) {
    hash ^= static_cast<unsigned char>(letter);
    hash *= 0x100000001B3ULL;
  }
  return hash;
}

}  // namespace

Dropout::Dropout(float probability) : probability_(probability) {
  if (!(probability >= 0.0F && probability < 1.0F))
    throw ConfigError(
        fmt::format("[dropout] probability {}, expected 0 or more and below 1", probability));
}

Variable Dropout::do_forward(const Variable& src, const Pass& pass) {
  if (pass.mode == Mode::kEval || probability_ == 0.0F) return src;
  const TimedWork work(StepWork::kElementwise);
  const Tensor mask = kernels::dropout_mask(src.shape(), probability_, pass.seed, hash_of(name()));
  // y = mask x, so dx = mask dy.
  return record(kType, kernels::multiply(src.value(), mask), {src},
                [mask](const Tensor& diff_dst, Wanted /*wanted*/) {
                  return std::vector<Tensor>{kernels::multiply(diff_dst, mask)};
                });
}

Cost Dropout::cost(const Shape& /*src*/) const { return {}; }

PlanValue Dropout::lower(PlanBuilder& /*plan*/, PlanValue src) const { return src; }

std::vector<LayerCase> Dropout::cases() {
  const auto make = [](float probability) {
    return [probability](Rng&) { return std::make_unique<Dropout>(probability); };
  };
  return {{"half", {3, 17}, make(0.5F), /*random_in_training=*/true},
          {"fifth", {2, 5, 4, 3}, make(0.2F), /*random_in_training=*/true},
          {"none", {2, 6}, make(0.0F)}};
}

}  // namespace branchy
