#include "layers/models/cnn9.h"

#include <fmt/core.h>

#include "core/error.h"
#include "layers/models/conv_bn_relu.h"
#include "layers/models/exit_head.h"
#include "layers/models/network_parts.h"
#include "layers/pool2d.h"
#include "layers/residual_block.h"

namespace branchy {

namespace {

constexpr std::int64_t kBlocks = 9;
constexpr std::int64_t kBlocksPerWidth = 3;

struct Choices {
  std::vector<std::int64_t> widths;
  PoolKind pool;
  bool pool_in_next, residual;
  std::int64_t stem;
};

Choices read(OptionReader& options) {
  Choices c{
      .widths = options.integers("widths", {16, 32, 64}, 1, 4096),
      .pool = options.choice("pool", {"avg", "max"}) == "avg" ? PoolKind::kAverage : PoolKind::kMax,
      .pool_in_next = options.choice("pool-in", {"next", "previous"}) == "next",
      .residual = options.choice("skips", {"none", "residual"}) == "residual",
      .stem = options.integer("stem", 0, 0, 4096)};
  if (c.widths.size() != 3) options.fail("widths", "three numbers separated by commas");
  return c;
}

std::vector<MultiExitNetwork::Block> trunk(const Choices& c, FilterCounts& filters, Rng& rng) {
  std::vector<MultiExitNetwork::Block> blocks;
  std::int64_t in = 3;
  for (std::int64_t i = 0; i < kBlocks; ++i) {
    const std::string name = fmt::format("block{}", i + 1);
    std::int64_t out = c.widths[static_cast<std::size_t>(i / kBlocksPerWidth)];
    const bool first_of_width = i > 0 && i % kBlocksPerWidth == 0;
    const bool last_of_width = i + 1 < kBlocks && (i + 1) % kBlocksPerWidth == 0;
    auto layers = std::make_unique<Sequential>();
    if (i == 0 && c.stem > 0) {
      const std::int64_t stem = c.residual ? c.stem : filters.of(name + ".stem", c.stem);
      add_conv_bn_relu(*layers, {"stem", "stem_bn"},
                       {.in = in, .out = stem, .kernel = 3, .padding = 1}, rng);
      in = stem;
    }
    if (first_of_width && c.pool_in_next)
      layers->add("pool", std::make_unique<Pool2d>(PoolOp{.kind = c.pool}));
    if (c.residual) {
      const std::int64_t inner = filters.of(name + ".residual.conv1", out);
      layers->add("residual", std::make_unique<ResidualBlock>(
                                  ResidualBlockParams{.in = in, .out = out, .inner = inner}, rng));
    } else {
      const std::int64_t inner = filters.of(name + ".conv1", out);
      out = filters.of(name + ".conv2", out);
      add_conv_bn_relu(*layers, {"conv1", "bn1"},
                       {.in = in, .out = inner, .kernel = 3, .padding = 1}, rng);
      add_conv_bn_relu(*layers, {"conv2", "bn2"},
                       {.in = inner, .out = out, .kernel = 3, .padding = 1}, rng);
    }
    if (last_of_width && !c.pool_in_next)
      layers->add("pool", std::make_unique<Pool2d>(PoolOp{.kind = c.pool}));
    blocks.push_back({name, name + ".", std::move(layers)});
    in = out;
  }
  return blocks;
}

}  // namespace

// Nine blocks: 16x32x32 three times, 32x16x16 three times, 64x8x8 three times; every exit, the last
// too, is global average pooling and a linear layer.
std::unique_ptr<MultiExitNetwork> cnn9(const NetworkConfig& config, Rng& rng) {
  OptionReader options(config);
  FilterCounts filters(options);
  const Choices choices = read(options);
  const auto head = [&](const Shape& feature, Rng& r) {
    return exit_head("light", feature, config.classes, r);
  };
  NetworkParts parts{.filters = filters,
                     .input = Shape{1, 3, 32, 32},
                     .blocks = trunk(choices, filters, rng),
                     .first_number = 1,
                     .final_exit = head};
  parts.paper_exits = [head](std::int64_t count) {
    if (count != kBlocks - 1)
      throw ConfigError(fmt::format(
          "[cnn9] {} early exits; give 8 (MEM), exit-after with one block (SEM), or 0", count));
    std::vector<PaperExit> exits;
    for (std::int64_t block = 1; block <= count; ++block) exits.push_back({block, head});
    return exits;
  };
  return assemble(config, options, std::move(parts), rng);
}

}  // namespace branchy
