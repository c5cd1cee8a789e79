#include "infer/plan_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <numeric>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/printable.h"
#include "infer/cloud_client.h"
#include "infer/feature_coder.h"
#include "infer/padded_batch.h"
#include "infer/pixel_input.h"
#include "infer/policies/fixed.h"
#include "infer/policies/max_probability.h"
#include "infer/policies/policy_text.h"
#include "infer/side_inputs.h"
#include "infer/threshold_list.h"

namespace branchy {
namespace {

std::vector<std::int64_t> wire_shape(const Shape& shape, std::int64_t batch) {
  std::vector<std::int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims.front() = batch;
  return dims;
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

// Copies the first rows of `from` to `to`, from row `row` on.
void copy_rows(const Tensor& from, Tensor& to, std::int64_t row) {
  const auto size = static_cast<std::size_t>(from.size() / from.dim(0));
  const auto begin = to.mutable_data().begin() + row * static_cast<std::ptrdiff_t>(size);
  std::copy(from.data().begin(), from.data().end(), begin);
}

// Rows `places` of `value` in this order, and rows of zeros up to `num_rows`.
Tensor gather(const Tensor& value, std::span<const std::size_t> places, std::int64_t num_rows) {
  Tensor rows = Tensor::zeros(value.shape().with_batch(num_rows));
  const auto size = static_cast<std::size_t>(value.size() / value.dim(0));
  auto to = rows.mutable_data().begin();
  for (const std::size_t place : places) {
    const auto row = value.data().subspan(place * size, size);
    to = std::copy(row.begin(), row.end(), to);
  }
  return rows;
}

}  // namespace

/// What a batch computes with, one at a time.
struct PlanBackend::Worker {
  explicit Worker(const ServedModel& model) : runner(model.plan) {
    const Attachment* codec = model.attachment(kCodecAttachment);
    if (codec == nullptr || !model.feature_shape) return;
    coder.emplace(*codec, model.info);
    if (!coder->can_decode()) coder.reset();
  }

