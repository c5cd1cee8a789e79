#include "infer/edge_answer.h"

#include <fmt/format.h>

#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "infer/edge_request.h"
#include "infer/edge_stages.h"
#include "infer/inference_routes.h"

namespace branchy {
namespace {

std::string error_line(std::size_t row, std::string_view text) {
  const nlohmann::ordered_json line = {{"index", row}, {"error", std::string(text)}};
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// Sums over the rows: one row's own times are those of a request with one row.
Parameters sums(const std::vector<EdgeResult>& results) {
  StageTimes totals;
  std::int64_t sent = 0;
  std::int64_t received = 0;
  for (const EdgeResult& result : results) {
    const StageTimes times = stage_times(result.outcome);
    for (std::size_t stage = 0; stage < kNumEdgeStages; ++stage) {
      if (times[stage]) totals[stage] = totals[stage].value_or(0) + *times[stage];
    }
    sent += result.outcome.bytes_sent;
    received += result.outcome.bytes_received;
  }
  Parameters parameters{{"bytes_sent", sent}, {"bytes_received", received}};
  for (std::size_t stage = 0; stage < kNumEdgeStages; ++stage) {
    if (!totals[stage]) continue;
    parameters[fmt::format("{}_ms", to_string(static_cast<EdgeStage>(stage)))] = *totals[stage];
  }
  return parameters;
}

template <class T, class Get>
std::vector<T> column(const std::vector<EdgeResult>& results, const Get& get) {
  std::vector<T> values;
  values.reserve(results.size());
  for (const EdgeResult& result : results) values.push_back(static_cast<T>(get(result)));
  return values;
}

}  // namespace

InferResponse edge_response(const std::vector<EdgeResult>& results) {
  const std::vector<std::int64_t> rows{std::ssize(results)};
  const auto int32 = [&](std::string name, const auto& get) {
    return int32_tensor(std::move(name), rows, column<std::int32_t>(results, get));
  };
  const auto boolean = [&](std::string name, const auto& get) {
    WireTensor tensor = uint8_tensor(std::move(name), rows, column<std::uint8_t>(results, get));
    tensor.datatype = "BOOL";  // a byte, too
    return tensor;
  };
  const auto text = [&](std::string name, const auto& get) {
    return bytes_tensor(std::move(name), rows, column<std::string>(results, get));
  };
  InferResponse response;
  response.parameters = sums(results);
  response.outputs.push_back(int32(
      "class_index", [](const EdgeResult& result) { return result.outcome.prediction.label; }));
  response.outputs.push_back(
      text("label", [](const EdgeResult& result) { return result.class_name; }));
  response.outputs.push_back(
      fp32_tensor("confidence", rows, column<float>(results, [](const EdgeResult& result) {
                    return result.outcome.prediction.confidence;
                  })));
  response.outputs.push_back(
      int32("exit_index", [](const EdgeResult& result) { return result.outcome.prediction.exit; }));
  response.outputs.push_back(
      int32("last_exit", [](const EdgeResult& result) { return result.outcome.last_exit; }));
  response.outputs.push_back(text("where", [](const EdgeResult& result) {
    return result.outcome.from_cloud ? "cloud" : "edge";
  }));
  response.outputs.push_back(
      boolean("degraded", [](const EdgeResult& result) { return result.outcome.degraded; }));
  response.outputs.push_back(
      boolean("dropped", [](const EdgeResult& result) { return result.outcome.dropped; }));
  response.outputs.push_back(
      text("reason", [](const EdgeResult& result) { return result.outcome.reason; }));
  return response;
}

EdgeAnswer::EdgeAnswer(Responder respond, InferRequest message, const ModelDescription& model,
                       std::size_t num_rows, bool is_streamed, Finished finished)
    : respond_(std::move(respond)),
      message_(std::move(message)),
      model_name_(model.name),
      model_version_(model.version),
      is_streamed_(is_streamed),
      finished_(std::move(finished)),
      results_(num_rows),
      num_open_(num_rows) {}

void EdgeAnswer::set_row(std::size_t row, EdgeResult result) {
  const std::lock_guard lock(mutex_);
  if (is_streamed_) {
    send_line(to_json(result) + "\n");
  } else {
    results_[row] = std::move(result);
  }
  row_done();
}

void EdgeAnswer::fail_row(std::size_t row, std::string_view text) {
  const std::lock_guard lock(mutex_);
  send_line(error_line(row, text));
  row_done();
}

void EdgeAnswer::send_line(std::string line) {
  if (!has_begun_) {
    respond_.begin({.headers = {{"Content-Type", std::string(kNdjsonContentType)},
                                {"Cache-Control", "no-store"}}});
    has_begun_ = true;
  }
  if (!is_gone_.load() && !respond_.part(std::move(line))) is_gone_.store(true);
}

// Who has the answer finds it counted: `finished_` comes before the last byte.
void EdgeAnswer::row_done() {
  if (--num_open_ > 0) return;
  if (is_streamed_) {
    finished_(200);
    respond_.end();
    return;
  }
  HttpResponse response = response_with_tensors();
  finished_(response.status);
  respond_(std::move(response));
}

HttpResponse EdgeAnswer::response_with_tensors() {
  try {
    InferResponse answer = edge_response(results_);
    answer.model_name = model_name_;
    answer.model_version = model_version_;
    answer.id = message_.id;
    return message_response(build_infer_response(answer, message_));
  } catch (const std::exception&) {  // a confidence that is no number; the pipeline must not see it
    return error_response(500, "the model gave an answer that is no number");
  }
}

}  // namespace branchy
