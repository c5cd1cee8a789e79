// CodedExits: what the exits behind a cut say when they get the feature through the codec.
#pragma once

#include <cstdint>
#include <string>

#include "infer/exit_runner.h"
#include "infer/feature_coder.h"
#include "layers/model_file.h"

namespace branchy {

/// Encoder, quantiser, lossless stage and back, then the network behind the codec's cut: what edge
/// and cloud do together. One thread at a time.
class CodedExits {
 public:
  /// `model` has a codec and all weights. Throws DataError when the weights before the cut are not
  /// those that the codec was trained for.
  explicit CodedExits(const LoadedModel& model);

  /// The trunk blocks before the cut, and the first exit behind it.
  [[nodiscard]] std::int64_t blocks() const { return blocks_; }
  [[nodiscard]] std::int64_t first_exit() const { return first_exit_; }
  /// Begins with the feature [N,C,H,W] at the cut; `next_exit` then gives the exits behind it.
  void start(const Tensor& feature);
  [[nodiscard]] ExitOutput next_exit() { return server_.next_exit(); }

  /// Mean size of the codes so far; 0 before the first.
  [[nodiscard]] double mean_bytes() const;

 private:
  FeatureCoder coder_;
  std::int64_t blocks_, first_exit_;
  ExitRunner server_;
  std::int64_t samples_ = 0, bytes_ = 0;
};

/// SHA-256 of the model's codec: its network, quantiser and lossless stage; "" without one.
[[nodiscard]] std::string codec_digest(const LoadedModel& model);

}  // namespace branchy
