#include "infer/policies/active_exits.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/error.h"
#include "infer/policies/policy_reader.h"

namespace branchy {

ActiveExits::ActiveExits(PolicyReader& reader, std::int64_t num_early_exits)
    : active_(static_cast<std::size_t>(num_early_exits), true) {
  const auto words = reader.option("active");
  if (words.empty()) return;
  active_.assign(active_.size(), false);
  if (words.size() == 1 && words.front() == "none") return;
  for (const std::string& word : words) {
    const auto exit = reader.whole_number(word, "active", 1, num_early_exits);
    const auto index = static_cast<std::size_t>(exit - 1);
    if (active_[index]) reader.refuse(fmt::format("active names exit {} twice", exit));
    active_[index] = true;
  }
}

bool ActiveExits::contains(std::int64_t exit) const {
  BRANCHY_DCHECK(exit >= 1 && exit <= std::ssize(active_));
  return active_[static_cast<std::size_t>(exit - 1)];
}

std::string ActiveExits::text() const {
  if (std::find(active_.begin(), active_.end(), false) == active_.end()) return "";
  std::string text;
  for (std::size_t i = 0; i < active_.size(); ++i)
    if (active_[i]) text += fmt::format("{}{}", text.empty() ? "" : "+", i + 1);
  return fmt::format(",active={}", text.empty() ? "none" : text);
}

}  // namespace branchy
