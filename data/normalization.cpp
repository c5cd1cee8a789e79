#include "data/normalization.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "data/folder.h"

namespace branchy {

namespace {

struct NamedNormalization {
  std::string_view name;
  Normalization constants;
};
constexpr NamedNormalization kKnown[] = {{"imagenet", kImagenetNormalization},
                                         {"cifar10", kCifar10Normalization},
                                         {"cifar100", kCifar100Normalization},
                                         {"pacheco", kPachecoNormalization}};

}  // namespace

Normalization parse_normalization(std::string_view text) {
  for (const auto& [name, constants] : kKnown)
    if (name == text) return constants;
  std::vector<float> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (bool more = at != end; more; ++at) {
    const auto [next, error] = std::from_chars(at, end, numbers.emplace_back());
    more = error == std::errc() && next != end && *next == ',';
    if (error != std::errc() || (!more && next != end)) numbers.clear();
    at = next;
  }
  Normalization result;
  bool good = numbers.size() == 6;
  for (std::size_t c = 0; good && c < 3; ++c) {
    result.mean.at(c) = numbers[c];
    result.std.at(c) = numbers[c + 3];
    good = std::isfinite(numbers[c]) && std::isfinite(numbers[c + 3]) && numbers[c + 3] > 0.0F;
  }
  if (!good)
    throw ConfigError(fmt::format(
        "[normalize] '{}', expected imagenet, cifar10, cifar100, pacheco or three means "
        "and three positive deviations, all separated by commas",
        text));
  return result;
}

std::string to_text(const Normalization& normalization) {
  return fmt::format("{},{}", fmt::join(normalization.mean, ","),
                     fmt::join(normalization.std, ","));
}

}  // namespace branchy
