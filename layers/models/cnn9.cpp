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

std::vector<MultiExitNetwork::Block> trunk(const Choices& c, Rng& rng) {
  std::vector<MultiExitNetwork::Block> blocks;
  std::int64_t in = 3;
  for (std::int64_t i = 0; i < kBlocks; ++i) {
    const std::int64_t out = c.widths[static_cast<std::size_t>(i / kBlocksPerWidth)];
    const bool first_of_width = i > 0 && i % kBlocksPerWidth == 0;
    const bool last_of_width = i + 1 < kBlocks && (i + 1) % kBlocksPerWidth == 0;
    auto layers = std::make_unique<Sequential>();
    if (i == 0 && c.stem > 0) {
      add_conv_bn_relu(*layers, {"stem", "stem_bn"},
                       {.in = in, .out = c.stem, .kernel = 3, .padding = 1}, rng);
      in = c.stem;
    }
    if (first_of_width && c.pool_in_next)
      layers->add("pool", std::make_unique<Pool2d>(PoolOp{.kind = c.pool}));
    if (c.residual) {
      layers->add("residual",
                  std::make_unique<ResidualBlock>(ResidualBlockParams{.in = in, .out = out}, rng));
    } else {
      add_conv_bn_relu(*layers, {"conv1", "bn1"}, {.in = in, .out = out, .kernel = 3, .padding = 1},
                       rng);
      add_conv_bn_relu(*layers, {"conv2", "bn2"},
                       {.in = out, .out = out, .kernel = 3, .padding = 1}, rng);
    }
    if (last_of_width && !c.pool_in_next)
      layers->add("pool", std::make_unique<Pool2d>(PoolOp{.kind = c.pool}));
    const std::string name = fmt::format("block{}", i + 1);
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
  const Choices choices = read(options);
  NetworkParts parts{.input = Shape{1, 3, 32, 32},
                     .blocks = trunk(choices, rng),
                     .first_number = 1,
                     .final_exit = {}};
  const auto head = [&](std::int64_t block, Rng& r) {
    const std::int64_t width = choices.widths[static_cast<std::size_t>((block - 1) / 3)];
    return exit_head("light", Shape{1, width, 1, 1}, config.classes, r);
  };
  parts.final_exit = [head](Rng& r) { return head(kBlocks, r); };
  parts.paper_exits = [head](std::int64_t count) {
    if (count != kBlocks - 1)
      throw ConfigError(fmt::format(
          "[cnn9] {} early exits; give 8 (MEM), exit-after with one block (SEM), or 0", count));
    std::vector<PaperExit> exits;
    for (std::int64_t block = 1; block <= count; ++block)
      exits.push_back({block, [head, block](Rng& r) { return head(block, r); }});
    return exits;
  };
  return assemble(config, options, std::move(parts), rng);
}

}  // namespace branchy
