// EdgeEngine: one image through the edge's exits and, when none of them lets it leave, to the
// cloud.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "infer/circuit_breaker.h"
#include "infer/cloud_client.h"
#include "infer/exit_runner.h"
#include "infer/exit_scores.h"
#include "infer/feature_coder.h"
#include "infer/link_estimate.h"
#include "infer/model.h"
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
  bool degraded = false;       ///< the cloud was needed but gave no answer
  std::string reason;          ///< why degraded: a failure's kind, or "paused" by the breaker
  double decode_ms = 0;        ///< reading the image; no part of total_ms
  double queue_ms = 0;         ///< waiting here, for the computing and for a connection
  double edge_ms = 0;          ///< computing here
  double encode_ms = 0;        ///< making of the feature what is sent
  double round_trip_ms = 0;    ///< asking the cloud, successful or not, retries included
  double cloud_ms = 0;         ///< the cloud's computing, part of round_trip_ms
  double total_ms = 0;
  std::int64_t bytes_sent = 0, bytes_received = 0;
  std::int64_t retries = 0;  ///< further attempts at the cloud, after failures
  bool hedged = false;       ///< the rest was computed here because the cloud was slow or away
  std::string policy;        ///< that decided
  std::optional<double> bits_per_second;  ///< behind the policy that follows the bandwidth
};

/// One thread at a time. Never throws for what the cloud does.
///
/// 1. With all early exits here the policy decides here to the end, the cloud only computes the
///    final exit. Else it goes on in the cloud with the predictions made here, and the scores.
/// 2. Confidences are after the answering exit's temperature, whichever side computed it.
class EdgeEngine {
 public:
  /// Is told each failure of the cloud once per streak.
  using Warn = std::function<void(const std::string&)>;

  /// `cloud` may be null: what no exit here lets leave is then degraded. Throws ConfigError when
  /// the file holds no image input, no exit, or with `cloud_only` no cloud is given; and as
  /// `set_policy`.
  EdgeEngine(ServedModel model, std::unique_ptr<CloudClient> cloud, EdgeOptions options, Warn warn);

  [[nodiscard]] const ServedModel& model() const { return model_; }
  [[nodiscard]] const ExitPolicy& policy() const { return *options_.policy; }
  /// From the next image on. Throws ConfigError for a policy that looks ahead, that needs scores
  /// when the model has no predictor, or that needs logits from before the cut behind it; DataError
  /// for a predictor that reads what lies behind exit 1.
  void set_policy(PolicyPtr policy);
  /// `pixels` 0..255, row-major [3,H,W] of the model's size.
  [[nodiscard]] EdgeOutcome classify(std::span<const std::uint8_t> pixels);

  /// Of the transfers so far and the probes.
  [[nodiscard]] const LinkEstimate& link() const { return link_; }
  /// Between images: measures the round trip when that was long ago, and the bandwidth too when no
  /// transfer has told it for long, as when every image is answered here.
  void probe_link();
  [[nodiscard]] std::int64_t probe_bytes() const { return probe_bytes_; }

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] SampleContext context() const;
  [[nodiscard]] bool cloud_decides() const;
  void ask_cloud(EdgeOutcome& outcome, std::span<const std::uint8_t> pixels);
  [[nodiscard]] Result<CloudAnswer> send(EdgeOutcome& outcome,
                                         std::span<const std::uint8_t> pixels);
  void take_answer(EdgeOutcome& outcome, const CloudAnswer& answer);
  /// Runs exits until the policy decides; nothing when it goes on behind the last one here.
  [[nodiscard]] std::optional<Decision> run_exits(std::span<const std::uint8_t> pixels);
  void run_all_exits(std::span<const std::uint8_t> pixels);
  void degrade(EdgeOutcome& outcome, std::span<const std::uint8_t> pixels,
               const std::string& reason, const std::string& text);
  [[nodiscard]] bool probe(std::size_t padding_bytes);

  ServedModel model_;
  std::unique_ptr<CloudClient> cloud_;
  EdgeOptions options_;
  Warn warn_;
  CircuitBreaker breaker_;
  ExitRunner runner_;
  std::optional<ExitScores> predictor_;
  std::optional<FeatureCoder> coder_;
  LinkEstimate link_;
  std::optional<Clock::time_point> last_probe_, last_transfer_;
  std::int64_t probe_bytes_ = 0;
  SeenExits seen_;             ///< exits computed for this image
  std::vector<float> scores_;  ///< of this image; empty without need of them
  bool cloud_was_away_ = false;
};

/// What the cloud must serve for `model`.
[[nodiscard]] CloudModel cloud_model_for(const ServedModel& model);

}  // namespace branchy
