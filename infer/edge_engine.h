// EdgeEngine: what the edge computes of an image, and what an answer of the cloud makes of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "infer/cloud_client.h"
#include "infer/exit_runner.h"
#include "infer/exit_scores.h"
#include "infer/feature_coder.h"
#include "infer/model.h"
#include "infer/policies/exit_policy.h"
#include "infer/seen_exits.h"

namespace branchy {

struct EdgeOptions {
  /// For the whole network. Behind the cut the cloud follows it by its text.
  PolicyPtr policy;
  bool cloud_only = false;  ///< send the image, compute nothing here while the cloud answers
  bool use_codec = true;    ///< send what the model's codec makes of the feature, if it has one
};

/// What became of one image. Times in milliseconds.
struct EdgeOutcome {
  Prediction prediction;       ///< `prediction.exit` is the exit whose class it is
  std::int64_t last_exit = 0;  ///< the deepest exit computed; another one after a fallback
  bool dropped = false;        ///< the policy gives no answer; `prediction` is what it would be
  bool from_cloud = false;     ///< the cloud computed the last exit
  bool degraded = false;       ///< the policy would have gone on, but there was no time or no cloud
  bool hedged = false;         ///< the rest was computed here, the cloud being slow or away
  std::string reason;          ///< why degraded, or why hedged when the cloud failed (README)
  double decode_ms = 0;        ///< reading the image; no part of total_ms
  double queue_ms = 0;         ///< waiting here, for the computing and for a connection
  double edge_ms = 0;          ///< computing here
  double encode_ms = 0;        ///< making of the feature what is sent
  double round_trip_ms = 0;    ///< asking the cloud, successful or not, retries included
  double cloud_ms = 0;         ///< the cloud's computing, part of round_trip_ms
  double cloud_queue_ms = 0;   ///< waiting there, part of it too
  double total_ms = 0;
  std::int64_t bytes_sent = 0, bytes_received = 0;
  std::int64_t retries = 0;               ///< further attempts at the cloud, after failures
  std::string policy;                     ///< that decided
  std::optional<double> bits_per_second;  ///< that a policy by bandwidth rested on
};

/// One image on its way.
struct EdgeTask {
  using Clock = std::chrono::steady_clock;

  std::vector<std::uint8_t> pixels;  ///< 0..255, row-major [3,H,W] of the model's size
  std::optional<Clock::time_point> deadline = {};

  // What the computing made of it.
  EdgeOutcome outcome = {};        ///< whole when `is_decided`
  bool is_decided = false;         ///< the policy let it leave here
  bool is_late = false;            ///< the deadline passed before it could
  PolicyPtr policy = {};           ///< that was followed
  SeenExits seen = {};             ///< exits computed here
  std::vector<float> scores = {};  ///< of the Exit Predictor; empty without need of them
  Tensor feature = {};             ///< what the rest of the network goes on from
  std::optional<CloudQuestion> question = {};  ///< for the cloud, unless decided or late
};

/// `compute...` and `set_policy` on one thread at a time; the others are pure functions of the task
/// and may run beside them.
///
/// 1. With all early exits before the cut the policy decides here to the end, the cloud only
///    computes the final exit. Else it goes on in the cloud with the predictions made here, and
///    the scores.
/// 2. Confidences are after the answering exit's temperature, whichever side computed it.
/// 3. When the file holds the network behind the cut too, the rest computed here gives the bits
///    of the cloud's answer: from the same feature, through the codec when one is used.
class EdgeEngine {
 public:
  /// Without a cloud what no exit here lets leave is degraded. Throws ConfigError when the file
  /// holds no image input, no exit, or with `cloud_only` there is no cloud; and as `set_policy`.
  EdgeEngine(ServedModel model, bool has_cloud, EdgeOptions options);

  [[nodiscard]] const ServedModel& model() const { return model_; }
  [[nodiscard]] const PolicyPtr& policy() const { return options_.policy; }
  /// For what is computed from now on. Throws ConfigError for a policy that looks ahead, that needs
  /// scores when the model has no predictor, or that needs logits from before the cut behind it;
  /// DataError for a predictor that reads what lies behind exit 1.
  void set_policy(PolicyPtr policy);

  /// Exits before the cut until the policy decides or the deadline passes; at least one unless the
  /// policy leaves them out. With `cloud_only` none.
  void compute(EdgeTask& task);
  /// Whether the file goes on behind the cut.
  [[nodiscard]] bool has_rest() const { return has_rest_; }
  /// Goes on behind the cut here. `reason`: why, or empty.
  [[nodiscard]] EdgeOutcome compute_rest(const EdgeTask& task, std::string_view reason);
  /// Computes exits before the cut, at least one, until the deadline passes: for a task that has
  /// none yet.
  void compute_exits(EdgeTask& task);

  [[nodiscard]] EdgeOutcome take_answer(const EdgeTask& task, const CloudAnswer& answer) const;
  /// The most confident exit; at least one has been computed.
  [[nodiscard]] EdgeOutcome degrade(const EdgeTask& task, std::string_view reason) const;

 private:
  /// Whether early exits lie behind the cut.
  [[nodiscard]] bool cloud_decides() const;
  [[nodiscard]] SampleContext context(std::span<const float> scores) const;
  /// Starts the runner with an image, and fills `scores` when the policy needs them.
  void start(std::span<const std::uint8_t> pixels, const ExitPolicy& policy,
             std::vector<float>& scores);
  /// Exits from `first` to `last` by the policy; nothing when it goes on behind the last.
  [[nodiscard]] std::optional<Decision> run_exits(const EdgeTask& task, SeenExits& seen,
                                                  std::int64_t first, std::int64_t last);
  void ask(EdgeTask& task);

  ServedModel model_;
  bool has_cloud_;
  EdgeOptions options_;
  CloudModel cloud_;
  bool has_rest_ = false;
  ExitRunner runner_;
  std::optional<ExitScores> predictor_;
  std::optional<FeatureCoder> coder_;
};

/// What the cloud must serve for `model`.
[[nodiscard]] CloudModel cloud_model_for(const ServedModel& model);

}  // namespace branchy
