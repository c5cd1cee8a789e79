#include "train/calibrate_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/threads.h"
#include "train/calibration.h"
#include "train/calibration_report.h"
#include "train/checkpoint.h"
#include "train/image_flags.h"
#include "train/interrupt.h"
#include "train/logits_inference.h"
#include "train/progress.h"

namespace branchy {

namespace {

struct CalibrateCommand {
  std::string model, out, logits, test_logits, report, mode = "all", select_on = "val";
  ImageFlags images;
  double p_tar = 0.0;
  bool test = false;
  std::int64_t batch = 0, threads = 0;
};

LogitsCache infer(const CalibrateCommand& c, const LoadedModel& model, const std::string& part) {
  ImageFlags flags = c.images;
  flags.split = part;
  const auto images = open_flagged_images(flags, model);
  const Interrupt interrupt;
  Progress bar("calibrate");
  LogitsCache cache = infer_logits(
      model, images,
      {.data = flags.data, .part = part, .batch = c.batch, .progress = [&](double share) {
         bar.update(share, fmt::format("of {} {} images", images->size(), part));
         return !Interrupt::requested();
       }});
  if (Interrupt::requested()) throw CLI::RuntimeError(kInterruptedExitCode);
  return cache;
}

LogitsCache read(const std::string& path, const LoadedModel& model, const std::string& part,
                 const std::string& remedy) {
  LogitsCache cache = load_logits(path);
  require_same_model(cache, path, model);
  if (cache.part != part)
    throw ConfigError(fmt::format("[calibrate] {} holds part {} of its data, expected {}; {}", path,
                                  cache.part, part, remedy));
  return cache;
}

/// What was chosen or learned by confidences at the temperatures that the model had.
void warn_of_older_choices(const ModelInfo& info, const std::vector<float>& before) {
  if (before == info.temperatures) return;
  std::set<std::string> older;
  for (const auto& [key, value] : info.records)
    for (const char* prefix : {"policy.", "adapt.", "predictor."})
      if (key.starts_with(prefix)) older.insert(prefix);
  if (!older.empty())
    fmt::print(stderr,
               "calibrate: the records {}* were made with other temperatures; make them again\n",
               fmt::join(older, "*, "));
}

void run(const CalibrateCommand& c) {
  if (c.images.data.empty() == c.logits.empty())
    throw ConfigError("[calibrate] give --data or --logits, one of them");
  if (c.test && c.images.data.empty())
    throw ConfigError("[calibrate] --test goes with --data; give --test-logits CACHE");
  const CalibrationOptions options{.mode = parse_calibration_mode(c.mode), .p_tar = c.p_tar};
  set_num_threads(c.threads == 0 ? num_available_cpus() : c.threads);
  LoadedModel model = load_trained(c.model);
  if (!(model.info.part == model.network->whole()))
    throw ConfigError(fmt::format(
        "[calibrate] {} holds one side of a split; calibrate the whole model, then export",
        c.model));
  const LogitsCache fit_data =
      c.logits.empty()
          ? infer(c, model, c.select_on)
          : read(c.logits, model, c.select_on, "give another cache or --select-on val|test");
  CalibrationReport report{.model = c.model,
                           .model_digest = model_digest(model),
                           .calibration = calibrate(fit_data, options)};
  const std::vector<float> temperatures = report.calibration.temperatures();
  report.effects.push_back(calibration_effect(fit_data, temperatures));
  if (!c.test_logits.empty())
    report.effects.push_back(calibration_effect(
        read(c.test_logits, model, "test", "--test-logits takes the test images"), temperatures));
  if (c.test) report.effects.push_back(calibration_effect(infer(c, model, "test"), temperatures));

  const std::vector<float> before = std::exchange(model.info.temperatures, {});
  store_calibration(model.info, report.calibration, fit_data);
  save_model(c.out, *model.network, model.info, model.attachments);
  if (!c.report.empty()) write_file_atomically(c.report, calibration_json(report));
  fmt::print("{}\n{}: {} with temperatures {:.4f}\n", calibration_text(report), c.out, c.model,
             fmt::join(temperatures, " "));
  warn_of_older_choices(model.info, before);
}

}  // namespace

void add_calibrate_command(CLI::App& app) {
  CLI::App* verb = app.add_subcommand(
      "calibrate",
      "Fit a temperature for every exit, so that confidences say how often the exit is right; "
      "classes stay as they are");
  const auto command = std::make_shared<CalibrateCommand>();
  verb->add_option("model", command->model, "Run folder (its best checkpoint) or model file")
      ->required();
  auto* data = verb->add_option("--data", command->images.data,
                                "Run the model over cifar10:DIR, cifar100:DIR or folder:DIR");
  verb->add_option("--logits", command->logits,
                   "Or read what `branchy infer-all` made of this model")
      ->excludes(data);
  verb->add_option("--out", command->out,
                   "The calibrated model, a file; may be the one that was given")
      ->required();
  verb->add_option("--mode", command->mode,
                   "all: each exit on all samples; as-published: on the samples that end there by "
                   "--p-tar; one: one temperature for all exits")
      ->check(CLI::IsMember({"all", "as-published", "one"}))
      ->capture_default_str();
  verb->add_option("--p-tar", command->p_tar,
                   "as-published: confidence at which a sample ends, before calibration");
  verb->add_option("--select-on", command->select_on,
                   "Images to fit on: val (held out by training) or test")
      ->check(CLI::IsMember({"val", "test"}))
      ->capture_default_str();
  auto* test = verb->add_flag("--test", command->test,
                              "With --data: report the effect on the test images too");
  verb->add_option("--test-logits", command->test_logits,
                   "Report the effect on the test images of this cache too")
      ->excludes(test);
  verb->add_option("--report", command->report,
                   "Write all measures and reliability bins to this JSON file");
  verb->add_option("--test-list", command->images.test_list,
                   "folder: the test images, one path a line, for a model that recorded none");
  verb->add_option("--cache", command->images.cache, "folder: keep decoded, resized images here");
  verb->add_flag("--skip-corrupt", command->images.skip_corrupt,
                 "folder: count and leave out damaged images");
  verb->add_option("--batch", command->batch,
                   "Images at a time (default: 250 of 32x32, fewer of larger ones)")
      ->check(CLI::Range(1, 1 << 16));
  verb->add_option("--threads", command->threads, "Compute threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  verb->callback([command] { run(*command); });
}

}  // namespace branchy
