// CloudClient: asks a cloud for the rest of a network, and believes nothing that it has not
// checked.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "core/tensor.h"
#include "infer/http_message.h"
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

/// The answer for one sample.
struct CloudAnswer {
  std::vector<float> logits;  ///< [classes], finite
  std::int64_t exit = 0;      ///< from 1
  float confidence = 0;       ///< largest softmax probability, within 0..1
  double compute_ms = 0;      ///< as the cloud says; 0 when it does not
  double round_trip_ms = 0;   ///< from the first byte built to the last byte read
  std::int64_t bytes_sent = 0, bytes_received = 0;  ///< HTTP headers included
};

/// Name of the input that carries the boundary activation after block `cut`.
[[nodiscard]] std::string feature_input_name(std::string_view cut);

/// Blocking, one thread at a time; every failure comes as a value within `timeout`.
class CloudClient {
 public:
  CloudClient(HttpUrl url, CloudModel model, std::chrono::milliseconds timeout);
  ~CloudClient();
  CloudClient(const CloudClient&) = delete;
  CloudClient& operator=(const CloudClient&) = delete;

  /// The served model's metadata, e.g. to see before the first image whether the two sides fit.
  [[nodiscard]] Result<ModelDescription> describe();
  /// `feature` [1,C,H,W]; `thresholds` of the exits behind the cut, empty for none.
  [[nodiscard]] Result<CloudAnswer> infer_feature(const Tensor& feature,
                                                  std::span<const float> thresholds);
  /// `pixels` row-major of `shape` [1,3,H,W], 0..255; the cloud normalises. `thresholds` of all
  /// exits that the cloud has.
  [[nodiscard]] Result<CloudAnswer> infer_image(const Shape& shape,
                                                std::span<const std::uint8_t> pixels,
                                                std::span<const float> thresholds);

 private:
  [[nodiscard]] Result<CloudAnswer> infer(WireTensor input, std::span<const float> thresholds,
                                          std::int64_t first_exit);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
