#include "infer/plan_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/printable.h"
#include "infer/cloud_client.h"
#include "infer/pixel_input.h"
#include "infer/policies/fixed.h"
#include "infer/policies/max_probability.h"
#include "infer/policies/policy_text.h"
#include "infer/threshold_list.h"

namespace branchy {
namespace {

std::vector<std::int64_t> wire_shape(const Shape& shape, std::int64_t batch) {
  std::vector<std::int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims.front() = batch;
  return dims;
}

const WireTensor* find_input(const InferRequest& request, std::string_view name) {
  for (const WireTensor& input : request.inputs)
    if (input.name == name) return &input;
  return nullptr;
}

// The input to go on from; the service has seen that there is one.
const WireTensor& main_input(const InferRequest& request) {
  for (const WireTensor& input : request.inputs) {
    if (input.name != kEdgeClassInput && input.name != kEdgeConfidenceInput &&
        input.name != kEdgeScoreInput)
      return input;
  }
  throw HttpError(400, "request has none of the model's inputs");
}

void require_probabilities(const std::vector<float>& values, std::string_view name) {
  for (const float value : values) {
    if (!(value >= 0.0F && value <= 1.0F))
      throw HttpError(400, fmt::format("[input {}] holds {}, expected 0..1", name, value));
  }
}

}  // namespace

PlanBackend::PlanBackend(ServedModel model, std::int64_t max_batch)
    : model_(std::move(model)), max_batch_(max_batch) {
  if (model_.plan->part().last_exit != model_.info.config.early_exits + 1) {
    throw ConfigError(
        "[cloud] the model file ends before the final exit; give the cloud file of "
        "branchy export");
  }
  auto worker = std::make_unique<Worker>(model_);
  if (worker->coder) max_code_bytes_ = worker->coder->max_bytes();
  idle_.push_back(std::move(worker));
}

PlanBackend::Worker::Worker(const ServedModel& model) : runner(model.plan) {
  const Attachment* codec = model.attachment(kCodecAttachment);
  if (codec == nullptr || !model.feature_shape) return;
  coder.emplace(*codec, model.info);
  if (!coder->can_decode()) coder.reset();
}

std::int64_t PlanBackend::num_client_exits() const { return model_.plan->part().first_exit - 1; }

ModelDescription PlanBackend::describe() const {
  const ModelInfo& info = model_.info;
  ModelDescription description{.name = info.config.name, .inputs = {}, .outputs = {}};
  if (model_.image_shape) {
    description.inputs.push_back({"image", "UINT8", wire_shape(*model_.image_shape, -1)});
  }
  if (model_.feature_shape) {
    description.inputs.push_back(
        {feature_input_name(info.cut), "FP32", wire_shape(*model_.feature_shape, -1)});
    if (max_code_bytes_ > 0) {
      description.inputs.push_back({code_input_name(info.cut), "UINT8", {-1, -1}});
    }
  }
  const std::int64_t before = num_client_exits();
  const bool decides = before < info.config.early_exits;
  if (decides && before > 0) {
    description.inputs.push_back({std::string(kEdgeClassInput), "INT32", {-1, before}, true});
    description.inputs.push_back({std::string(kEdgeConfidenceInput), "FP32", {-1, before}, true});
  }
  if (decides) {
    description.inputs.push_back(
        {std::string(kEdgeScoreInput), "FP32", {-1, info.config.early_exits}, true});
  }
  description.outputs = {{"logits", "FP32", {-1, info.config.classes}},
                         {"exit_index", "INT32", {-1}},
                         {"confidence", "FP32", {-1}},
                         {"last_exit", "INT32", {-1}},
                         {"dropped", "UINT8", {-1}}};
  return description;
}

std::unique_ptr<PlanBackend::Worker> PlanBackend::take_worker() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Worker> worker = std::move(idle_.back());
      idle_.pop_back();
      return worker;
    }
  }
  return std::make_unique<Worker>(model_);
}

PolicyPtr PlanBackend::policy_of(const InferRequest& request) const {
  const std::int64_t early = model_.info.config.early_exits;
  const auto text = string_parameter(request.parameters, "policy");
  const auto thresholds = string_parameter(request.parameters, "thresholds");
  if (text && thresholds)
    throw HttpError(400, "request has the parameters policy and thresholds; send one of them");
  try {
    if (thresholds) {
      // Those before the cut are not computed here, whatever theirs would be.
      std::vector<float> all(static_cast<std::size_t>(num_client_exits()), 1.0F);
      const std::vector<float> here =
          resolve_thresholds(parse_thresholds(*thresholds), early - num_client_exits());
      all.insert(all.end(), here.begin(), here.end());
      if (all.empty()) return std::make_shared<FixedPolicy>(1);
      return std::make_shared<MaxProbabilityPolicy>(ExitThresholds(std::move(all), early));
    }
    if (!text) return std::make_shared<FixedPolicy>(early + 1);
    PolicyPtr policy = parse_policy(*text, early + 1, model_.info.records);
    if (policy->looks_ahead())
      throw ConfigError(fmt::format("[policy] '{}' looks ahead and cannot be run", *text));
    return policy;
  } catch (const ConfigError& error) {
    throw HttpError(400, printable(error.what()));
  }
}

