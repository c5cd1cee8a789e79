#include "layers/freezing.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "layers/network.h"

namespace branchy {

namespace {

/// Levenshtein's distance: insertions, deletions and replacements that make `a` out of `b`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::vector<std::string> names_near(const std::string& name,
                                    const std::vector<MultiExitNetwork::Block>& blocks) {
  constexpr std::size_t kNames = 4;
  std::vector<std::string> names;
  names.reserve(blocks.size());
  for (const auto& block : blocks) names.push_back(block.name);
  std::stable_sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    return edit_distance(name, a) < edit_distance(name, b);
  });
  names.resize(std::min(names.size(), kNames));
  return names;
}

std::int64_t blocks_until(const MultiExitNetwork& network, const std::string& name) {
  const auto& blocks = network.blocks();
  for (std::size_t i = 0; i < blocks.size(); ++i)
    if (blocks[i].name == name) return static_cast<std::int64_t>(i) + 1;
  throw ConfigError(
      fmt::format("[freeze] until:{}: {} has no such block; blocks of names near it: {}", name,
                  network.config().name, fmt::join(names_near(name, blocks), ", ")));
}

}  // namespace

FrozenParts parse_frozen_parts(const MultiExitNetwork& network,
                               const std::vector<std::string>& parts) {
  constexpr std::string_view kUntil = "until:";
  FrozenParts frozen;
  for (const std::string& part : parts) {
    if (part == "backbone")
      frozen.blocks = std::ssize(network.blocks());
    else if (part.starts_with(kUntil))
      frozen.blocks = std::max(frozen.blocks, blocks_until(network, part.substr(kUntil.size())));
    else if (part == "exits")
      frozen.exits = true;
    else if (part == "classifier")
      frozen.classifier = true;
    else
      throw ConfigError(
          fmt::format("[freeze] '{}', expected backbone, until:BLOCK, exits or classifier", part));
  }
  if (frozen.blocks == std::ssize(network.blocks()) && frozen.classifier &&
      (frozen.exits || network.num_exits() == 1))
    throw ConfigError(
        fmt::format("[freeze] {}: nothing of {} is left to train; freeze less, or add exits",
                    fmt::join(parts, " "), network.config().name));
  return frozen;
}

}  // namespace branchy
