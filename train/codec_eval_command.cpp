// `branchy codec eval`.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/provenance.h"
#include "core/threads.h"
#include "infer/feature_coder.h"
#include "infer/model_images.h"
#include "infer/threshold_list.h"
#include "train/checkpoint.h"
#include "train/codec_command.h"
#include "train/codec_evaluation.h"
#include "train/progress.h"
#include "train/validation.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

struct CodecEvalCommand {
  std::string model, base;
  ImageRequest images;
  std::vector<std::string> thresholds{"0.9"};
  std::vector<std::int64_t> jpeg{95, 75, 50, 25, 10};
  std::string json, csv;
  std::int64_t batch = 0, threads = 0;
  bool baselines = true;
};

double mean(const std::vector<std::int64_t>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

LoadedModel open_whole(const std::string& path) {
  LoadedModel model = load_trained(path);
  if (!(model.info.part == model.network->whole()))
    throw ConfigError(
        fmt::format("[codec eval] {} holds one side of a split; give the whole model", path));
  return model;
}

ordered_json to_json(const SentForm& form, const CodecEvaluation& result,
                     const std::vector<std::vector<float>>& thresholds) {
  ordered_json json{{"form", form.name}, {"mean_bytes", mean(form.bytes)}};
  if (form.fixed_bytes > 0)
    json["mean_bytes_without_tables"] = mean(form.bytes) - static_cast<double>(form.fixed_bytes);
  // A JPEG stands for the image, not for the feature.
  if (form.fixed_bytes == 0) json["relative_error"] = form.relative_error;
  json["acc_all"] = accuracy_of_all(form.exits);
  for (const auto& threshold : thresholds) {
    const SentReport report = report_sent(form, result.device_exits, threshold);
    json["policies"].push_back({{"thresholds", threshold},
                                {"accuracy", report.accuracy},
                                {"sent_share", report.sent_share},
                                {"mean_sent_bytes", report.sent_bytes}});
  }
  return json;
}

/// One line a form, with the thresholds' columns side by side.
std::string to_csv(const ordered_json& json) {
  std::string text = "form,mean_bytes,relative_error,acc_final";
  for (const auto& policy : json["forms"][0]["policies"])
    text += fmt::format(",acc@{0},sent_share@{0},mean_sent_bytes@{0}",
                        fmt::join(policy["thresholds"].get<std::vector<float>>(), "+"));
  text += '\n';
  for (const auto& form : json["forms"]) {
    text += fmt::format(
        "{},{},{},{}", form["form"].get<std::string>(), form["mean_bytes"].get<double>(),
        form.value("relative_error", std::nan("")), form["acc_all"].back().get<double>());
    for (const auto& policy : form["policies"])
      text +=
          fmt::format(",{},{},{}", policy["accuracy"].get<double>(),
                      policy["sent_share"].get<double>(), policy["mean_sent_bytes"].get<double>());
    text += '\n';
  }
  return text;
}

void print_table(const ordered_json& json) {
  fmt::print("{:<10} {:>10} {:>10} {:>9} | threshold: accuracy %, share sent %, bytes a sent one\n",
             "sent", "bytes", "rel. err", "final %");
  for (const auto& form : json["forms"]) {
    fmt::print("{:<10} {:>10.1f} {:>10.4f} {:>9.2f} |", form["form"].get<std::string>(),
               form["mean_bytes"].get<double>(), form.value("relative_error", std::nan("")),
               100.0 * form["acc_all"].back().get<double>());
    for (const auto& policy : form["policies"])
      fmt::print(" {}: {:.2f} {:.2f} {:.1f}",
                 fmt::join(policy["thresholds"].get<std::vector<float>>(), ","),
                 100.0 * policy["accuracy"].get<double>(),
                 100.0 * policy["sent_share"].get<double>(),
                 policy["mean_sent_bytes"].get<double>());
    fmt::print("\n");
  }
  const auto& stages = json["codec"]["mean_bytes_by_stage"];
  fmt::print("mean bytes of the code: none {:.1f}, zstd {:.1f}, range {:.1f}\n",
             stages["none"].get<double>(), stages["zstd"].get<double>(),
             stages["range"].get<double>());
}

ordered_json describe(const CodecEvalCommand& c, const LoadedModel& model,
                      const CodecEvaluation& result, const Dataset& images) {
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  const CodecRecord record = read_codec_record(model.info);
  const auto& codec = model.attachments.at(std::string(kCodecAttachment));
  json["model"] = c.model;
  json["base"] = c.base.empty() ? c.model : c.base;
  json["data"] = c.images.data;
  json["data_checksum"] = images.checksum();
  json["split"] = c.images.part;
  json["samples"] = images.size();
  json["codec"] = {{"cut", record.cut},
                   {"options", codec.network->config().options},
                   {"bits", record.bits},
                   {"scale", record.scale},
                   {"lossless", to_string(record.lossless)}};
  const double float_bytes = 4.0 * static_cast<double>(codec.network->input_shape().size());
  json["codec"]["ratio"] = float_bytes / mean(result.stages.none);
  json["codec"]["mean_bytes_by_stage"] = {{"none", mean(result.stages.none)},
                                          {"zstd", mean(result.stages.zstd)},
                                          {"range", mean(result.stages.range)}};
  return json;
}

void run(const CodecEvalCommand& c) {
  set_num_threads(c.threads == 0 ? num_available_cpus() : c.threads);
  const LoadedModel model = open_whole(c.model);
  if (!model.attachments.contains(std::string(kCodecAttachment)))
    throw ConfigError(
        fmt::format("[codec eval] {} has no codec; make one with `branchy codec train`", c.model));
  const LoadedModel base = open_whole(c.base.empty() ? c.model : c.base);
  std::vector<std::vector<float>> thresholds;
  const std::int64_t early = model.network->num_exits() - 1;
  if (early > 0)
    for (const std::string& text : c.thresholds)
      thresholds.push_back(resolve_thresholds(parse_thresholds(text), early));
  const ModelImages opened = open_images(model.info, model.network->input_shape(), c.images);
  if (!opened.description.empty()) fmt::print(stderr, "{}\n", opened.description);
  for (const std::string& message : opened.left_out) fmt::print(stderr, "left out: {}\n", message);
  Progress bar("codec eval");
  const CodecEvaluation result = evaluate_codec(
      model, base, opened.images,
      {.batch = c.batch > 0 ? c.batch : evaluation_batch(opened.images->image_shape()),
       .baselines = c.baselines,
       .jpeg_qualities = c.baselines ? c.jpeg : std::vector<std::int64_t>{},
       .progress = [&](const std::string& what, double share) { bar.update(share, what); }});
  ordered_json json = describe(c, model, result, *opened.images);
  for (const SentForm& form : result.forms)
    json["forms"].push_back(to_json(form, result, thresholds));
  if (!c.json.empty()) write_file_atomically(c.json, json.dump(2) + "\n");
  if (!c.csv.empty()) write_file_atomically(c.csv, to_csv(json));
  print_table(json);
}

}  // namespace