void PlanBackend::read_side_inputs(const InferRequest& request, const ExitPolicy& policy,
                                   BatchAnswer& answer) const {
  const WireTensor* classes = find_input(request, kEdgeClassInput);
  const WireTensor* confidences = find_input(request, kEdgeConfidenceInput);
  const WireTensor* scores = find_input(request, kEdgeScoreInput);
  if ((classes == nullptr) != (confidences == nullptr))
    throw HttpError(400, "request has one of edge_class and edge_confidence; send both");
  if (classes != nullptr && policy.memory() == PolicyMemory::kLogits)
    throw HttpError(400, fmt::format("policy '{}' needs the logits of exits before the cut, which "
                                     "do not travel; cut at the last early exit",
                                     policy.text()));
  if (classes != nullptr) {
    const std::vector<std::int32_t> labels = int32_values(*classes);
    const std::vector<float> values = fp32_values(*confidences);
    require_probabilities(values, kEdgeConfidenceInput);
    const std::int64_t count = num_client_exits();
    for (std::int64_t i = 0; i < std::ssize(labels); ++i) {
      const std::int32_t label = labels[static_cast<std::size_t>(i)];
      if (label == kExitNotComputed) continue;
      if (label < 0 || label >= model_.info.config.classes)
        throw HttpError(400, fmt::format("[input edge_class] holds {}, expected -1..{}", label,
                                         model_.info.config.classes - 1));
      answer.remember(i / count, {i % count + 1, label, values[static_cast<std::size_t>(i)]});
    }
  }
  if (scores != nullptr) {
    std::vector<float> values = fp32_values(*scores);
    require_probabilities(values, kEdgeScoreInput);
    answer.set_scores(std::move(values));
  } else if (policy.needs_scores()) {
    throw HttpError(400, fmt::format("policy '{}' needs the input edge_score", policy.text()));
  }
}

void PlanBackend::start(Worker& worker, const WireTensor& input) const {
  const std::int64_t batch = input.shape.front();
  if (input.name == "image") {
    const Shape shape = model_.image_shape->with_batch(batch);
    return worker.runner.start(normalize_pixels(uint8_values(input), shape, model_.info));
  }
  if (input.datatype == "FP32") {
    const Shape shape = model_.feature_shape->with_batch(batch);
    return worker.runner.start_after(model_.cut_blocks, Tensor::from(shape, fp32_values(input)));
  }
  if (input.shape[1] > max_code_bytes_)
    throw HttpError(400, fmt::format("[input {}] has {} bytes a row, no code has more than {}",
                                     input.name, input.shape[1], max_code_bytes_));
  std::vector<std::vector<std::byte>> codes;
  for (auto row = input.bytes.begin(); row != input.bytes.end(); row += input.shape[1])
    codes.emplace_back(row, row + input.shape[1]);
  try {
    worker.runner.start_after(model_.cut_blocks, worker.coder->decode_all(codes));
  } catch (const DataError& error) {
    throw HttpError(400, fmt::format("[input {}] {}", input.name, printable(error.what())));
  }
}

InferResponse PlanBackend::infer(const InferRequest& request) {
  const auto begin = std::chrono::steady_clock::now();
  const WireTensor& input = main_input(request);
  const std::int64_t batch = input.shape.front();
  if (batch > max_batch_) {
    throw HttpError(400, fmt::format("[input {}] has {} rows, at most {} are accepted", input.name,
                                     batch, max_batch_));
  }
  const PolicyPtr policy = policy_of(request);
  BatchAnswer answer(model_.info, *policy, batch);
  read_side_inputs(request, *policy, answer);
  std::unique_ptr<Worker> worker = take_worker();
  start(*worker, input);
  const NetworkPart& part = model_.plan->part();
  for (std::int64_t exit = part.first_exit; exit <= part.last_exit && !answer.done(); ++exit) {
    if (answer.wants(exit)) answer.take({exit, worker->runner.run_to(exit).logits});
  }
  if (!answer.done())
    throw Error(fmt::format("[policy {}] lets a row go on at the final exit", policy->text()));

  InferResponse response;
  response.outputs = answer.outputs();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  response.parameters["compute_ms"] = took.count();
  // Not after an exception: what failed half-way is dropped.
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(worker));
  return response;
}

void PlanBackend::warm_up() {
  for (const TensorDescription& input : describe().inputs) {
    std::vector<std::int64_t> shape = input.shape;
    // Zeros need be no code; what one decodes to is warmed up as a feature.
    if (input.optional || std::count(shape.begin() + 1, shape.end(), -1) > 0) continue;
    shape.front() = 1;
    WireTensor zeros{input.name, input.datatype, shape, {}};
    zeros.bytes.resize(static_cast<std::size_t>(implied_bytes(input.datatype, shape, input.name)));
    InferRequest request;
    request.inputs.push_back(std::move(zeros));
    (void)infer(request);
  }
}

}  // namespace branchy
