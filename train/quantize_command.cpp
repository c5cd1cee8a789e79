#include "train/quantize_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/threads.h"
#include "data/loader.h"
#include "infer/int8_calibration.h"
#include "train/checkpoint.h"
#include "train/image_flags.h"
#include "train/int8_effect.h"
#include "train/progress.h"

namespace branchy {

namespace {

constexpr std::int64_t kLargeBatch = 32;

struct QuantizeCommand {
  std::string model, out, report;
  std::string fit_on = "val";
  ImageFlags images;
  std::int64_t num_images = 512, threads = 0;
  bool test = false;
};

std::shared_ptr<const Dataset> open_part(const QuantizeCommand& c, const LoadedModel& model,
                                         const std::string& part) {
  ImageFlags flags = c.images;
  flags.split = part;
  return open_flagged_images(flags, model);
}

LoaderOptions loading(const LoadedModel& model) {
  return {.batch = kLargeBatch, .normalization = {model.info.mean, model.info.std}};
}

Int8Ranges calibrate_int8(const QuantizeCommand& c, const LoadedModel& model,
                          QuantizationReport& report) {
  Int8Calibration calibration(Plan::lower(*model.network, model.network->whole()));
  const auto images = open_part(c, model, c.fit_on);
  const std::int64_t wanted = std::min(c.num_images, images->size());
  Progress bar("quantize");
  Loader loader(images, loading(model));
  loader.start_epoch(0);
  while (calibration.num_images() < wanted) {
    const auto batch = loader.next();
    const std::int64_t left = wanted - calibration.num_images();
    const Tensor& all = batch->images;
    if (all.dim(0) <= left) {
      calibration.add(all);
    } else {
      const auto size = static_cast<std::size_t>(all.size() / all.dim(0) * left);
      calibration.add(Tensor::from(all.shape().with_batch(left), all.data().first(size)));
    }
    bar.update(static_cast<double>(calibration.num_images()) / static_cast<double>(wanted),
               fmt::format("of {} {} images", wanted, c.fit_on));
  }
  Int8Ranges ranges = calibration.ranges();
  report.fitted_on = c.fit_on;
  report.fitted_images = wanted;
  report.operations = std::ssize(ranges);
  return ranges;
}

/// The first images of the part, again where there are fewer than a large batch.
Tensor some_images(const QuantizeCommand& c, const LoadedModel& model) {
  Loader loader(open_part(c, model, c.fit_on), loading(model));
  loader.start_epoch(0);
  const Tensor first = loader.next()->images;
  Tensor batch(first.shape().with_batch(kLargeBatch));
  const auto to = batch.mutable_data();
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = first.data()[i % first.data().size()];
  return batch;
}

void measure_speed(const QuantizeCommand& c, const LoadedModel& model, const Int8Plans& plans,
                   QuantizationReport& report) {
  const Tensor large = some_images(c, model);
  const Tensor one =
      Tensor::from(large.shape().with_batch(1),
                   large.data().first(static_cast<std::size_t>(large.size() / kLargeBatch)));
  const std::int64_t threads = num_threads();
  for (const std::int64_t count : {std::int64_t{1}, threads}) {
    if (!report.speeds.empty() && count == 1) break;  // that was all
    set_num_threads(count);
    for (const Tensor& images : {one, large}) report.speeds.push_back(int8_speed(plans, images));
  }
}

Int8Effect measure_effect(const QuantizeCommand& c, const LoadedModel& model,
                          const Int8Plans& plans, const std::string& part) {
  const auto images = open_part(c, model, part);
  Progress bar("quantize");
  return int8_effect(plans, model.info, images, part, [&](double share) {
    bar.update(share, fmt::format("of {} {} images, float32 and int8", images->size(), part));
  });
}

/// Temperatures, policies, predictors and codecs were made with what float32 computes.
void warn_of_older_choices(const LoadedModel& model) {
  const bool chosen =
      std::any_of(model.info.records.begin(), model.info.records.end(),
                  [](const auto& record) { return !record.first.starts_with("int8."); });
  if (chosen || !model.attachments.empty() || !model.info.temperatures.empty())
    fmt::print(stderr,
               "quantize: what was chosen or learned with float32 (temperatures, policies, "
               "predictor, codec) is kept; make it again where the classes above changed much\n");
}

void run(const QuantizeCommand& c) {
  set_num_threads(c.threads == 0 ? num_available_cpus() : c.threads);
  LoadedModel model = load_trained(c.model);
  if (!(model.info.part == model.network->whole()))
    throw ConfigError(fmt::format(
        "[quantize] {} holds one side of a split; quantise the whole model, then export", c.model));
  QuantizationReport report{.model = c.model, .data = c.images.data};
  const Int8Ranges ranges = calibrate_int8(c, model, report);
  const Int8Plans plans(model, ranges);
  if (model.info.val_count > 0) report.effects.push_back(measure_effect(c, model, plans, "val"));
  if (c.test) report.effects.push_back(measure_effect(c, model, plans, "test"));
  measure_speed(c, model, plans, report);
  model.info.records[std::string(kInt8RangesRecord)] = to_text(ranges);
  save_model(c.out, *model.network, model.info, model.attachments);
  if (!c.report.empty()) write_file_atomically(c.report, report.json());
  fmt::print("{}\n{}: {} with {} operations in 8 bits\n", report.text(), c.out, c.model,
             report.operations);
  warn_of_older_choices(model);
}

}  // namespace

void add_quantize_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "quantize",
      "Let convolutions and large linear layers be computed in 8-bit integers: weights by output "
      "channel, sources in steps that are fitted on images. The file keeps its float32 weights");
  const auto command = std::make_shared<QuantizeCommand>();
  verb->add_option("model", command->model, "Run folder (its best checkpoint) or model file")
      ->required();
  verb->add_option("--data", command->images.data, "cifar10:DIR, cifar100:DIR or folder:DIR")
      ->required();
  verb->add_option("--out", command->out,
                   "The quantised model, a file; may be the one that was given")
      ->required();
  verb->add_option("--images", command->num_images, "Images to fit on, the first of the part")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  verb->add_option("--fit-on", command->fit_on, "Part to fit on: val (held out by training), train")
      ->check(CLI::IsMember({"val", "train"}))
      ->capture_default_str();
  verb->add_flag("--test", command->test,
                 "Report the accuracy of every exit on the test images too");
  verb->add_option("--report", command->report, "Write accuracies and times to this JSON file too");
  verb->add_option("--test-list", command->images.test_list,
                   "folder: the test images, one path a line, for a model that recorded none");
  verb->add_option("--cache", command->images.cache, "folder: keep decoded, resized images here");
  verb->add_flag("--skip-corrupt", command->images.skip_corrupt,
                 "folder: count and leave out damaged images");
  verb->add_option("--threads", command->threads, "Compute threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
