#include "layers/models/network_parts.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "layers/models/exit_head.h"
#include "layers/models/exit_placement.h"

namespace branchy {

namespace {

/// Number of trunk blocks up to and with the one that `text` names or numbers; 0 when it is none.
std::int64_t blocks_through(const NetworkParts& parts, const std::string& text) {
  for (std::size_t i = 0; i < parts.blocks.size(); ++i)
    if (parts.blocks[i].name == text) return static_cast<std::int64_t>(i) + 1;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return 0;
  if (number < parts.first_number || number >= parts.first_number + std::ssize(parts.blocks))
    return 0;
  return number - parts.first_number + 1;
}

std::vector<std::int64_t> places_by_hand(const NetworkParts& parts, OptionReader& options) {
  const std::int64_t places = std::ssize(parts.blocks) - 1;
  std::vector<std::int64_t> after;
  for (const std::string& text : split_list(options.text("exit-after"))) {
    const std::int64_t through = blocks_through(parts, text);
    if (through < 1 || through > places || (!after.empty() && through <= after.back()))
      options.fail("exit-after",
                   fmt::format("rising numbers in {} .. {} or names of blocks, separated by commas",
                               parts.first_number, parts.first_number + places - 1));
    after.push_back(through);
  }
  if (after.empty()) options.fail("exit-after", "at least one place");
  return after;
}

Shape shape_after(const NetworkParts& parts, std::int64_t num_blocks) {
  Shape shape = parts.input;
  for (std::int64_t i = 0; i < num_blocks; ++i)
    shape = parts.blocks[static_cast<std::size_t>(i)].layer->output_shape(shape);
  return shape;
}

std::vector<std::int64_t> places_by_rule(const NetworkParts& parts, const std::string& rule,
                                         std::int64_t num_exits) {
  const auto cumulative = cumulative_counts(parts.blocks, parts.input);
  std::int64_t final_count = 0;
  if (parts.final_count) {
    final_count = *parts.final_count;
  } else if (rule != "every-block") {
    Rng unused(0);  // the count does not depend on the weights
    const Shape shape = shape_after(parts, std::ssize(parts.blocks));
    final_count = parts.final_exit(shape, unused)->cost(shape).pthflops;
  }
  return place_exits(parse_placement_rule(rule), cumulative, cumulative.back() + final_count,
                     num_exits);
}

/// The early exits that the options ask for, still to be made.
std::vector<PaperExit> wanted_exits(const NetworkConfig& config, OptionReader& options,
                                    const NetworkParts& parts) {
  std::vector<std::string> kinds = exit_head_kinds();
  const bool by_hand = options.has("exit-after");
  const bool paper_places = parts.paper_exits && !by_hand && !options.has("placement");
  const std::string own_kind = paper_places ? "paper" : parts.default_exit;
  std::erase(kinds, own_kind);
  kinds.insert(kinds.begin(), own_kind);
  const std::string kind = options.choice("exit", kinds);
  static_cast<void>(options.text("exit-after"));
  const std::string rule = options.choice("placement", placement_rule_names());
  options.finish();
  if (by_hand && options.has("placement"))
    options.fail("placement", "nothing, as exit-after gives the places already");

  std::vector<PaperExit> paper;
  std::vector<std::int64_t> after;
  if (by_hand) {
    after = places_by_hand(parts, options);
  } else if (paper_places) {
    if (config.early_exits > 0) paper = parts.paper_exits(config.early_exits);
    if (kind == "paper") return paper;
    for (const PaperExit& exit : paper) after.push_back(exit.after_block);
  } else if (config.early_exits > 0 || options.has("placement")) {
    after = places_by_rule(parts, rule, config.early_exits);
  }
  std::vector<PaperExit> exits;
  exits.reserve(after.size());
  for (const std::int64_t place : after)
    exits.push_back({place, [kind, classes = config.classes](const Shape& feature, Rng& rng) {
                       return exit_head(kind, feature, classes, rng);
                     }});
  return exits;
}

}  // namespace

std::unique_ptr<MultiExitNetwork> assemble(NetworkConfig config, OptionReader& options,
                                           NetworkParts parts, Rng& rng) {
  std::vector<MultiExitNetwork::Exit> exits;
  for (const PaperExit& exit : wanted_exits(config, options, parts)) {
    const std::string name = fmt::format("exits.{}", exits.size() + 1);
    exits.push_back({.name = name,
                     .state_prefix = name + ".",
                     .after_block = exit.after_block,
                     .layer = exit.make(shape_after(parts, exit.after_block), rng)});
  }
  config.early_exits = std::ssize(exits);
  exits.push_back({.name = "final",
                   .state_prefix = parts.final_prefix,
                   .after_block = std::ssize(parts.blocks),
                   .layer = parts.final_exit(shape_after(parts, std::ssize(parts.blocks)), rng)});
  return std::make_unique<MultiExitNetwork>(std::move(config), parts.input, std::move(parts.blocks),
                                            std::move(exits), parts.filters.finish());
}

void require_no_exits(const NetworkConfig& config) {
  if (config.early_exits != 0)
    throw ConfigError(
        fmt::format("[{}] {} early exits, it has none; give 0", config.name, config.early_exits));
}

}  // namespace branchy
