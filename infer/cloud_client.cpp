#include "infer/cloud_client.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "core/printable.h"
#include "infer/http_client.h"

namespace branchy {
namespace {

using Clock = std::chrono::steady_clock;

// An answer to one sample has some hundred numbers; a megabyte is ample.
constexpr std::uint64_t kAnswerLimitBytes = 1 << 20;

const WireTensor& find_output(const InferResponse& response, std::string_view name,
                              std::int64_t count) {
  const auto found = std::find_if(response.outputs.begin(), response.outputs.end(),
                                  [&](const WireTensor& output) { return output.name == name; });
  if (found == response.outputs.end()) {
    throw ProtocolError(fmt::format("answer lacks output '{}'", name));
  }
  std::vector<std::int64_t> expected = {1};
  if (name == "logits") expected.push_back(count);
  if (found->shape != expected) {
    throw ProtocolError(fmt::format("answer's '{}' has shape {}, expected {}", name,
                                    shape_text(found->shape), shape_text(expected)));
  }
  return *found;
}

CloudAnswer read_answer(const InferResponse& response, const CloudModel& model,
                        std::int64_t first_exit) {
  CloudAnswer answer;
  answer.logits = fp32_values(find_output(response, "logits", model.num_classes));
  answer.exit = int32_values(find_output(response, "exit_index", 1)).front();
  answer.confidence = fp32_values(find_output(response, "confidence", 1)).front();
  if (answer.exit < first_exit || answer.exit > model.num_exits) {
    throw ProtocolError(fmt::format("answer is from exit {}, expected {}..{}", answer.exit,
                                    first_exit, model.num_exits));
  }
  if (!(answer.confidence >= 0.0F && answer.confidence <= 1.0F)) {
    throw ProtocolError(fmt::format("answer's confidence is {}, expected 0..1", answer.confidence));
  }
  answer.compute_ms = number_parameter(response.parameters, "compute_ms").value_or(0);
  return answer;
}

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

struct CloudClient::Impl {
  CloudModel model;
  std::chrono::milliseconds timeout;
  HttpClient http;
  std::uint64_t num_requests = 0;

  Failure failure(FailureKind kind, std::string_view text) {
    return {kind, fmt::format("[cloud {}] {}", http.url().to_string(), text)};
  }
  // What an answer other than 200 means.
  Failure refusal(const HttpResponse& response) {
    const std::string text = parse_error_body(response.body).value_or("no reason given");
    const FailureKind kind =
        response.status == 503 ? FailureKind::kRefused : FailureKind::kProtocol;
    return failure(kind, fmt::format("answered {}: {}", response.status, printable(text)));
  }
};

std::string feature_input_name(std::string_view cut) { return fmt::format("feature@{}", cut); }

CloudClient::CloudClient(HttpUrl url, CloudModel model, std::chrono::milliseconds timeout)
    : impl_(new Impl{std::move(model), timeout,
                     HttpClient(std::move(url), {.body_limit_bytes = kAnswerLimitBytes})}) {}

CloudClient::~CloudClient() = default;

Result<ModelDescription> CloudClient::describe() {
  const HttpRequest request{.target = fmt::format("/v2/models/{}", impl_->model.name)};
  const Result<HttpExchange> exchange = impl_->http.exchange(request, impl_->timeout);
  if (!exchange) return exchange.failure();
  if (exchange->response.status != 200) return impl_->refusal(exchange->response);
  try {
    return parse_model_metadata(exchange->response.body);
  } catch (const ProtocolError& error) {
    return impl_->failure(FailureKind::kProtocol, error.what());
  }
}

Result<CloudAnswer> CloudClient::infer_feature(const Tensor& feature,
                                               std::span<const float> thresholds) {
  const std::span<const std::int64_t> dims = feature.shape().dims();
  return infer(
      fp32_tensor(feature_input_name(impl_->model.cut), {dims.begin(), dims.end()}, feature.data()),
      thresholds, impl_->model.num_edge_exits + 1);
}

Result<CloudAnswer> CloudClient::infer_image(const Shape& shape,
                                             std::span<const std::uint8_t> pixels,
                                             std::span<const float> thresholds) {
  return infer(uint8_tensor("image", {shape.dims().begin(), shape.dims().end()}, pixels),
               thresholds, 1);
}

Result<CloudAnswer> CloudClient::infer(WireTensor input, std::span<const float> thresholds,
                                       std::int64_t first_exit) {
  const Clock::time_point start = Clock::now();
  InferRequest request;
  request.id = std::to_string(++impl_->num_requests);
  request.binary_outputs = true;
  if (!thresholds.empty()) {
    request.parameters["thresholds"] = fmt::format("{}", fmt::join(thresholds, ","));
  }
  request.inputs.push_back(std::move(input));
  WireMessage wire = build_infer_request(request);
  HttpRequest message{.method = "POST",
                      .target = fmt::format("/v2/models/{}/infer", impl_->model.name)};
  message.headers = {{"Content-Type", std::string(wire.content_type())},
                     {std::string(kInferenceHeader), std::to_string(wire.json_bytes.value_or(0))}};
  message.body = std::move(wire.body);
  const Result<HttpExchange> exchange = impl_->http.exchange(message, impl_->timeout);
  if (!exchange) return exchange.failure();
  const HttpResponse& response = exchange->response;
  if (response.status != 200) return impl_->refusal(response);
  try {
    const InferResponse parsed =
        parse_infer_response(response.body, find_header(response.headers, kInferenceHeader));
    if (parsed.id != request.id) {
      throw ProtocolError(
          fmt::format("answer is to request '{}', not '{}'", printable(parsed.id), request.id));
    }
    CloudAnswer answer = read_answer(parsed, impl_->model, first_exit);
    answer.round_trip_ms = ms_since(start);
    answer.bytes_sent = exchange->bytes_sent;
    answer.bytes_received = exchange->bytes_received;
    return answer;
  } catch (const ProtocolError& error) {
    impl_->http.disconnect();
    return impl_->failure(FailureKind::kProtocol, error.what());
  }
}

}  // namespace branchy
