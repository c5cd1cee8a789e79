// ExitScores: what an attached Exit Predictor says of samples before their exits are computed.
#pragma once

#include <cstdint>
#include <memory>

#include "core/tensor.h"
#include "infer/exit_runner.h"
#include "layers/attachment.h"
#include "layers/model_file.h"

namespace branchy {

/// Runs a predictor that travels in a model file (Dong et al. 2022, section IV). One thread at a
/// time, as the ExitRunner that it owns.
class ExitScores {
 public:
  /// Throws DataError when the predictor does not have one output for each early exit of the model,
  /// or its record `predictor.reads_after` is no integer >= 0.
  ExitScores(const Attachment& predictor, const ModelInfo& info);

  /// What it reads: 0 is the normalised image, k the value after k trunk blocks (row-major).
  [[nodiscard]] std::int64_t reads_after() const { return reads_after_; }
  /// Operations of one sample in the convention ptflops: O_EP, paid once whatever is computed then.
  [[nodiscard]] std::int64_t operations() const { return operations_; }
  /// Throws DataError when what it reads lies behind exit 1 of the network in `plan`.
  void require_before_exits(const Plan& plan) const;
  /// `input` [N,C,H,W] is what `reads_after` names; gives sigmoids [N, early exits], each 0..1.
  /// Throws ShapeError for another shape.
  [[nodiscard]] Tensor scores(const Tensor& input);
  /// The same for a request that `trunk` has just been started with: of the images, or of the
  /// trunk's value, which is computed no further than needed.
  [[nodiscard]] Tensor scores_at_start(ExitRunner& trunk, const Tensor& images);

 private:
  std::int64_t reads_after_ = 0, operations_ = 0;
  ExitRunner runner_;
};

}  // namespace branchy
