// Plan: a network part lowered for inference: batch norm folded, neighbours fused, weights packed.
#pragma once

#include <cstdint>
#include <memory>

#include "core/shape.h"
#include "infer/int8_ranges.h"
#include "layers/network.h"

namespace branchy {

namespace detail {
struct PlanGraph;
struct Program;
}  // namespace detail

/// Immutable and safe to share between threads; per-request state is in ExitRunner.
///
/// 1. Trunk blocks are lowered one by one. Nothing is fused across a block's end, and the layout of
///    the value there depends on its shape alone.
/// 2. Therefore a plan of blocks [0,k), the row-major float32 value after block k, and a plan of
///    blocks [k,n) give the bits of the plan of [0,n), on one machine with one thread count.
/// 3. The weights are copied: later changes to the network do not show.
class Plan {
 public:
  /// Throws ConfigError when the network has no such part or an exit of it lies outside its blocks.
  /// Operations that `int8` (of the whole network) names are computed in 8 bits where this CPU does
  /// that exactly (dnn::int8_is_exact), else in float32; throws DataError when one cannot be.
  [[nodiscard]] static std::shared_ptr<const Plan> lower(const MultiExitNetwork& network,
                                                         const NetworkPart& part,
                                                         const Int8Ranges& int8 = {});
  ~Plan();
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  [[nodiscard]] const NetworkPart& part() const;
  /// What `ExitRunner::start` takes, for batch size 1: an image, or the value after
  /// `part().first_block` blocks.
  [[nodiscard]] Shape input_shape() const { return boundary_shape(part().first_block); }
  /// Shape of the value after `num_blocks` trunk blocks (counted from the start of the network),
  /// for batch size 1; throws ConfigError outside the part.
  [[nodiscard]] Shape boundary_shape(std::int64_t num_blocks) const;
  /// Number of trunk blocks that exit `exit` (of the part) is behind.
  [[nodiscard]] std::int64_t exit_depth(std::int64_t exit) const;

  /// Operations after fusion. Internal: for ExitRunner and tests.
  [[nodiscard]] const detail::PlanGraph& graph() const;
  /// Whether a batch is computed sample by sample, each thread its own, and not together: batches
  /// of a sample a thread or more, of networks whose weights stay in the cache (up to 2^22 of
  /// them).
  [[nodiscard]] bool computes_alone(std::int64_t batch) const;
  /// The primitives for a batch size and the calling thread's thread count, or another one, made on
  /// first use. Internal: for ExitRunner and tests.
  [[nodiscard]] std::shared_ptr<const detail::Program> program(std::int64_t batch) const;
  [[nodiscard]] std::shared_ptr<const detail::Program> program(std::int64_t batch,
                                                               std::int64_t threads) const;

 private:
  struct Impl;
  explicit Plan(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
