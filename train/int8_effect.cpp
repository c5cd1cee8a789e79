#include "train/int8_effect.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/provenance.h"
#include "core/threads.h"
#include "infer/percentile.h"
#include "train/evaluation.h"
#include "train/validation.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

double timed_ms(ExitRunner& runner, const Tensor& images) {
  const auto start = Clock::now();
  runner.start(images);
  while (runner.has_next()) static_cast<void>(runner.next_exit());
  const std::chrono::duration<double, std::milli> took = Clock::now() - start;
  return took.count();
}

}  // namespace

Int8Plans::Int8Plans(const LoadedModel& model, const Int8Ranges& ranges)
    : float32(Plan::lower(*model.network, model.network->whole())),
      int8(Plan::lower(*model.network, model.network->whole(), ranges)) {}

Int8Effect int8_effect(const Int8Plans& plans, const ModelInfo& info,
                       const std::shared_ptr<const Dataset>& images, const std::string& part,
                       const std::function<void(double)>& progress) {
  const auto predict = [&](const std::shared_ptr<const Plan>& plan, double done) {
    return predict_dataset(plan, images, info, evaluation_batch(images->image_shape()),
                           {.progress = [&](double share) { progress(done + 0.5 * share); }});
  };
  const ExitPredictions before = predict(plans.float32, 0.0);
  const ExitPredictions after = predict(plans.int8, 0.5);
  const auto float32 = accuracy_of_all(before);
  const auto int8 = accuracy_of_all(after);
  Int8Effect effect{part, images->checksum(), std::ssize(before.labels), {}};
  for (std::size_t exit = 0; exit < float32.size(); ++exit) {
    std::int64_t same = 0;
    for (std::size_t i = 0; i < before.labels.size(); ++i)
      same += before.predictions[exit][i].label == after.predictions[exit][i].label ? 1 : 0;
    effect.exits.push_back({float32[exit], int8[exit],
                            static_cast<double>(same) / static_cast<double>(effect.samples)});
  }
  return effect;
}

Int8Speed int8_speed(const Int8Plans& plans, const Tensor& images) {
  constexpr std::size_t kFewestRuns = 5;
  constexpr std::chrono::seconds kEnough{1};
  ExitRunner float32(plans.float32);
  ExitRunner int8(plans.int8);
  static_cast<void>(timed_ms(float32, images));  // makes what it needs
  static_cast<void>(timed_ms(int8, images));
  std::vector<double> float32_ms, int8_ms;
  for (const auto start = Clock::now();
       float32_ms.size() < kFewestRuns || Clock::now() - start < kEnough;) {
    float32_ms.push_back(timed_ms(float32, images));
    int8_ms.push_back(timed_ms(int8, images));
  }
  return {images.dim(0), num_threads(), percentile(float32_ms, 0.5), percentile(int8_ms, 0.5)};
}

std::string QuantizationReport::text() const {
  std::string text = fmt::format("{} operations in 8 bits, fitted on {} {} images\n", operations,
                                 fitted_images, fitted_on);
  if (!dnn::int8_is_exact())
    text += "this CPU has no VNNI and computes them in float32: the figures below show no change\n";
  for (const Int8Effect& effect : effects) {
    text += fmt::format("\n{}: {} samples\n{:>4} {:>11} {:>8} {:>14}\n", effect.part,
                        effect.samples, "exit", "float32 %", "int8 %", "same class %");
    for (std::size_t i = 0; i < effect.exits.size(); ++i)
      text += fmt::format("{:>4} {:>11.2f} {:>8.2f} {:>14.2f}\n", i + 1,
                          100.0 * effect.exits[i].float32, 100.0 * effect.exits[i].int8,
                          100.0 * effect.exits[i].agreement);
  }
  text += fmt::format("\nall exits\n{:>5} {:>8} {:>11} {:>8} {:>7}\n", "batch", "threads",
                      "float32 ms", "int8 ms", "times");
  for (const Int8Speed& speed : speeds)
    text += fmt::format("{:>5} {:>8} {:>11.3f} {:>8.3f} {:>7.2f}\n", speed.batch, speed.threads,
                        speed.float32_ms, speed.int8_ms, speed.float32_ms / speed.int8_ms);
  return text;
}

std::string QuantizationReport::json() const {
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json["model"] = model;
  json["data"] = data;
  json["operations"] = operations;
  json["fitted_on"] = fitted_on;
  json["fitted_images"] = fitted_images;
  json["vnni"] = dnn::int8_is_exact();
  for (const Int8Effect& effect : effects) {
    ordered_json entry{{"part", effect.part},
                       {"data_checksum", effect.data_checksum},
                       {"samples", effect.samples}};
    for (std::size_t i = 0; i < effect.exits.size(); ++i)
      entry["exits"].push_back({{"exit", i + 1},
                                {"accuracy_float32", effect.exits[i].float32},
                                {"accuracy_int8", effect.exits[i].int8},
                                {"same_class", effect.exits[i].agreement}});
    json["effects"].push_back(std::move(entry));
  }
  for (const Int8Speed& speed : speeds)
    json["speeds"].push_back({{"batch", speed.batch},
                              {"threads", speed.threads},
                              {"float32_ms", speed.float32_ms},
                              {"int8_ms", speed.int8_ms}});
  return json.dump(2) + "\n";
}

}  // namespace branchy
