// CloudClient: asks a cloud for the rest of a network, and believes nothing that it has not
// checked.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/tensor.h"
#include "infer/edge_exit_report.h"
#include "infer/http_client.h"
#include "infer/http_message.h"
#include "infer/policies/prediction.h"
#include "infer/protocol.h"

namespace branchy {

/// What the edge knows of the network that the cloud must serve.
struct CloudModel {
  std::string name;  ///< in the paths of the protocol
  std::string cut;   ///< features travel as the input `feature@<cut>`
  std::int64_t num_classes = 0;
  std::int64_t num_exits = 0;       ///< of the whole network, the final one included
  std::int64_t num_edge_exits = 0;  ///< the edge's: the cloud answers with a later one
};

/// One sample to go on with.
struct CloudQuestion {
  WireTensor input;             ///< the image, feature or code, one row
  std::int64_t first_exit = 1;  ///< the shallowest exit that the cloud may compute
  /// By what the exits behind the cut let the sample leave, as `parse_policy` takes it. Empty: the
  /// final exit answers, and what follows does not travel.
  std::string policy = {};
  std::vector<Prediction> seen = {};  ///< of the exits computed here, if the policy remembers them
  std::vector<float> scores = {};     ///< of the Exit Predictor, one an early exit, or none
};

/// The answer for one sample.
struct CloudAnswer {
  std::vector<float> logits;   ///< [classes], finite; of `exit`, if that one is the cloud's
  std::int64_t exit = 0;       ///< whose class it is, from 1; one of those seen after a fallback
  std::int64_t last_exit = 0;  ///< the deepest exit computed
  float confidence = 0;        ///< of `exit`, within 0..1, as the cloud says
  bool dropped = false;        ///< the policy gives no answer
  double compute_ms = 0;       ///< as the cloud says; 0 when it does not
  double queue_ms = 0;         ///< how long it waited there, likewise
  double round_trip_ms = 0;    ///< from the first byte built to the last byte read
  std::int64_t bytes_sent = 0, bytes_received = 0;  ///< HTTP headers included
};

/// An exchange that only measures.
struct LinkProbe {
  std::int64_t bytes = 0;  ///< both ways, HTTP headers included
  double ms = 0;
};

/// Name of the input that carries the boundary activation after block `cut`, and of the one that
/// carries it as the codec encodes it.
[[nodiscard]] std::string feature_input_name(std::string_view cut);
[[nodiscard]] std::string code_input_name(std::string_view cut);

/// `pixels` row-major of `shape` [1,3,H,W], 0..255; the cloud normalises.
[[nodiscard]] CloudQuestion image_question(const Shape& shape,
                                           std::span<const std::uint8_t> pixels);
/// `feature` [1,C,H,W] at the cut of `model`.
[[nodiscard]] CloudQuestion feature_question(const CloudModel& model, const Tensor& feature);
/// The same as the model's codec encodes it.
[[nodiscard]] CloudQuestion code_question(const CloudModel& model, std::span<const std::byte> code);

struct CloudClientOptions {
  HttpUrl url;
  CloudModel model;
  std::chrono::milliseconds timeout{2000};  ///< of an exchange
  std::size_t connections = 1;              ///< exchanges at once; further ones wait
  HttpClientOptions http = {};              ///< the limit of an answer's body is set here
};

/// Blocking and thread-safe; every failure comes as a value within the time-out.
class CloudClient {
 public:
  /// Throws ConfigError as HttpClient does.
  explicit CloudClient(CloudClientOptions options);
  ~CloudClient();
  CloudClient(const CloudClient&) = delete;
  CloudClient& operator=(const CloudClient&) = delete;

  /// The served model's metadata, e.g. to see before the first image whether the two sides fit.
  [[nodiscard]] Result<ModelDescription> describe();
  [[nodiscard]] Result<CloudAnswer> infer(const CloudQuestion& question);
  /// Within `timeout`, which the cloud is told; `edge_exits` travels as kEdgeExitsHeader unless
  /// empty.
  [[nodiscard]] Result<CloudAnswer> infer(const CloudQuestion& question,
                                          std::chrono::milliseconds timeout,
                                          const EdgeExitCounts& edge_exits);
  /// Exchanges a message that needs no computing, made longer by `padding_bytes` (at most
  /// kMaxPadding): to measure the link.
  [[nodiscard]] Result<LinkProbe> probe(std::size_t padding_bytes);
  [[nodiscard]] const CloudClientOptions& options() const;
  static constexpr std::size_t kMaxPadding = 4096;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
