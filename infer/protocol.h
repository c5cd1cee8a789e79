// Messages of the Open Inference Protocol v2 with its binary tensor data extension, as native
// values. PROTOCOL.md says what branchy sends and accepts. No HTTP here, only bodies.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "infer/wire_tensor.h"

namespace branchy {

/// The header that says where the JSON part of a body ends and the binary part starts.
inline constexpr std::string_view kInferenceHeader = "Inference-Header-Content-Length";

/// Inputs that a request may carry beside the value to go on from: what the client's exits said,
/// and scores of the Exit Predictor (PROTOCOL.md).
inline constexpr std::string_view kEdgeClassInput = "edge_class";
inline constexpr std::string_view kEdgeConfidenceInput = "edge_confidence";
inline constexpr std::string_view kEdgeScoreInput = "edge_score";
inline constexpr std::int32_t kExitNotComputed = -1;  ///< as an `edge_class`

using ParameterValue = std::variant<std::string, double, std::int64_t, bool>;
using Parameters = std::map<std::string, ParameterValue>;

/// An output that a request names; `binary` when the request says for this output.
struct RequestedOutput {
  std::string name;
  std::optional<bool> binary;
  std::int64_t classification = 0;  ///< best classes wanted instead of scores; 0: the scores
};

struct InferRequest {
  std::string id;
  Parameters parameters;
  std::vector<WireTensor> inputs;
  std::vector<RequestedOutput> outputs;  ///< empty: all of them
  /// Parameter `binary_data_output`: outputs are binary unless they say otherwise.
  bool binary_outputs = false;

  /// The input of this name, or null.
  [[nodiscard]] const WireTensor* find_input(std::string_view name) const;
};

struct InferResponse {
  std::string model_name;
  std::string model_version;
  std::string id;
  Parameters parameters;
  std::vector<WireTensor> outputs;
};

/// Name, datatype and shape of an input or output; -1 is a variable dimension.
struct TensorDescription {
  std::string name;
  std::string datatype;
  std::vector<std::int64_t> shape;
  /// Of an input: says more about the rows of another one and may be absent.
  bool optional = false;
};

struct ModelDescription {
  std::string name;
  std::string version = "1";
  std::string platform = "branchy";
  std::vector<TensorDescription> inputs;
  std::vector<TensorDescription> outputs;
  // What follows does not travel in the metadata.
  std::vector<std::string> class_names = {};  ///< for the classification extension; may be empty
  std::int64_t num_exits = 0;                 ///< of the whole network; 0: unknown
};

/// A body and, when it has a binary part, the length of its JSON part.
struct WireMessage {
  std::string body;
  std::optional<std::size_t> json_bytes;

  /// `application/octet-stream` with a binary part, else `application/json`.
  [[nodiscard]] std::string_view content_type() const;
};

/// Reads the body of an infer request. `json_bytes` is the text of the header kInferenceHeader, if
/// it came. With "0" the body is a raw tensor for one of `raw_inputs` (parse_raw_request).
/// Everything is checked before memory is taken by the message's word: JSON of at most 4 MiB, 16
/// levels and 100,000 containers; 16 inputs, outputs; shapes against sizes; finite FP32 values.
/// Throws HttpError 400 that names what is wrong.
[[nodiscard]] InferRequest parse_infer_request(std::string_view body,
                                               std::optional<std::string_view> json_bytes,
                                               std::span<const TensorDescription> raw_inputs);

/// The body of an infer request with all inputs binary.
[[nodiscard]] WireMessage build_infer_request(const InferRequest& request);

/// The body of an answer: each output binary or as JSON, scores or their best classes (with the
/// names `labels`), as `request` wants it. Throws NumericError when an output is not finite,
/// HttpError 400 when the request names an unknown one.
[[nodiscard]] WireMessage build_infer_response(const InferResponse& response,
                                               const InferRequest& request,
                                               std::span<const std::string> labels = {});

/// Reads an answer under the same limits; throws HttpError (its status has no meaning here).
[[nodiscard]] InferResponse parse_infer_response(std::string_view body,
                                                 std::optional<std::string_view> json_bytes);

/// The text of `{"error": "..."}`, or nothing when the body is something else.
[[nodiscard]] std::optional<std::string> parse_error_body(std::string_view body);

/// Body of GET /v2/models/{name}, and its reader (throws HttpError). `versions`: all of the model;
/// none for `model.version` alone.
[[nodiscard]] std::string model_metadata_json(const ModelDescription& model,
                                              std::span<const std::string> versions = {});
[[nodiscard]] ModelDescription parse_model_metadata(std::string_view body);

/// A string parameter, or nothing when absent; throws HttpError 400 for another type.
[[nodiscard]] std::optional<std::string> string_parameter(const Parameters& parameters,
                                                          const std::string& name);
/// A number parameter, or nothing when it is absent or no number.
[[nodiscard]] std::optional<double> number_parameter(const Parameters& parameters,
                                                     const std::string& name);

}  // namespace branchy
