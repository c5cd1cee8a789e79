#include "infer/cloud_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <system_error>
#include <utility>

#include "core/printable.h"
#include "infer/edge_exit_report.h"
#include "infer/http_client_pool.h"
#include "infer/request_deadline.h"

namespace branchy {
namespace {

using Clock = std::chrono::steady_clock;

// An answer to one sample has some hundred numbers; a megabyte is ample.
constexpr std::uint64_t kAnswerLimitBytes = 1 << 20;

const WireTensor& find_output(const InferResponse& response, std::string_view name,
                              std::int64_t count = 0) {
  const auto found = std::find_if(response.outputs.begin(), response.outputs.end(),
                                  [&](const WireTensor& output) { return output.name == name; });
  if (found == response.outputs.end()) {
    throw ProtocolError(fmt::format("answer lacks output '{}'", name));
  }
  std::vector<std::int64_t> expected = {1};
  if (count > 0) expected.push_back(count);
  if (found->shape != expected) {
    throw ProtocolError(fmt::format("answer's '{}' has shape {}, expected {}", name,
                                    shape_text(found->shape), shape_text(expected)));
  }
  return *found;
}

bool was_seen(std::int64_t exit, const CloudQuestion& question) {
  return std::any_of(question.seen.begin(), question.seen.end(),
                     [&](const Prediction& seen) { return seen.exit == exit; });
}

CloudAnswer read_answer(const InferResponse& response, const CloudModel& model,
                        const CloudQuestion& question) {
  const std::int64_t first_exit = question.first_exit;
  CloudAnswer answer;
  answer.logits = fp32_values(find_output(response, "logits", model.num_classes));
  answer.exit = int32_values(find_output(response, "exit_index")).front();
  answer.last_exit = int32_values(find_output(response, "last_exit")).front();
  answer.confidence = fp32_values(find_output(response, "confidence")).front();
  answer.dropped = uint8_values(find_output(response, "dropped")).front() != 0;
  if (answer.last_exit < first_exit || answer.last_exit > model.num_exits) {
    throw ProtocolError(fmt::format("answer computed exit {}, expected {}..{}", answer.last_exit,
                                    first_exit, model.num_exits));
  }
  if (answer.exit > answer.last_exit ||
      (answer.exit < first_exit && !was_seen(answer.exit, question))) {
    throw ProtocolError(fmt::format("answer is from exit {}, expected {}..{}", answer.exit,
                                    first_exit, answer.last_exit));
  }
  if (!(answer.confidence >= 0.0F && answer.confidence <= 1.0F)) {
    throw ProtocolError(fmt::format("answer's confidence is {}, expected 0..1", answer.confidence));
  }
  answer.compute_ms = number_parameter(response.parameters, "compute_ms").value_or(0);
  answer.queue_ms = number_parameter(response.parameters, "queue_ms").value_or(0);
  return answer;
}

// What the exits before the cut said, for a policy that remembers: column k is exit k + 1.
void add_seen(const std::vector<Prediction>& seen, std::int64_t num_edge_exits,
              InferRequest& request) {
  const auto count = static_cast<std::size_t>(num_edge_exits);
  std::vector<std::int32_t> classes(count, kExitNotComputed);
  std::vector<float> confidences(count, 0.0F);
  for (const Prediction& prediction : seen) {
    const auto column = static_cast<std::size_t>(prediction.exit - 1);
    classes.at(column) = static_cast<std::int32_t>(prediction.label);
    confidences.at(column) = prediction.confidence;
  }
  request.inputs.push_back(
      int32_tensor(std::string(kEdgeClassInput), {1, num_edge_exits}, classes));
  request.inputs.push_back(
      fp32_tensor(std::string(kEdgeConfidenceInput), {1, num_edge_exits}, confidences));
}

FailureKind kind_of(int status) {
  switch (status) {
    case 401:
    case 403:
      return FailureKind::kDenied;
    case 502:
      return FailureKind::kGateway;
    case 503:
      return FailureKind::kOverloaded;
    case 504:
      return FailureKind::kLate;
    default:
      return status >= 400 && status < 500 ? FailureKind::kRejected : FailureKind::kFailed;
  }
}

// Of at most a day; a date instead of seconds says nothing here.
std::optional<std::chrono::seconds> retry_after(const HttpResponse& response) {
  const auto text = find_header(response.headers, "Retry-After");
  if (!text) return std::nullopt;
  int seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return std::chrono::seconds(std::clamp(seconds, 0, 86400));
}

std::chrono::milliseconds time_left(Clock::time_point deadline) {
  const auto left = std::chrono::floor<std::chrono::milliseconds>(deadline - Clock::now());
  return std::max(left, std::chrono::milliseconds(0));
}

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

struct CloudClient::Impl {
  explicit Impl(CloudClientOptions the_options)
      : options(std::move(the_options)),
        model(options.model),
        pool(options.url, limited(options.http), std::max<std::size_t>(1, options.connections)) {}

  static HttpClientOptions limited(HttpClientOptions http) {
    http.body_limit_bytes = kAnswerLimitBytes;
    return http;
  }

  const CloudClientOptions options;
  const CloudModel& model;
  HttpClientPool pool;
  std::atomic<std::uint64_t> num_requests = 0;

