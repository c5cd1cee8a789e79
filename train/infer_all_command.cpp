#include "train/infer_all_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <string>

#include "core/threads.h"
#include "train/checkpoint.h"
#include "train/image_flags.h"
#include "train/interrupt.h"
#include "train/logits_inference.h"
#include "train/progress.h"
#include "train/validation.h"

namespace branchy {

namespace {

struct InferAllCommand {
  std::string model, out;
  ImageFlags images;
  std::int64_t batch = 0, threads = 0;
  bool no_codec = false;
};

LogitsCache infer(const InferAllCommand& c, const LoadedModel& model) {
  const auto images = open_flagged_images(c.images, model);
  const Interrupt interrupt;
  Progress bar("infer-all");
  LogitsCache cache =
      infer_logits(model, images,
                   {.data = c.images.data,
                    .part = c.images.split,
                    .batch = c.batch,
                    .coded = !c.no_codec,
                    .progress = [&](double share) {
                      bar.update(share, fmt::format("of {} images", images->size()));
                      return !Interrupt::requested();
                    }});
  if (Interrupt::requested()) throw CLI::RuntimeError(kInterruptedExitCode);
  return cache;
}

void run(const InferAllCommand& c) {
  set_num_threads(c.threads == 0 ? num_available_cpus() : c.threads);
  const LoadedModel model = load_trained(c.model);
  const LogitsCache cache = infer(c, model);
  save_logits(c.out, cache);
  fmt::print("{}: {} images of {} ({}), {} exits, {} classes{}\n", c.out, cache.num_samples(),
             cache.data, cache.part, cache.num_exits(), cache.num_classes(),
             cache.scores.defined() ? ", with predictor scores" : "");
  if (!cache.codec_digest.empty())
    fmt::print("features through the codec: {:.1f} bytes in the mean\n", cache.coded_bytes);
  for (std::int64_t exit = 1; exit <= cache.num_exits(); ++exit) {
    const auto correct =
        count_correct(cache.logits[static_cast<std::size_t>(exit - 1)], cache.labels);
    fmt::print("exit {}: acc_all {:.2f} %\n", exit,
               100.0 * static_cast<double>(correct) / static_cast<double>(cache.num_samples()));
  }
}

}  // namespace

void add_infer_all_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "infer-all",
      "Run a model over a data set once and keep the logits of all exits, the labels and the "
      "scores of its predictor, for policies and calibration to work on");
  const auto command = std::make_shared<InferAllCommand>();
  verb->add_option("model", command->model, "Run folder (its best checkpoint) or model file")
      ->required();
  add_image_flags(*verb, command->images);
  verb->add_option("--out", command->out, "The logits cache, a safetensors file")->required();
  verb->add_option("--batch", command->batch,
                   "Images at a time (default: 250 of 32x32, fewer of larger ones)")
      ->check(CLI::Range(1, 1 << 16));
  verb->add_flag(
      "--no-codec", command->no_codec,
      "Give the exits behind the codec's cut the plain feature, if the model has a codec");
  verb->add_option("--threads", command->threads, "Compute threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
