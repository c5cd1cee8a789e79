// `branchy codec train`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>
#include <memory>

#include "core/error.h"
#include "core/threads.h"
#include "infer/device_digest.h"
#include "infer/exit_runner.h"
#include "infer/feature_coder.h"
#include "infer/model_images.h"
#include "infer/plan.h"
#include "train/checkpoint.h"
#include "train/codec_command.h"
#include "train/codec_trainer.h"
#include "train/interrupt.h"
#include "train/server_part.h"

namespace branchy {

namespace {

struct CodecTrainCommand {
  std::string model, cut_after, lossless = "range", augment = "none";
  ImageRequest images{.data = {}, .part = "train"};
  std::filesystem::path out;
  std::int64_t cut = 0, threads = 0, memory_mib = 4096, num_images = 0;
  CodecOptions options;
};

/// `count` of the images, chosen by seed; all of them for 0 or more than there are.
std::shared_ptr<const Dataset> some_images(const std::shared_ptr<const Dataset>& images,
                                           std::int64_t count, std::uint64_t seed) {
  if (count == 0 || count >= images->size()) return images;
  std::vector<std::int64_t> order = Rng({seed, 0x696D61676573}).permutation(images->size());
  order.resize(static_cast<std::size_t>(count));
  std::sort(order.begin(), order.end());
  return std::make_shared<Subset>(images, std::move(order));
}

/// What the exits before the cut say of a few images, bit by bit.
class DeviceOutputs {
 public:
  DeviceOutputs(const LoadedModel& model, const Dataset& images, std::int64_t blocks)
      : part_(part_before_cut(*model.network, blocks)) {
    const std::int64_t count = std::min<std::int64_t>(16, images.size());
    Loader loader(std::make_shared<Subset>(
                      std::shared_ptr<const Dataset>(&images, [](const Dataset*) {}), first(count)),
                  {.batch = count, .normalization = {model.info.mean, model.info.std}});
    loader.start_epoch(0);
    batch_ = loader.next()->images;
    values_ = compute(*model.network);
  }

  [[nodiscard]] bool same(const MultiExitNetwork& network) const {
    const auto now = compute(network);
    for (std::size_t i = 0; i < now.size(); ++i)
      if (std::memcmp(now[i].data().data(), values_[i].data().data(), now[i].data().size_bytes()) !=
          0)
        return false;
    return true;
  }