  Failure failure(FailureKind kind, std::string_view text) {
    return {kind, fmt::format("[cloud {}] {}", options.url.to_string(), text)};
  }
  Failure no_connection() {
    return failure(FailureKind::kTimeout, "every connection was busy until the time was over");
  }
  Result<HttpExchange> exchange(const HttpRequest& request) {
    const Clock::time_point deadline = Clock::now() + options.timeout;
    const HttpClientPool::Lease http = pool.lease(deadline);
    if (!http) return no_connection();
    return http->exchange(request, time_left(deadline));
  }
  // What an answer other than 200 means.
  Failure refusal(const HttpResponse& response) {
    const std::string text = parse_error_body(response.body).value_or("no reason given");
    Failure refused = failure(kind_of(response.status),
                              fmt::format("answered {}: {}", response.status, printable(text)));
    refused.retry_after = retry_after(response);
    return refused;
  }
};

std::string feature_input_name(std::string_view cut) { return fmt::format("feature@{}", cut); }
std::string code_input_name(std::string_view cut) { return fmt::format("code@{}", cut); }

CloudQuestion image_question(const Shape& shape, std::span<const std::uint8_t> pixels) {
  return {.input = uint8_tensor("image", {shape.dims().begin(), shape.dims().end()}, pixels)};
}

CloudQuestion feature_question(const CloudModel& model, const Tensor& feature) {
  const std::span<const std::int64_t> dims = feature.shape().dims();
  return {.input = fp32_tensor(feature_input_name(model.cut), {dims.begin(), dims.end()},
                               feature.data()),
          .first_exit = model.num_edge_exits + 1};
}

CloudQuestion code_question(const CloudModel& model, std::span<const std::byte> code) {
  return {.input = {code_input_name(model.cut),
                    "UINT8",
                    {1, std::ssize(code)},
                    {code.begin(), code.end()}},
          .first_exit = model.num_edge_exits + 1};
}

CloudClient::CloudClient(CloudClientOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

const CloudClientOptions& CloudClient::options() const { return impl_->options; }

CloudClient::~CloudClient() = default;

Result<ModelDescription> CloudClient::describe() {
  const HttpRequest request{.target = fmt::format("/v2/models/{}", impl_->model.name)};
  const Result<HttpExchange> exchange = impl_->exchange(request);
  if (!exchange) return exchange.failure();
  if (exchange->response.status != 200) return impl_->refusal(exchange->response);
  try {
    return parse_model_metadata(exchange->response.body);
  } catch (const ProtocolError& error) {
    return impl_->failure(FailureKind::kProtocol, error.what());
  }
}

Result<LinkProbe> CloudClient::probe(std::size_t padding_bytes) {
  HttpRequest request{.target = "/v2/health/live"};
  if (padding_bytes > 0) {
    request.headers = {{"X-Padding", std::string(std::min(padding_bytes, kMaxPadding), '.')}};
  }
  const Clock::time_point start = Clock::now();
  const Result<HttpExchange> exchange = impl_->exchange(request);
  if (!exchange) return exchange.failure();
  if (exchange->response.status != 200) return impl_->refusal(exchange->response);
  return LinkProbe{exchange->bytes_sent + exchange->bytes_received, ms_since(start)};
}

Result<CloudAnswer> CloudClient::infer(const CloudQuestion& question) {
  return infer(question, impl_->options.timeout, {});
}

Result<CloudAnswer> CloudClient::infer(const CloudQuestion& question,
                                       std::chrono::milliseconds timeout,
                                       const EdgeExitCounts& edge_exits) {
  const Clock::time_point deadline = Clock::now() + timeout;
  const CloudModel& model = impl_->model;
  InferRequest request;
  request.id = std::to_string(++impl_->num_requests);
  request.binary_outputs = true;
  request.inputs.push_back(question.input);
  if (!question.policy.empty()) {
    request.parameters["policy"] = question.policy;
    if (!question.seen.empty()) add_seen(question.seen, model.num_edge_exits, request);
    if (!question.scores.empty()) {
      request.inputs.push_back(fp32_tensor(std::string(kEdgeScoreInput),
                                           {1, std::ssize(question.scores)}, question.scores));
    }
  }
  WireMessage wire = build_infer_request(request);
  HttpRequest message{.method = "POST", .target = fmt::format("/v2/models/{}/infer", model.name)};
  message.headers = {{"Content-Type", std::string(wire.content_type())},
                     {std::string(kInferenceHeader), std::to_string(wire.json_bytes.value_or(0))}};
  if (!edge_exits.empty())
    message.headers.emplace_back(kEdgeExitsHeader, format_edge_exits(edge_exits));
  message.body = std::move(wire.body);
  const HttpClientPool::Lease http = impl_->pool.lease(deadline);
  if (!http) return impl_->no_connection();
  const std::chrono::milliseconds left = time_left(deadline);
  message.headers.emplace_back(kTimeoutHeader, std::to_string(left.count()));
  const Clock::time_point start = Clock::now();
  const Result<HttpExchange> exchange = http->exchange(message, left);
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
    CloudAnswer answer = read_answer(parsed, model, question);
    answer.round_trip_ms = ms_since(start);
    answer.bytes_sent = exchange->bytes_sent;
    answer.bytes_received = exchange->bytes_received;
    return answer;
  } catch (const ProtocolError& error) {
    http->disconnect();
    return impl_->failure(FailureKind::kProtocol, error.what());
  }
}

}  // namespace branchy
