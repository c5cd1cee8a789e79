// CodecTrainer: gives a trained network a feature codec at a cut.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/transform.h"
#include "infer/codec_record.h"
#include "layers/model_file.h"
#include "optim/optimizer.h"
#include "train/feature_loader.h"
#include "train/progress.h"

namespace branchy {

struct CodecOptions {
  std::int64_t blocks = 0;  ///< trunk blocks before the cut
  std::int64_t code = 0;    ///< channels that are sent
  std::int64_t stride = 0;  ///< 2 or 1; 0: 2 where the feature's sides are even
  std::int64_t kernel = 0;  ///< of the encoder; 0: the stride
  std::int64_t bits = 8;
  LosslessStage lossless = LosslessStage::kRange;
  double reconstruction_epochs = 1, epochs = 1, quantized_epochs = 1;
  std::int64_t max_steps = 0;  ///< of each phase; 0: no limit
  bool go_on = false;          ///< with the model's codec, which has this cut and these sizes
  std::int64_t batch = 128;
  double rate = 1e-3;          ///< of Adam, for the codec; cosine to 0 in every phase
  double server_factor = 0.1;  ///< the part behind the cut learns at this times `rate`
  Augmentation augmentation = Augmentation::kNone;
  std::uint64_t seed = 0;
  FeatureCache cache;
};

/// The three steps of Dong et al. 2022, section V-C. The first is the given network.
///  2. Codec and server part train on the exits' cross-entropies (equal weights) behind the cut;
///     before, the codec alone learns to give the feature back (mean squared error): it costs a
///     small part of what a step through the server part does.
///  3. The quantiser is put in; decoder and server part go on, the encoder stays.
/// What lies before the cut is never in the graph: it is computed on the lowered plan, so its
/// parameters and running statistics keep their bytes.
///
/// The result is a function of model, data, options and thread count.
class CodecTrainer {
 public:
  /// `model` is whole and is changed. Throws ConfigError for sizes that the codec cannot have.
  CodecTrainer(LoadedModel& model, std::shared_ptr<const Dataset> images, CodecOptions options);

  /// All steps, to the model with its codec and records. False when SIGINT or SIGTERM came: the
  /// model is then half trained and not to be written. Throws NumericError when the loss is not
  /// finite.
  [[nodiscard]] bool run();

  /// What `run` took away from the model, since it does not fit the new weights; for people.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }

 private:
  /// One step on a batch without the optimiser; gives the loss.
  using StepFn = std::function<double(const FeatureBatch&, const Pass&)>;
  [[nodiscard]] bool measure();
  void make_codec();
  void take_codec();
  [[nodiscard]] bool train_phase(const std::string& name, double epochs, bool with_server,
                                 const StepFn& step);
  [[nodiscard]] double backward_server(const Variable& feature, const FeatureBatch& batch,
                                       const Pass& pass);
  /// Calls `visit` with the encoder's output for every batch of the training set.
  [[nodiscard]] bool visit_codes(const std::function<void(const Tensor&)>& visit);
  [[nodiscard]] bool find_scale();
  [[nodiscard]] bool find_frequencies();
  void finish_model();

  LoadedModel& model_;
  MultiExitNetwork& network_;
  CodecOptions options_;
  std::shared_ptr<MultiExitNetwork> codec_;
  std::unique_ptr<FeatureLoader> loader_;
  std::unique_ptr<FeatureLoader> plain_;  // without augmentation; null when `loader_` has none
  CodecRecord record_;
  std::vector<std::string> notes_;
  Progress progress_;
  std::int64_t epoch_ = 0;  // of the loader, over all phases
  double hits_ = 0.0;       // of the final exit, for the log
};

}  // namespace branchy