 private:
  [[nodiscard]] static std::vector<std::int64_t> first(std::int64_t count) {
    std::vector<std::int64_t> indices(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::int64_t>(i);
    return indices;
  }
  /// Logits of the exits, then the feature at the cut.
  [[nodiscard]] std::vector<Tensor> compute(const MultiExitNetwork& network) const {
    ExitRunner runner(Plan::lower(network, part_));
    std::vector<Tensor> values;
    runner.start(batch_);
    while (runner.has_next()) values.push_back(runner.next_exit().logits);
    values.push_back(runner.feature());
    return values;
  }

  NetworkPart part_;
  Tensor batch_;
  std::vector<Tensor> values_;
};

void report(const CodecTrainCommand& c, const LoadedModel& model, const CodecTrainer& trainer) {
  const FeatureCoder coder(model.attachments.at(std::string(kCodecAttachment)), model.info);
  const std::int64_t float_bytes = 4 * coder.feature_shape().size();
  for (const std::string& note : trainer.notes()) fmt::print(stderr, "note: {}\n", note);
  fmt::print(
      "{}: codec after {}, {} -> {}, {} bit: {} bytes instead of {} ({:.4g} times fewer), lossless "
      "stage {}; exits before the cut are unchanged bit by bit\n",
      c.out.string(), coder.cut(), coder.feature_shape().to_string(),
      coder.code_shape().to_string(), coder.record().bits, coder.max_bytes(), float_bytes,
      static_cast<double>(float_bytes) / static_cast<double>(coder.max_bytes()),
      to_string(coder.record().lossless));
}

void run(CodecTrainCommand c) {
  set_num_threads(c.threads == 0 ? num_available_cpus() : c.threads);
  LoadedModel model = load_trained(c.model);
  if (!(model.info.part == model.network->whole()))
    throw ConfigError(
        fmt::format("[codec] {} holds one side of a split; give the run or whole model", c.model));
  if (c.options.code == 0 && !c.options.go_on)
    throw ConfigError("[codec] --code is missing: how many channels are sent");
  c.options.blocks = blocks_before_cut(*model.network, c.cut, c.cut_after, "codec");
  c.options.lossless = parse_lossless(c.lossless);
  c.options.augmentation = parse_augmentation_name(c.augment);
  const std::filesystem::path folder =
      c.out.has_parent_path() ? c.out.parent_path() : std::filesystem::path(".");
  if (!std::filesystem::is_directory(folder))
    throw IoError(
        fmt::format("[{}] no such folder; make it, or give another --out", folder.string()));
  c.options.cache = {.memory_limit = c.memory_mib << 20U, .folder = folder};
  const ModelImages opened = open_images(model.info, model.network->input_shape(), c.images);
  if (!opened.description.empty()) fmt::print(stderr, "{}\n", opened.description);
  for (const std::string& message : opened.left_out) fmt::print(stderr, "left out: {}\n", message);

  const auto images = some_images(opened.images, c.num_images, c.options.seed);
  const DeviceOutputs before(model, *images, c.options.blocks);
  CodecTrainer trainer(model, images, c.options);
  if (!trainer.run()) {
    fmt::print(stderr, "interrupted; nothing is written\n");
    throw CLI::RuntimeError(kInterruptedExitCode);
  }
  if (!before.same(*model.network))
    throw Error("[codec] the exits before the cut have changed; nothing is written");
  if (model.info.records.erase(std::string(kInt8RangesRecord)) > 0)
    fmt::print(stderr,
               "codec: the model is in float32 again, its other part has new weights; run "
               "branchy quantize\n");
  save_model(c.out, *model.network, model.info, model.attachments);
  report(c, model, trainer);
}

void add_phase_flags(CLI::App& app, CodecOptions& o) {
  const auto count = CLI::Range(0.0, 1e6);
  app.add_option("--reconstruction-epochs", o.reconstruction_epochs,
                 "Passes over the training images in which the codec alone learns to give the "
                 "feature back; parts of one are allowed in all three")
      ->check(count)
      ->capture_default_str();
  app.add_option("--epochs", o.epochs, "Passes in which codec and server part train together")
      ->check(count)
      ->capture_default_str();
  app.add_option("--quantized-epochs", o.quantized_epochs,
                 "Passes in which decoder and server part train behind the quantiser")
      ->check(count)
      ->capture_default_str();
  app.add_option("--max-steps", o.max_steps, "At most this many steps of each (0: no limit)")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  app.add_option("--batch", o.batch, "Images a step")
      ->check(CLI::Range(2, 1 << 16))
      ->capture_default_str();
  app.add_option("--lr", o.rate, "Adam's rate for the codec; falls to 0 by a cosine each time")
      ->check(CLI::Range(1e-12, 1e6))
      ->capture_default_str();
  app.add_option("--server-lr-factor", o.server_factor,
                 "Rate of the server part as a share of --lr; 0 leaves its weights (not its batch "
                 "norms' statistics)")
      ->check(CLI::Range(0.0, 1e3))
      ->capture_default_str();
}

void add_codec_flags(CLI::App& app, CodecTrainCommand& c) {
  CLI::Option* cut =
      app.add_option("--cut", c.cut, "Cut at this early exit, from 1 (default: the last one)")
          ->check(CLI::Range(1, 1000));
  app.add_option("--cut-after", c.cut_after, "Cut after the trunk block of this name")
      ->excludes(cut);
  CLI::Option* code = app.add_option("--code", c.options.code, "Channels that are sent")
                          ->check(CLI::Range(1, 65536));
  app.add_flag("--continue", c.options.go_on,
               "Go on with the codec that the model has: with other bits, or more epochs")
      ->excludes(code);
  app.add_option(
         "--stride", c.options.stride,
         "2 halves both sides of the feature, 1 keeps them (default: 2 where they are even)")
      ->check(CLI::Range(1, 2));
  app.add_option("--kernel", c.options.kernel,
                 "Of the encoder's convolution (default: 2 with stride 2, 1 with stride 1)")
      ->check(CLI::Range(1, 3));
  app.add_option("--bits", c.options.bits, "Bits of a value that is sent: 8 or 4")
      ->check(CLI::IsMember({8, 4}))
      ->capture_default_str();
  app.add_option("--lossless", c.lossless,
                 "Stage behind the quantiser: none, zstd, or range (range coder with a table of "
                 "frequencies for each channel, learned here)")
      ->check(CLI::IsMember({"none", "zstd", "range"}))
      ->capture_default_str();
}

}  // namespace

void add_codec_train_command(CLI::App& codec) {
  CLI::App* app = codec.add_subcommand(
      "train",
      "Put a codec at the cut and train it with the part behind; what lies before stays as it is");
  const auto command = std::make_shared<CodecTrainCommand>();
  app->add_option("model", command->model, "Run folder (its best checkpoint) or model file")
      ->required();
  app->add_option("--data", command->images.data,
                  "Data set of its training: cifar10:DIR, cifar100:DIR or folder:DIR")
      ->required();
  app->add_option("--out", command->out, "Model file to write: network, codec and records")
      ->required();
  add_codec_flags(*app, *command);
  add_phase_flags(*app, command->options);
  app->add_option("--images", command->num_images,
                  "Train on this many of the training images, chosen by seed (0: all)")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  app->add_option("--augment", command->augment,
                  "none (the feature of each image is computed once and kept), crop-flip, imagenet "
                  "or pacheco (computed anew for each step)")
      ->check(CLI::IsMember({"none", "crop-flip", "imagenet", "pacheco"}))
      ->capture_default_str();
  app->add_option(
         "--feature-memory-mib", command->memory_mib,
         "Keep at most this much of the features in memory; more go to a file beside --out")
      ->check(CLI::Range(0, 1 << 24))
      ->capture_default_str();
  app->add_option("--test-list", command->images.test_list,
                  "folder: the test images, one path a line, for a model that recorded none");
  app->add_option("--cache", command->images.cache, "folder: keep decoded, resized images here");
  app->add_flag("--skip-corrupt", command->images.skip_corrupt,
                "folder: count and leave out damaged images");
  app->add_option("--seed", command->options.seed, "Seed of weights, order and augmentation")
      ->capture_default_str();
  app->add_option("--threads", command->threads, "Compute threads (default: all CPUs)")
      ->check(CLI::Range(1, 4096));
  app->callback([command] { run(*command); });
}

}  // namespace branchy
