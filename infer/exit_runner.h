// ExitRunner: one request on its way through a plan, exit by exit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "core/tensor.h"
#include "infer/plan.h"

namespace branchy {

/// What an exit says: raw class scores [N, classes], row-major. Exits are numbered from 1.
struct ExitOutput {
  std::int64_t exit = 0;
  Tensor logits;
};

/// How long a trunk block (numbered from 0 over the network) or an exit (from 1) took.
struct PartTime {
  bool is_exit = false;
  std::int64_t number = 0;
  double ms = 0;
};

/// Computes no further than asked and continues from the kept activation when asked again.
/// One thread at a time; any number of runners share a plan. After the first request with a batch
/// size, further ones take memory from the BufferPool only for what they hand out.
class ExitRunner {
 public:
  explicit ExitRunner(std::shared_ptr<const Plan> plan);
  ~ExitRunner();
  ExitRunner(ExitRunner&&) noexcept;
  ExitRunner& operator=(ExitRunner&&) noexcept;

  /// Begins a request with the plan's source: images [N,C,H,W] or, for a part behind a cut, the
  /// value at the cut; row-major. Throws ShapeError when all but N differ from `input_shape()`.
  /// Until the first exit or value is computed the source must stay as it is.
  void start(const Tensor& src);
  /// Begins a request with the value after `num_blocks` trunk blocks (what `feature()` of the part
  /// before gave); exits before it are left out. Throws ConfigError outside the plan's part,
  /// ShapeError for a wrong shape.
  void start_after(std::int64_t num_blocks, const Tensor& feature);

  /// Whether an exit is still ahead.
  [[nodiscard]] bool has_next() const;
  /// Computes up to the next exit and gives its scores; throws Error when there is none.
  ExitOutput next_exit();
  /// Computes up to `exit`, leaving out the exits in between; throws Error when it is not ahead.
  ExitOutput run_to(std::int64_t exit);
  /// Computes the part's remaining trunk blocks and gives the value behind them, row-major. Exits
  /// not yet computed are left out. May be asked again; throws Error before `start`.
  Tensor feature();
  /// Computes no further than `num_blocks` trunk blocks (of the network) and gives the value behind
  /// them, row-major: what `start_after` takes. Exits before it that are not yet computed are left
  /// out; those that read the value, and all behind it, are still ahead unless computed already.
  /// May be asked again until a later block is computed; throws Error before `start`, outside the
  /// part, and for a value that lies behind.
  Tensor value_after(std::int64_t num_blocks);
  /// Is told each trunk block and exit when it is computed, from now on; {} for nobody. Batches
  /// that are computed sample by sample (Plan::computes_alone) are not told of.
  void set_stopwatch(std::function<void(const PartTime&)> stopwatch);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
