#include "infer/layer_stopwatch.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/rng.h"
#include "core/threads.h"
#include "infer/exit_runner.h"
#include "infer/exit_scores.h"
#include "infer/feature_coder.h"
#include "infer/percentile.h"
#include "infer/pixel_input.h"

namespace branchy {
namespace {

constexpr std::int64_t kWarmUpRuns = 3;

// Times of one part, a value a run.
struct Samples {
  std::vector<double> ms;

  [[nodiscard]] double median() const { return percentile(ms, 0.5); }
  [[nodiscard]] double p95() const { return percentile(ms, 0.95); }
};

Tensor noise(const Shape& shape) {
  Rng rng(1);
  Tensor tensor(shape);
  for (float& value : tensor.mutable_data()) value = rng.uniform(0.0F, 1.0F);
  return tensor;
}

template <class Function>
Samples repeat(std::int64_t runs, const std::function<bool()>& stop, Function function) {
  Samples samples;
  for (std::int64_t run = -kWarmUpRuns; run < runs; ++run) {
    const auto start = std::chrono::steady_clock::now();
    function();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    if (run < 0) continue;
    samples.ms.push_back(took.count());
    if (stop && stop()) break;
  }
  return samples;
}

// Writes one part's two figures where `member` is in both.
template <class Write>
void put(MeasuredTimes& times, const Samples& samples, Write write) {
  write(times.median, samples.median());
  write(times.p95, samples.p95());
}

class PlanWatch {
 public:
  explicit PlanWatch(const ServedModel& model)
      : model_(model),
        part_(model.plan->part()),
        blocks_(static_cast<std::size_t>(part_.end_block - part_.first_block)),
        exits_(static_cast<std::size_t>(part_.last_exit - part_.first_exit + 1)) {}

  // Number of runs that were made.
  std::int64_t run(std::int64_t runs, const std::function<bool()>& stop) {
    ExitRunner runner(model_.plan);
    const Tensor src = noise(model_.plan->input_shape());
    std::int64_t counted = 0;
    for (std::int64_t run = -kWarmUpRuns; run < runs; ++run) {
      if (run == 0) runner.set_stopwatch([this](const PartTime& time) { add(time); });
      runner.start(src);
      while (runner.has_next()) (void)runner.next_exit();
      (void)runner.feature();
      if (run < 0) continue;
      ++counted;
      if (stop && stop()) break;
    }
    return counted;
  }

  void write(MeasuredTimes& times) const {
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      const std::string& name =
          model_.block_names.at(i + static_cast<std::size_t>(part_.first_block));
      put(times, blocks_[i], [&](LayerTimes& one, double ms) { one.blocks.push_back({name, ms}); });
    }
    for (std::size_t i = 0; i < exits_.size(); ++i) {
      put(times, exits_[i], [&](LayerTimes& one, double ms) {
        one.exits[part_.first_exit + static_cast<std::int64_t>(i)] = ms;
      });
    }
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < model_.exit_depths.size(); ++i) {
      const std::int64_t end = model_.exit_depths[i];
      if (begin >= part_.first_block && end <= part_.end_block) {
        put(times, piece(begin, end),
            [&](LayerTimes& one, double ms) { one.trunk[static_cast<std::int64_t>(i) + 1] = ms; });
      }
      begin = end;
    }
  }

 private:
  void add(const PartTime& time) {
    const auto index = static_cast<std::size_t>(
        time.number - (time.is_exit ? part_.first_exit : part_.first_block));
    (time.is_exit ? exits_ : blocks_).at(index).ms.push_back(time.ms);
  }

  // Blocks [begin, end) together, run by run.
  [[nodiscard]] Samples piece(std::int64_t begin, std::int64_t end) const {
    Samples sum{std::vector<double>(blocks_.empty() ? 1 : blocks_.front().ms.size())};
    for (std::int64_t block = begin; block < end; ++block) {
      const Samples& one = blocks_[static_cast<std::size_t>(block - part_.first_block)];
      for (std::size_t run = 0; run < sum.ms.size(); ++run) sum.ms[run] += one.ms.at(run);
    }
    return sum;
  }

