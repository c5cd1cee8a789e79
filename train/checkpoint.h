// Checkpoints: one safetensors file with everything a run needs to go on bit for bit.
// The format is specified in core/CHECKPOINT.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/dnn/convolution_table.h"
#include "layers/model_file.h"
#include "optim/optimizer.h"

namespace branchy {

/// Where a run stands.
struct TrainingProgress {
  std::int64_t epoch = 0;             ///< epochs finished
  std::int64_t batch_in_epoch = 0;    ///< batches done of the current epoch
  std::int64_t step = 0;              ///< steps done in all
  double best_loss = 0.0;             ///< lowest validation loss so far
  std::int64_t best_epoch = 0;        ///< epoch that had it; 0: none yet
  std::int64_t bad_epochs = 0;        ///< epochs since then
  double loss_sum = 0.0;              ///< of the current epoch, per image
  std::vector<std::int64_t> correct;  ///< of the current epoch, training hits of each exit
  std::int64_t images = 0;            ///< of the current epoch
  double seconds = 0.0;               ///< wall time of training so far
};

/// What a checkpoint holds beside `progress`. `average` is null without a moving average.
struct TrainingState {
  MultiExitNetwork* network = nullptr;
  MultiExitNetwork* average = nullptr;
  Optimizer* optimizer = nullptr;
  ModelInfo info;
  std::uint64_t seed = 0;
  std::string convolutions = "{}";  ///< the ConvolutionTable of the run, as JSON
};

/// Written aside, fsynced, renamed. Throws NumericError, leaving the old file, when a value is not
/// finite.
void save_checkpoint(const std::filesystem::path& path, const TrainingState& state,
                     const TrainingProgress& progress);

/// Fills network, average and optimiser; throws DataError when the file is of another network, has
/// another seed, or misses or adds a tensor.
[[nodiscard]] TrainingProgress load_checkpoint(const std::filesystem::path& path,
                                               const TrainingState& state);

/// The ConvolutionTable that the run of a checkpoint uses; null for none, as in checkpoints of
/// older versions. Throws DataError for one that cannot be read.
[[nodiscard]] std::shared_ptr<const dnn::ConvolutionTable> checkpoint_convolutions(
    const std::filesystem::path& path);

/// The file of a run folder's best checkpoint, else its last; a file itself. Throws IoError for a
/// folder without any.
[[nodiscard]] std::filesystem::path trained_file(const std::filesystem::path& run_or_file);

/// The model to evaluate or export, of trained_file(). Of a checkpoint with a moving average the
/// averaged weights are taken.
[[nodiscard]] LoadedModel load_trained(const std::filesystem::path& run_or_file);

}  // namespace branchy
