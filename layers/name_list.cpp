#include "layers/name_list.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace branchy {

std::string name_list(std::span<const std::string> names) {
  constexpr std::size_t kShown = 4;
  const auto shown = names.first(std::min(kShown, names.size()));
  std::string text = fmt::format("{}", fmt::join(shown, ", "));
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

}  // namespace branchy