void add_codec_eval_command(CLI::App& codec) {
  CLI::App* app = codec.add_subcommand(
      "eval", "Accuracy and bytes with the codec, beside the plain feature and JPEG");
  const auto command = std::make_shared<CodecEvalCommand>();
  app->add_option("model", command->model, "Model file with a codec")->required();
  app->add_option("--data", command->images.data,
                  "Data set: cifar10:DIR, cifar100:DIR or folder:DIR")
      ->required();
  app->add_option("--split", command->images.part, "test, val (held out by training) or train")
      ->check(CLI::IsMember({"test", "val", "train"}))
      ->capture_default_str();
  app->add_option("--base", command->base,
                  "The network before the codec was trained, for the baselines: what is behind the "
                  "cut in the model has learned to read the codec (default: the model itself)");
  app->add_option("--threshold", command->thresholds,
                  "Maximum-probability thresholds of the early exits: 0.9 for all, 0.95,0.85 for "
                  "each; may be given again")
      ->capture_default_str();
  app->add_option("--jpeg", command->jpeg, "Qualities of the JPEG baseline")
      ->delimiter(',')
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app->add_flag("--baselines,!--no-baselines", command->baselines,
                "Evaluate the plain feature (float32, 8 bit) and JPEG too (default)");
  app->add_option("--json", command->json, "Write the result to this JSON file");
  app->add_option("--csv", command->csv, "Write the table to this CSV file");
  app->add_option("--test-list", command->images.test_list,
                  "folder: the test images, one path a line, for a model that recorded none");
  app->add_option("--cache", command->images.cache, "folder: keep decoded, resized images here");
  app->add_flag("--skip-corrupt", command->images.skip_corrupt,
                "folder: count and leave out damaged images");
  app->add_option("--batch", command->batch,
                  "Images at a time (default: 250 of 32x32, fewer of larger ones)")
      ->check(CLI::Range(1, 1 << 16));
  app->add_option("--threads", command->threads, "Compute threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  app->callback([command] { run(*command); });
}

}  // namespace branchy