  const ServedModel& model_;
  NetworkPart part_;
  std::vector<Samples> blocks_, exits_;
};

void measure_predictor(const ServedModel& model, std::int64_t runs,
                       const std::function<bool()>& stop, MeasuredTimes& times) {
  const Attachment* predictor = model.attachment(kPredictorAttachment);
  if (predictor == nullptr || !model.image_shape) return;
  ExitScores scores(*predictor, model.info);
  const std::int64_t depth = scores.reads_after();
  const Tensor src = noise(depth == 0 ? *model.image_shape : model.plan->boundary_shape(depth));
  const Samples samples = repeat(runs, stop, [&] { (void)scores.scores(src); });
  put(times, samples, [](LayerTimes& one, double ms) { one.predictor = ms; });
}

void measure_codec(const ServedModel& model, std::int64_t runs, const std::function<bool()>& stop,
                   MeasuredTimes& times) {
  const Attachment* codec = model.attachment(kCodecAttachment);
  if (codec == nullptr) return;
  FeatureCoder coder(*codec, model.info);
  // A code of the greatest size is one that no lossless stage has shortened: any bytes.
  std::vector<std::byte> code(static_cast<std::size_t>(coder.max_bytes()));
  if (coder.can_encode()) {
    const Tensor feature = noise(coder.feature_shape());
    const Samples samples = repeat(runs, stop, [&] { code = coder.encode(feature); });
    put(times, samples, [](LayerTimes& one, double ms) { one.encoder = ms; });
  }
  if (coder.can_decode()) {
    const Samples samples = repeat(runs, stop, [&] { (void)coder.decode(code); });
    put(times, samples, [](LayerTimes& one, double ms) { one.decoder = ms; });
  }
}

}  // namespace

MeasuredTimes measure_layers(const ServedModel& model, std::int64_t runs,
                             const std::function<bool()>& stop) {
  if (runs < 1) throw ConfigError(fmt::format("[measure] {} runs, expected 1 or more", runs));
  MeasuredTimes times;
  PlanWatch watch(model);
  const std::int64_t counted = watch.run(runs, stop);
  watch.write(times);
  measure_predictor(model, runs, stop, times);
  measure_codec(model, runs, stop, times);
  for (LayerTimes* one : {&times.median, &times.p95}) {
    one->network = model.info.config.name;
    one->classes = model.info.config.classes;
    one->early_exits = model.info.config.early_exits;
    one->threads = num_threads();
    one->runs = counted;
  }
  return times;
}

std::string to_table(const MeasuredTimes& times) {
  std::string text = fmt::format("{:<24} {:>10} {:>10}\n", "part", "median ms", "p95 ms");
  const auto row = [&](const std::string& name, double median, double p95) {
    text += fmt::format("{:<24} {:>10.4f} {:>10.4f}\n", name, median, p95);
  };
  const LayerTimes& median = times.median;
  const LayerTimes& p95 = times.p95;
  for (std::size_t i = 0; i < median.blocks.size(); ++i)
    row("block " + median.blocks[i].name, median.blocks[i].ms, p95.blocks.at(i).ms);
  for (const auto& [exit, ms] : median.trunk)
    row(fmt::format("trunk to exit {}", exit), ms, p95.trunk.at(exit));
  for (const auto& [exit, ms] : median.exits)
    row(fmt::format("exit {}", exit), ms, p95.exits.at(exit));
  if (median.predictor) row("predictor", *median.predictor, p95.predictor.value_or(0));
  if (median.encoder) row("encoder", *median.encoder, p95.encoder.value_or(0));
  if (median.decoder) row("decoder", *median.decoder, p95.decoder.value_or(0));
  return text;
}

}  // namespace branchy
