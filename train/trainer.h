// Trainer: trains a multi-exit network and keeps its run folder.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/source.h"
#include "layers/network.h"
#include "optim/schedule.h"
#include "train/checkpoint.h"
#include "train/feature_loader.h"
#include "train/metrics_log.h"
#include "train/progress.h"
#include "train/step_profiler.h"
#include "train/train_options.h"

namespace branchy {

enum class TrainingEnd { kFinished, kInterrupted };

/// One run: network, optimiser, data and folder. The run folder holds config.toml, metrics.jsonl,
/// metrics.csv, last.safetensors, best.safetensors and, when finished, result.json; for photographs
/// split.tsv too, convolutions.json when the machine was tuned, profile.json where steps were
/// profiled.
///
/// A run that fine-tunes starts from other weights, and parts of its network may be frozen: these
/// keep their bytes in every checkpoint, the averaged ones too.
///
/// The run is a pure function of the options, the data, the initial weights and the thread count:
/// data order and augmentation are keyed by (seed, epoch, index), the rate by the step.
class Trainer {
 public:
  /// Reads the data and the initial weights, builds the network, and only then makes the run folder
  /// and writes config.toml and the checkpoint of step 0: what is refused leaves nothing behind.
  /// With `resume` an existing checkpoint is loaded instead.
  Trainer(TrainOptions options, bool resume);
  ~Trainer();

  /// The next steps are profiled, after a few that warm up: `profiled_steps` of them, or as many as
  /// the run has left. Their report goes to stdout and to profile.json in the run folder.
  void profile(std::int64_t profiled_steps);

  /// Trains to the end, or until SIGINT/SIGTERM: it then finishes the step or the batch of frozen
  /// values, or the validation of an epoch, and saves the state. Throws NumericError at
  /// the first step whose loss is not finite, naming step and layer.
  TrainingEnd run();

 private:
  void use_tuning(const std::filesystem::path& checkpoint);
  void open_data();
  void build_network();
  void load_weights();
  void open_loaders();
  void open_folder();
  void compute_features();
  void train_epoch();
  void train_step(const FeatureBatch& batch);
  void finish_epoch();
  void finish_run();
  void check_finite(const FeatureBatch& batch, double loss);
  void update_average();
  void save_if_due();
  void save(const char* name);
  void show_progress(const StepMetrics& metrics);
  [[nodiscard]] TrainingState state();
  [[nodiscard]] bool done() const;
  [[nodiscard]] MultiExitNetwork& evaluated_network();

  TrainOptions options_;
  std::shared_ptr<const dnn::ConvolutionTable> tuning_;  ///< null: none
  std::unique_ptr<DataSource> source_;
  std::shared_ptr<const Dataset> train_data_, val_data_;
  Normalization normalization_{};
  std::vector<std::string> class_names_;
  std::unique_ptr<MultiExitNetwork> network_, average_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<FeatureLoader> loader_, val_loader_;
  std::unique_ptr<MetricsLog> metrics_;
  ScheduleParams schedule_;
  std::vector<float> exit_weights_;
  TrainingProgress at_;
  Progress progress_;
  std::unique_ptr<StepProfiler> profiler_;
  std::chrono::steady_clock::time_point epoch_start_, last_save_, run_start_;
  double seconds_before_ = 0.0, wait_before_ = 0.0;
  std::int64_t images_since_start_ = 0;
  bool interrupted_ = false;
};

}  // namespace branchy
