#include "infer/plan_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "infer/cloud_client.h"
#include "infer/pixel_input.h"
#include "infer/policies/max_probability.h"
#include "infer/threshold_list.h"

namespace branchy {
namespace {

std::vector<std::int64_t> wire_shape(const Shape& shape, std::int64_t batch) {
  std::vector<std::int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims.front() = batch;
  return dims;
}

// The answers of a batch whose rows may leave at different exits.
struct BatchAnswer {
  BatchAnswer(std::int64_t rows, std::int64_t the_classes)
      : classes(the_classes),
        logits(static_cast<std::size_t>(rows * the_classes)),
        exits(static_cast<std::size_t>(rows)),
        confidences(static_cast<std::size_t>(rows)),
        open(rows) {}

  // Takes the rows that are still open and, unless `threshold` is negative, sure enough.
  void take(const ExitOutput& output, float threshold) {
    const std::vector<Prediction> predictions = predict_all(output.exit, output.logits);
    const std::span<const float> scores = output.logits.data();
    for (std::size_t row = 0; row < exits.size(); ++row) {
      const float confidence = predictions[row].confidence;
      if (!std::isfinite(confidence)) {
        throw NumericError(fmt::format("[exit {}] scores are not finite", output.exit));
      }
      if (exits[row] != 0 || !should_exit(confidence, threshold)) continue;
      exits[row] = static_cast<std::int32_t>(output.exit);
      confidences[row] = confidence;
      const auto offset = static_cast<std::ptrdiff_t>(row) * classes;
      std::copy_n(scores.begin() + offset, classes, logits.begin() + offset);
      --open;
    }
  }

  std::int64_t classes;
  std::vector<float> logits;
  std::vector<std::int32_t> exits;  // 0: open
  std::vector<float> confidences;
  std::int64_t open;
};

}  // namespace

PlanBackend::PlanBackend(ServedModel model, std::int64_t max_batch)
    : model_(std::move(model)), max_batch_(max_batch) {
  if (model_.plan->part().last_exit != model_.info.config.early_exits + 1) {
    throw ConfigError(
        "[cloud] the model file ends before the final exit; give the cloud file of "
        "branchy export");
  }
}

ModelDescription PlanBackend::describe() const {
  ModelDescription description{.name = model_.info.config.name, .inputs = {}, .outputs = {}};
  if (model_.image_shape) {
    description.inputs.push_back({"image", "UINT8", wire_shape(*model_.image_shape, -1)});
  }
  if (model_.feature_shape) {
    description.inputs.push_back(
        {feature_input_name(model_.info.cut), "FP32", wire_shape(*model_.feature_shape, -1)});
  }
  description.outputs = {{"logits", "FP32", {-1, model_.info.config.classes}},
                         {"exit_index", "INT32", {-1}},
                         {"confidence", "FP32", {-1}}};
  return description;
}

std::unique_ptr<ExitRunner> PlanBackend::take_runner() {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<ExitRunner>(model_.plan);
  std::unique_ptr<ExitRunner> runner = std::move(idle_.back());
  idle_.pop_back();
  return runner;
}

void PlanBackend::start(ExitRunner& runner, const WireTensor& input, std::int64_t batch) const {
  if (input.name == "image") {
    const Shape shape = model_.image_shape->with_batch(batch);
    return runner.start(normalize_pixels(uint8_values(input), shape, model_.info));
  }
  const Shape shape = model_.feature_shape->with_batch(batch);
  runner.start_after(model_.cut_blocks, Tensor::from(shape, fp32_values(input)));
}

InferResponse PlanBackend::infer(const InferRequest& request) {
  const auto begin = std::chrono::steady_clock::now();
  const WireTensor& input = request.inputs.front();
  const std::int64_t batch = input.shape.front();
  if (batch > max_batch_) {
    throw HttpError(400, fmt::format("[input {}] has {} rows, at most {} are accepted", input.name,
                                     batch, max_batch_));
  }
  std::unique_ptr<ExitRunner> runner = take_runner();
  start(*runner, input, batch);
  const std::int64_t last_exit = model_.plan->part().last_exit;
  BatchAnswer answer(batch, model_.info.config.classes);
  if (const auto text = string_parameter(request.parameters, "thresholds")) {
    const std::int64_t ahead = last_exit - model_.plan->part().first_exit;
    std::vector<float> thresholds;
    try {
      thresholds = resolve_thresholds(parse_thresholds(*text), ahead);
    } catch (const ConfigError& error) {
      throw HttpError(400, error.what());
    }
    for (std::size_t i = 0; i < thresholds.size() && answer.open > 0; ++i) {
      answer.take(runner->next_exit(), thresholds[i]);
    }
  }
  if (answer.open > 0) answer.take(runner->run_to(last_exit), -1.0F);

  InferResponse response;
  response.outputs = {fp32_tensor("logits", {batch, answer.classes}, answer.logits),
                      int32_tensor("exit_index", {batch}, answer.exits),
                      fp32_tensor("confidence", {batch}, answer.confidences)};
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  response.parameters["compute_ms"] = took.count();
  // Not after an exception: a runner that failed half-way is dropped.
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(runner));
  return response;
}

void PlanBackend::warm_up() {
  for (const TensorDescription& input : describe().inputs) {
    std::vector<std::int64_t> shape = input.shape;
    shape.front() = 1;
    WireTensor zeros{input.name, input.datatype, shape, {}};
    zeros.bytes.resize(static_cast<std::size_t>(implied_bytes(input.datatype, shape, input.name)));
    InferRequest request;
    request.inputs.push_back(std::move(zeros));
    (void)infer(request);
  }
}

}  // namespace branchy
