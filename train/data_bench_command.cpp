#include "train/data_bench_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/provenance.h"
#include "data/loader.h"
#include "data/source.h"

namespace branchy {

namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::ordered_json;

struct BenchCommand {
  std::string data, augment = "imagenet", cache;
  std::int64_t image_size = 0, batch = 16, loader_threads = 2, seed = 1;
  double seconds = 5.0;
  bool json = false;
};

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct Rate {
  std::int64_t images = 0;
  double seconds = 0.0;
  [[nodiscard]] double per_second() const { return static_cast<double>(images) / seconds; }
};

/// What a consumer gets that only waits, epoch after epoch, from a standing start.
Rate loader_rate(const BenchCommand& c, const std::shared_ptr<const Dataset>& images) {
  Loader loader(images, {.batch = c.batch,
                         .threads = c.loader_threads,
                         .seed = static_cast<std::uint64_t>(c.seed),
                         .shuffle = true,
                         .augmentation = parse_augmentation_name(c.augment),
                         .normalization = images->normalization()});
  Rate rate;
  const Clock::time_point start = Clock::now();
  for (std::int64_t epoch = 0; rate.seconds < c.seconds; ++epoch) {
    loader.start_epoch(epoch);
    while (rate.seconds < c.seconds) {
      const auto batch = loader.next();
      if (!batch) break;
      rate.images += std::ssize(batch->labels);
      rate.seconds = seconds_since(start);
    }
  }
  return rate;
}

/// Median milliseconds of one photograph in one thread: what other programs on the machine take
/// falls on few photographs.
struct StageTime {
  std::string stage;
  double ms = 0.0;
};

/// Times from lap to lap, stage by stage.
class StageTimer {
 public:
  void start() {
    next_ = 0;
    last_ = Clock::now();
  }
  void lap(const std::string& stage) {
    const std::chrono::duration<double, std::milli> time = Clock::now() - last_;
    if (next_ == names_.size()) {
      names_.push_back(stage);
      times_ms_.emplace_back();
    }
    times_ms_[next_++].push_back(time.count());
    last_ = Clock::now();
  }
  [[nodiscard]] std::vector<StageTime> medians() {
    std::vector<StageTime> medians;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      std::vector<double>& times = times_ms_[i];
      const auto middle = times.begin() + std::ssize(times) / 2;
      std::nth_element(times.begin(), middle, times.end());
      medians.push_back({names_[i], *middle});
    }
    return medians;
  }

 private:
  std::vector<std::string> names_;
  std::vector<std::vector<double>> times_ms_;  // by stage, by photograph
  std::size_t next_ = 0;
  Clock::time_point last_;
};

/// The way of the loader without a cache, one stage after the other, over photographs from the
/// whole listing.
std::vector<StageTime> stage_times(const BenchCommand& c, const FolderDataset& photos) {
  constexpr std::int64_t kMost = 200;
  const Pipeline pipeline =
      training_pipeline(parse_augmentation_name(c.augment), photos.image_shape()[1]);
  const std::int64_t count = std::min(photos.size(), kMost);
  std::vector<float> values(static_cast<std::size_t>(photos.image_shape().size()));
  StageTimer timer;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t index = i * photos.size() / count;
    const auto path =
        photos.listing().root / photos.listing().images[static_cast<std::size_t>(index)].path;
    Rng rng({static_cast<std::uint64_t>(c.seed), static_cast<std::uint64_t>(index)});
    timer.start();
    const auto bytes = read_image_bytes(path);
    timer.lap("read file");
    Image image = decode_image(bytes, path.string());
    timer.lap("decode");
    for (const TransformStep& step : pipeline.steps()) {
      image = step.apply(std::move(image), rng);
      timer.lap(step.description);
    }
    normalize(photos.normalization(), image.pixels, values);
    timer.lap("normalise");
  }
  return timer.medians();
}

void print_table(const BenchCommand& c, const Dataset& images, const Rate& rate,
                 const std::vector<StageTime>& stages) {
  fmt::print("{}: {} training images of {}, augment {}, {} loader threads, batch {}{}\n", c.data,
             images.size(), images.image_shape().to_string(), c.augment, c.loader_threads, c.batch,
             c.cache.empty() ? "" : ", cache " + c.cache);
  fmt::print("{:.0f} images/s ({} in {:.2f} s)\n", rate.per_second(), rate.images, rate.seconds);
  if (stages.empty()) return;
  double sum = 0.0;
  for (const StageTime& stage : stages) sum += stage.ms;
  fmt::print("\nmedian of a photograph in one thread, without a cache\n{:<40} {:>8} {:>8}\n",
             "stage", "ms", "share %");
  for (const StageTime& stage : stages)
    fmt::print("{:<40} {:>8.3f} {:>8.1f}\n", stage.stage, stage.ms, 100.0 * stage.ms / sum);
  fmt::print("{:<40} {:>8.3f}   {:.0f} photographs/s\n", "sum", sum, 1000.0 / sum);
}

void print_json(const BenchCommand& c, const Dataset& images, const Rate& rate,
                const std::vector<StageTime>& stages) {
  ordered_json json;
  for (const auto& [key, value] : provenance()) json[key] = value;
  json["data"] = c.data;
  json["image_shape"] = images.image_shape().dims();
  json["augment"] = c.augment;
  json["loader_threads"] = c.loader_threads;
  json["batch"] = c.batch;
  json["cache"] = c.cache;
  json["images"] = rate.images;
  json["seconds"] = rate.seconds;
  json["images_per_second"] = rate.per_second();
  for (const StageTime& stage : stages)
    json["stages"].push_back({{"stage", stage.stage}, {"ms", stage.ms}});
  fmt::print("{}\n", json.dump(2));
}

void run(const BenchCommand& c) {
  DataSource source(c.data, {.val_count = 0,
                             .seed = static_cast<std::uint64_t>(c.seed),
                             .folder = {.side = c.image_size,
                                        .preset = parse_augmentation_name(c.augment),
                                        .cache = c.cache}});
  const auto images = source.train();
  // First the stages, so that the loader finds the files in the system's cache.
  std::vector<StageTime> stages;
  if (source.photos() != nullptr) stages = stage_times(c, *source.photos());
  const Rate rate = loader_rate(c, images);
  (c.json ? print_json : print_table)(c, *images, rate, stages);
}

}  // namespace

void add_data_bench_command(CLI::App& data) {
  CLI::App* app = data.add_subcommand(
      "bench", "Images a second that the loader delivers, and for photographs what limits it");
  const auto command = std::make_shared<BenchCommand>();
  app->add_option("--data", command->data, "Data set: cifar10:DIR, cifar100:DIR or folder:DIR")
      ->required();
  app->add_option("--augment", command->augment, "none, crop-flip, imagenet or pacheco")
      ->capture_default_str();
  app->add_option("--image-size", command->image_size,
                  "folder: side of the squares (0: 224; 300 with pacheco)")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  app->add_option("--batch", command->batch, "Images a batch")->capture_default_str();
  app->add_option("--loader-threads", command->loader_threads, "Threads that prepare batches")
      ->capture_default_str();
  app->add_option("--cache", command->cache, "folder: keep decoded, resized images here");
  app->add_option("--seconds", command->seconds, "Measure for this long")
      ->check(CLI::Range(0.01, 3600.0))
      ->capture_default_str();
  app->add_option("--seed", command->seed, "Seed of order and augmentation")->capture_default_str();
  app->add_flag("--json", command->json, "Print JSON instead of a table");
  app->callback([command] { run(*command); });
}

}  // namespace branchy
