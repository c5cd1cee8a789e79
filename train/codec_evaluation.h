// CodecEvaluation: what is sent at a cut, in how many bytes, and what it does to the answers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "layers/model_file.h"
#include "train/evaluation.h"

namespace branchy {

/// One way to hand a sample on: bytes, and what the exits behind the cut then say.
struct SentForm {
  std::string name;                 ///< "codec", "float32", "8 bit", "jpeg 75"
  std::vector<std::int64_t> bytes;  ///< of each sample
  ExitPredictions exits;            ///< of all exits, those before the cut first
  std::int64_t fixed_bytes = 0;     ///< jpeg: of each file, those that are tables and header
  double relative_error = 0.0;      ///< ||sent - feature|| / ||feature||, over all samples
};

/// Bytes of the code of a sample under each lossless stage.
struct StageBytes {
  std::vector<std::int64_t> none, zstd, range;
};

struct CodecEvaluationOptions {
  std::int64_t batch = 250;
  bool baselines = true;
  std::vector<std::int64_t> jpeg_qualities;
  std::function<void(const std::string& what, double share)> progress;
};

struct CodecEvaluation {
  std::vector<SentForm> forms;  ///< the codec, then the baselines
  StageBytes stages;
  std::int64_t device_exits = 0;
};

/// Runs the codec of `model` and, of the network `base` (the one before the codec was trained, or
/// `model` itself), the baselines: the float32 feature, the feature in 8 bits without encoder (one
/// scale over the range of the training set), and the JPEG of the image through the whole network.
/// Exits before the cut always see the image itself. Throws DataError when `base` has other weights
/// before the cut, or the codec was trained for others.
[[nodiscard]] CodecEvaluation evaluate_codec(const LoadedModel& model, const LoadedModel& base,
                                             const std::shared_ptr<const Dataset>& images,
                                             const CodecEvaluationOptions& options);

/// Accuracy over all samples that leave as route() says, and the bytes of those that are sent on.
struct SentReport {
  double accuracy = 0.0;    ///< of all samples, 0..1
  double sent_share = 0.0;  ///< of samples that no exit before the cut takes
  double sent_bytes = 0.0;  ///< mean over the sent ones; 0 when none is
};
[[nodiscard]] SentReport report_sent(const SentForm& form, std::int64_t device_exits,
                                     std::span<const float> thresholds);

}  // namespace branchy