  ExitRunner runner;
  std::optional<FeatureCoder> coder;
};

/// The requests of a batch that can be computed, their rows one after another.
struct PlanBackend::Joined {
  struct Part {
    std::size_t request = 0;
    std::int64_t first = 0, count = 0;
    SideInputs side;
  };
  std::vector<Part> parts;
  std::int64_t num_rows = 0;
  Tensor src;  ///< padded
};

PlanBackend::~PlanBackend() = default;

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

std::int64_t PlanBackend::num_client_exits() const { return model_.plan->part().first_exit - 1; }

ModelDescription PlanBackend::describe() const {
  const ModelInfo& info = model_.info;
  ModelDescription description{.name = info.config.name,
                               .inputs = {},
                               .outputs = {},
                               .class_names = info.class_names,
                               .num_exits = info.config.early_exits + 1};
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

void PlanBackend::give_back(std::unique_ptr<Worker> worker) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(worker));
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

std::int64_t PlanBackend::padded_rows(std::int64_t rows) const {
  return model_.plan->computes_alone(rows) ? rows : padded_batch(rows, max_batch_);
}

std::int64_t PlanBackend::entry_blocks(const WireTensor& input) const {
  return input.name == "image" ? model_.plan->part().first_block : model_.cut_blocks;
}

void PlanBackend::require_rows(const WireTensor& input) const {
  if (input.shape.front() > max_batch_)
    throw HttpError(400, fmt::format("[input {}] has {} rows, at most {} are accepted", input.name,
                                     input.shape.front(), max_batch_));
}

Tensor PlanBackend::source(Worker& worker, const WireTensor& input) const {
  const std::int64_t rows = input.shape.front();
  require_rows(input);
  if (input.name == "image")
    return normalize_pixels(uint8_values(input), model_.image_shape->with_batch(rows), model_.info);
  if (input.datatype == "FP32")
    return Tensor::from(model_.feature_shape->with_batch(rows), fp32_values(input));
  if (input.shape[1] > max_code_bytes_)
    throw HttpError(400, fmt::format("[input {}] has {} bytes a row, no code has more than {}",
                                     input.name, input.shape[1], max_code_bytes_));
  // One by one: a batch's codes differ in length, and one that is none fails its request alone.
  Tensor values(model_.feature_shape->with_batch(rows));
  try {
    for (std::int64_t row = 0; row < rows; ++row)
      copy_rows(worker.coder->decode(std::span(input.bytes)
                                         .subspan(static_cast<std::size_t>(row * input.shape[1]),
                                                  static_cast<std::size_t>(input.shape[1]))),
                values, row);
  } catch (const DataError& error) {
    throw HttpError(400, fmt::format("[input {}] {}", input.name, printable(error.what())));
  }
  return values;
}

PlanBackend::Joined PlanBackend::join(Worker& worker, std::span<const InferRequest* const> requests,
                                      const ExitPolicy& policy,
                                      std::vector<InferResult>& results) const {
  Joined joined;
  std::vector<Tensor> sources;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    try {
      SideInputs side = read_side_inputs(*requests[i], policy, model_.info.config.classes);
      sources.push_back(source(worker, main_input(*requests[i])));
      const std::int64_t count = sources.back().dim(0);
      joined.parts.push_back({i, joined.num_rows, count, std::move(side)});
      joined.num_rows += count;
    } catch (const HttpError&) {
      results[i] = std::current_exception();
    }
  }
  if (sources.empty()) return joined;
  const std::int64_t padded = padded_rows(joined.num_rows);
  if (sources.size() == 1 && padded == joined.num_rows) {
    joined.src = std::move(sources.front());
    return joined;
  }
  joined.src = Tensor::zeros(sources.front().shape().with_batch(padded));
  for (std::size_t i = 0; i < sources.size(); ++i)
    copy_rows(sources[i], joined.src, joined.parts[i].first);
  return joined;
}

// Computes exit after exit for the rows that have not left; when these fit into a smaller batch,
// they are gathered into one.
void PlanBackend::run_exits(ExitRunner& runner, BatchAnswer& answer, const ExitPolicy& policy,
                            std::int64_t num_rows) const {
  std::vector<std::size_t> rows(static_cast<std::size_t>(num_rows));  // of the answer, by place
  std::iota(rows.begin(), rows.end(), 0);
  const NetworkPart& part = model_.plan->part();
  for (std::int64_t exit = part.first_exit; exit <= part.last_exit && !answer.done(); ++exit) {
    if (!answer.wants(exit)) continue;
    const ExitOutput output = runner.run_to(exit);
    answer.take(output, rows);
    if (answer.done()) return;
    std::vector<std::size_t> open = answer.open_rows(rows);
    const std::int64_t size = padded_rows(std::ssize(open));
    if (size >= output.logits.dim(0)) continue;
    std::vector<std::size_t> places;
    for (std::size_t place = 0; place < rows.size(); ++place)
      if (std::binary_search(open.begin(), open.end(), rows[place])) places.push_back(place);
    const std::int64_t depth = model_.plan->exit_depth(exit);
    runner.start_after(depth, gather(runner.value_after(depth), places, size));
    rows = std::move(open);
  }
  if (!answer.done())
    throw Error(fmt::format("[policy {}] lets a row go on at the final exit", policy.text()));
}

std::optional<std::string> PlanBackend::batch_key(const InferRequest& request) const {
  (void)policy_of(request);
  const WireTensor& input = main_input(request);
  require_rows(input);
  std::string key = input.name;
  for (const std::string_view name : {kEdgeClassInput, kEdgeConfidenceInput, kEdgeScoreInput})
    key += request.find_input(name) == nullptr ? '-' : '+';
  for (const char* name : {"policy", "thresholds"}) {
    const auto text = string_parameter(request.parameters, name);
    key += '\n' + text.value_or("");
  }
  return key;
}

std::vector<InferResult> PlanBackend::infer_batch(std::span<const InferRequest* const> requests) {
  const auto begin = std::chrono::steady_clock::now();
  std::vector<InferResult> results(requests.size());
  const PolicyPtr policy = policy_of(*requests.front());  // equal in all: part of the key
  std::unique_ptr<Worker> worker = take_worker();
  const Joined joined = join(*worker, requests, *policy, results);
  BatchAnswer answer(model_.info, *policy, joined.num_rows);
  std::vector<float> scores;
  for (const Joined::Part& part : joined.parts) {
    for (const auto& [row, prediction] : part.side.seen)
      answer.remember(part.first + row, prediction);
    scores.insert(scores.end(), part.side.scores.begin(), part.side.scores.end());
  }
  if (!scores.empty()) answer.set_scores(std::move(scores));
  if (joined.num_rows > 0) {
    worker->runner.start_after(entry_blocks(main_input(*requests.front())), joined.src);
    run_exits(worker->runner, answer, *policy, joined.num_rows);
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  for (const Joined::Part& part : joined.parts) {
    try {
      InferResponse response;
      response.outputs = answer.outputs(part.first, part.count);
      response.parameters["compute_ms"] = took.count();
      results[part.request] = std::move(response);
    } catch (const NumericError&) {
      results[part.request] = std::current_exception();
    }
  }
  give_back(std::move(worker));  // not after an exception: what failed half-way is dropped
  return results;
}

InferResponse PlanBackend::infer(const InferRequest& request) {
  const InferRequest* one = &request;
  InferResult result = std::move(infer_batch(std::span(&one, 1)).front());
  if (auto* error = std::get_if<std::exception_ptr>(&result)) std::rethrow_exception(*error);
  return std::get<InferResponse>(std::move(result));
}

void PlanBackend::warm_up(std::int64_t rows) {
  // Starting alone makes a batch size's primitives; the largest first, so that memory grows once.
  std::unique_ptr<Worker> worker = take_worker();
  const Shape source = model_.plan->input_shape();
  const std::int64_t first = model_.plan->part().first_block;
  for (std::int64_t count = std::min(rows, max_batch_); count >= 1; --count)
    if (padded_rows(count) == count)
      worker->runner.start_after(first, Tensor::zeros(source.with_batch(count)));
  give_back(std::move(worker));
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
