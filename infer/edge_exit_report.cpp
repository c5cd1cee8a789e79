#include "infer/edge_exit_report.h"

#include <fmt/format.h>

#include <charconv>

#include "core/printable.h"
#include "infer/wire_tensor.h"

namespace branchy {
namespace {

// Reads a number in front of `text` and what follows it, if anything does; -1 for anything else.
std::int64_t take_number(std::string_view& text, char follower) {
  std::int64_t number = -1;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return -1;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  if (text.empty()) return follower == '=' ? -1 : number;
  if (text.front() != follower) return -1;
  text.remove_prefix(1);
  return text.empty() ? -1 : number;
}

}  // namespace

std::string format_edge_exits(const EdgeExitCounts& counts) {
  std::string text;
  for (const auto& [exit, count] : counts) {
    if (count > 0) text += fmt::format("{}{}={}", text.empty() ? "" : ",", exit, count);
  }
  return text;
}

EdgeExitCounts parse_edge_exits(std::string_view text) {
  constexpr std::int64_t kMaxExit = 64;
  constexpr std::int64_t kMaxCount = 1'000'000'000;
  EdgeExitCounts counts;
  std::string_view rest = text;
  do {
    const std::int64_t exit = take_number(rest, '=');
    const std::int64_t count = exit < 0 ? -1 : take_number(rest, ',');
    if (exit < 1 || exit > kMaxExit || count < 0 || count > kMaxCount ||
        !counts.emplace(exit, count).second)
      throw HttpError(400, fmt::format("[header {}] is '{}', expected exits and counts like "
                                       "1=12,2=3",
                                       kEdgeExitsHeader, printable(text)));
  } while (!rest.empty());
  return counts;
}

}  // namespace branchy
