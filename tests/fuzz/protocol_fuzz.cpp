// Fuzz target: the first line is the header's value ("-" for none), the rest a body, which either
// parses into tensors whose bytes match their shapes, or is refused by HttpError.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "infer/edge_exit_report.h"
#include "infer/protocol.h"
#include "infer/request_check.h"

namespace {

void require_consistent(const std::vector<branchy::WireTensor>& tensors) {
  for (const branchy::WireTensor& tensor : tensors) {
    const std::int64_t implied = branchy::implied_bytes(tensor.datatype, tensor.shape, tensor.name);
    const auto bytes = static_cast<std::int64_t>(tensor.bytes.size());
    if (tensor.datatype == "BYTES") {
      std::int64_t walked = implied;  // the lengths, and what they lead over
      for (const std::string_view value : branchy::bytes_values(tensor))
        walked += static_cast<std::int64_t>(value.size());
      if (walked != bytes) std::abort();
    } else if (implied != bytes) {
      std::abort();
    }
  }
}

// What passes the check has one main input, as many rows everywhere and no empty dimension.
void require_checked(const branchy::InferRequest& request, const branchy::ModelDescription& model) {
  branchy::check_inputs(request, model);
  int num_main = 0;
  for (const branchy::WireTensor& input : request.inputs) {
    if (!input.name.starts_with("edge_")) ++num_main;
    if (input.shape.front() != request.inputs.front().shape.front() || input.bytes.empty())
      std::abort();
  }
  if (num_main != 1) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const char> chars(reinterpret_cast<const char*>(data), size);
  const std::string_view input(chars.data(), chars.size());
  const std::size_t line = input.find('\n');
  if (line == std::string_view::npos) return 0;
  std::optional<std::string_view> header;
  if (input.front() != '-') header = input.substr(0, line);
  const std::string_view body = input.substr(line + 1);
  const std::vector<branchy::TensorDescription> inputs = {
      {"image", "UINT8", {-1, 3, 2, 2}},
      {"feature@b1", "FP32", {-1, 4, 2, 2}},
      {"code@b1", "UINT8", {-1, -1}},
      {"edge_class", "INT32", {-1, 2}, true},
      {"edge_confidence", "FP32", {-1, 2}, true}};
  try {
    const branchy::InferRequest request = branchy::parse_infer_request(body, header, inputs);
    require_consistent(request.inputs);
    require_checked(request, {.name = "m", .inputs = inputs, .outputs = {}});
    branchy::InferResponse answer;
    answer.outputs = request.inputs;
    (void)branchy::build_infer_response(answer, request);
  } catch (const branchy::HttpError&) {
  }
  try {
    require_consistent(branchy::parse_infer_response(body, header).outputs);
  } catch (const branchy::HttpError&) {
  }
  try {
    (void)branchy::parse_model_metadata(body);
  } catch (const branchy::HttpError&) {
  }
  (void)branchy::parse_error_body(body);
  try {
    if (branchy::parse_edge_exits(body).empty()) std::abort();
  } catch (const branchy::HttpError&) {
  }
  return 0;
}
