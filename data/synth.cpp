#include "data/synth.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/rng.h"
#include "data/cifar.h"

namespace branchy {

namespace {

constexpr int kSide = static_cast<int>(kCifarSide);
constexpr int kSamples = 2;  // per axis and pixel, against jagged edges
constexpr float kPi = std::numbers::pi_v<float>;
constexpr std::int64_t kMaxImages = 5'000'000;  // 15 GB; a fifth of it is in memory at a time

struct Color {
  float r = 0, g = 0, b = 0;
};

Color mix(const Color& a, const Color& b, float t) {
  return {a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

Color random_color(Rng& rng) {
  // One by one: the order of evaluation within one expression is free.
  Color color;
  color.r = rng.uniform(20.0F, 235.0F);
  color.g = rng.uniform(20.0F, 235.0F);
  color.b = rng.uniform(20.0F, 235.0F);
  return color;
}

/// The colour that a class tends to: hues evenly around the circle.
Color class_color(std::int64_t label) {
  const float hue = 2.0F * kPi * static_cast<float>(label) / 10.0F;
  const auto channel = [hue](float shift) { return 128.0F + 92.0F * std::cos(hue - shift); };
  return {channel(0.0F), channel(2.0F * kPi / 3.0F), channel(4.0F * kPi / 3.0F)};
}

float distance(const Color& a, const Color& b) {
  return std::sqrt((a.r - b.r) * (a.r - b.r) + (a.g - b.g) * (a.g - b.g) +
                   (a.b - b.b) * (a.b - b.b));
}

bool in_star(float x, float y) {
  const float radius = std::hypot(x, y);
  if (radius > 1.0F) return false;
  // Edge from a tip (1, 0) to a notch at 36 degrees, in the sector folded onto [0, 36] degrees.
  constexpr float kSector = 2.0F * kPi / 5.0F;
  constexpr float kNotch = 0.42F;
  float angle = std::fmod(std::atan2(y, x) + 2.0F * kPi, kSector);
  if (angle > kSector / 2.0F) angle = kSector - angle;
  const float notch_x = kNotch * std::cos(kSector / 2.0F);
  const float notch_y = kNotch * std::sin(kSector / 2.0F);
  const float px = radius * std::cos(angle) - 1.0F;
  const float py = radius * std::sin(angle);
  return (notch_x - 1.0F) * py - notch_y * px >= 0.0F;
}

bool in_arrow(float x, float y) {
  const bool shaft = x >= -1.0F && x <= 0.1F && std::abs(y) <= 0.26F;
  const bool head = x >= 0.05F && x <= 1.0F && std::abs(y) <= 0.78F * (1.0F - x) / 0.95F;
  return shaft || head;
}

bool in_heart(float x, float y) {
  const float u = 1.2F * x;
  const float v = -1.2F * y + 0.1F;
  const float a = u * u + v * v - 1.0F;
  return a * a * a - u * u * v * v * v <= 0.0F;
}

/// Whether (x, y), in units of the shape's radius, lies inside shape `label`.
bool inside(std::int64_t label, float x, float y) {
  const float radius = std::hypot(x, y);
  switch (label) {
    case 0:
      return radius <= 0.9F;
    case 1:
      return radius <= 0.95F && radius >= 0.52F;
    case 2:
      return std::abs(x) <= 0.78F && std::abs(y) <= 0.78F;
    case 3:
      return y <= 0.55F && y >= 1.732F * std::abs(x) - 1.0F;
    case 4:
      return in_star(x, y);
    case 5:
      return (std::abs(x) <= 0.28F && std::abs(y) <= 0.95F) ||
             (std::abs(y) <= 0.28F && std::abs(x) <= 0.95F);
    case 6:
      return radius <= 0.95F && std::hypot(x - 0.42F, y) > 0.72F;
    case 7:
      return in_heart(x, y);
    case 8:
      return in_arrow(x, y);
    default:
      return std::abs(y) <= 0.9F && std::abs(x) <= 0.12F + 0.7F * std::abs(y);
  }
}

/// A shape's place: (px, py) in pixels becomes coordinates in units of its radius.
struct Pose {
  float x = 0, y = 0, radius = 1, cosine = 1, sine = 0, stretch = 1;
};

Pose random_pose(Rng& rng, float radius, float max_turn) {
  Pose pose;
  pose.radius = radius;
  const float room = std::max(0.0F, 0.5F * static_cast<float>(kSide) - 0.9F * radius);
  pose.x = 0.5F * static_cast<float>(kSide) + rng.uniform(-room, room);
  pose.y = 0.5F * static_cast<float>(kSide) + rng.uniform(-room, room);
  const float turn = rng.uniform(-max_turn, max_turn);
  pose.cosine = std::cos(turn);
  pose.sine = std::sin(turn);
  pose.stretch = rng.uniform(0.88F, 1.14F);
  return pose;
}

class Canvas {
 public:
  void gradient(const Color& from, const Color& to, float angle) {
    for (int y = 0; y < kSide; ++y)
      for (int x = 0; x < kSide; ++x) {
        const float along = std::cos(angle) * (static_cast<float>(x) - 15.5F) +
                            std::sin(angle) * (static_cast<float>(y) - 15.5F);
        at(x, y) = mix(from, to, std::clamp(0.5F + along / 44.0F, 0.0F, 1.0F));
      }
  }

  /// Paints `label` at `pose`, shaded from `light` to `dark` across it.
  void shape(std::int64_t label, const Pose& pose, const Color& light, const Color& dark) {
    const int reach = static_cast<int>(std::ceil(1.5F * pose.radius));
    const int x0 = std::max(0, static_cast<int>(pose.x) - reach);
    const int x1 = std::min(kSide, static_cast<int>(pose.x) + reach + 1);
    const int y0 = std::max(0, static_cast<int>(pose.y) - reach);
    const int y1 = std::min(kSide, static_cast<int>(pose.y) + reach + 1);
    for (int y = y0; y < y1; ++y)
      for (int x = x0; x < x1; ++x) {
        const float share = coverage(label, pose, x, y);
        if (share <= 0.0F) continue;
        const float shade =
            std::clamp(0.5F + (static_cast<float>(y) - pose.y) / (2.0F * pose.radius), 0.0F, 1.0F);
        at(x, y) = mix(at(x, y), mix(light, dark, shade), share);
      }
  }

  void bar(const Color& color, const Pose& pose, float half_length, float half_width) {
    for (int y = 0; y < kSide; ++y)
      for (int x = 0; x < kSide; ++x) {
        const float dx = static_cast<float>(x) + 0.5F - pose.x;
        const float dy = static_cast<float>(y) + 0.5F - pose.y;
        const float along = pose.cosine * dx + pose.sine * dy;
        const float across = -pose.sine * dx + pose.cosine * dy;
        if (std::abs(along) <= half_length && std::abs(across) <= half_width) at(x, y) = color;
      }
  }

  void write(float noise, Rng& rng, std::span<std::uint8_t> pixels) const {
    constexpr std::size_t kPlane = static_cast<std::size_t>(kSide) * kSide;
    for (std::size_t i = 0; i < kPlane; ++i) {
      const float values[3] = {colors_[i].r, colors_[i].g, colors_[i].b};
      for (std::size_t c = 0; c < 3; ++c) {
        // Sum of four uniforms: near enough to a Gaussian of deviation `noise`, and fast.
        float sum = -2.0F;
        for (int draw = 0; draw < 4; ++draw) sum += rng.uniform();
        const float value = values[c] + noise * 1.732F * sum;
        pixels[c * kPlane + i] = static_cast<std::uint8_t>(std::clamp(value + 0.5F, 0.0F, 255.0F));
      }
    }
  }

 private:
  Color& at(int x, int y) {
    return colors_[static_cast<std::size_t>(y) * kSide + static_cast<std::size_t>(x)];
  }

  static float coverage(std::int64_t label, const Pose& pose, int x, int y) {
    int hits = 0;
    for (int sy = 0; sy < kSamples; ++sy)
      for (int sx = 0; sx < kSamples; ++sx) {
        const float dx =
            static_cast<float>(x) + (static_cast<float>(sx) + 0.5F) / kSamples - pose.x;
        const float dy =
            static_cast<float>(y) + (static_cast<float>(sy) + 0.5F) / kSamples - pose.y;
        const float u = (pose.cosine * dx + pose.sine * dy) / (pose.radius * pose.stretch);
        const float v = (-pose.sine * dx + pose.cosine * dy) * pose.stretch / pose.radius;
        hits += inside(label, u, v) ? 1 : 0;
      }
    return static_cast<float>(hits) / (kSamples * kSamples);
  }

  std::array<Color, static_cast<std::size_t>(kSide) * kSide> colors_{};
};

/// A colour at about `contrast` from `background`.
Color contrasting_color(const Color& background, float contrast, Rng& rng) {
  Color best;
  float best_gap = 1e9F;
  for (int attempt = 0; attempt < 12; ++attempt) {
    const Color color = random_color(rng);
    const float gap = std::abs(distance(color, background) - contrast);
    if (gap < best_gap) {
      best_gap = gap;
      best = color;
    }
  }
  return best;
}

struct BatchPlan {
  std::uint64_t seed = 0, split = 0;
  const std::vector<std::int64_t>* order = nullptr;  // its value modulo 10 is the label
  std::int64_t begin = 0, count = 0, threads = 1;
};

std::vector<std::uint8_t> draw_batch(const BatchPlan& plan) {
  constexpr std::size_t kRecord = 1 + static_cast<std::size_t>(kCifarPixels);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(plan.count) * kRecord);
  const auto draw_range = [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      const std::int64_t index = plan.begin + i;
      const std::int64_t label = (*plan.order)[static_cast<std::size_t>(index)] % 10;
      Rng rng({plan.seed, plan.split, static_cast<std::uint64_t>(index)});
      const float uniform = rng.uniform();
      const float difficulty = uniform * uniform;
      const auto record = std::span(bytes).subspan(static_cast<std::size_t>(i) * kRecord, kRecord);
      record[0] = static_cast<std::uint8_t>(label);
      draw_synth_image(label, difficulty, rng.next_u64(), record.subspan(1));
    }
  };
  std::vector<std::jthread> workers;
  for (std::int64_t t = 0; t < plan.threads; ++t)
    workers.emplace_back(draw_range, plan.count * t / plan.threads,
                         plan.count * (t + 1) / plan.threads);
  workers.clear();  // joins
  return bytes;
}

void check(const SynthOptions& options) {
  if (options.num_train < 50 || options.num_train % 50 != 0 || options.num_train > kMaxImages)
    throw ConfigError(
        fmt::format("[data synth] {} training images, expected a multiple of 50 from "
                    "50 to {}; correct --num-train",
                    options.num_train, kMaxImages));
  if (options.num_test < 10 || options.num_test % 10 != 0 || options.num_test > kMaxImages)
    throw ConfigError(
        fmt::format("[data synth] {} test images, expected a multiple of 10 from 10 "
                    "to {}; correct --num-test",
                    options.num_test, kMaxImages));
  if (options.threads < 0 || options.threads > 256)
    throw ConfigError(fmt::format("[data synth] {} threads, expected 0 to 256; correct --threads",
                                  options.threads));
}

}  // namespace

void draw_synth_image(std::int64_t label, float difficulty, std::uint64_t key,
                      std::span<std::uint8_t> pixels) {
  BRANCHY_DCHECK(label >= 0 && label < 10 && std::ssize(pixels) == kCifarPixels);
  Rng rng({key, static_cast<std::uint64_t>(label)});
  const float d = std::clamp(difficulty, 0.0F, 1.0F);
  Canvas canvas;

  const Color base = random_color(rng);
  const Color drift = mix(base, random_color(rng), 0.15F + 0.45F * d);
  canvas.gradient(base, drift, rng.uniform(0.0F, 2.0F * kPi));

  // Behind the shape: fragments of other shapes, small so that they name no class.
  const Color middle = mix(base, drift, 0.5F);
  for (int i = static_cast<int>(std::lround(7.0F * d)); i > 0; --i) {
    const Pose pose = random_pose(rng, rng.uniform(1.6F, 1.6F + 2.4F * d), kPi);
    const Color color = contrasting_color(middle, 60.0F + 60.0F * rng.uniform(), rng);
    canvas.shape(rng.below(10), pose, color, mix(color, middle, 0.3F));
  }

  const float radius = rng.uniform(11.0F - 4.0F * d, 14.0F - 5.0F * d);
  const Pose pose = random_pose(rng, radius, 0.25F + (kPi - 0.25F) * d);
  const float contrast = 150.0F - 80.0F * d + 25.0F * rng.uniform();
  // As with real objects colour tells much, but never all: the harder, the less.
  const Color light = mix(class_color(label), contrasting_color(middle, contrast, rng),
                          std::min(1.0F, 0.1F + 0.8F * d));
  canvas.shape(label, pose, light, mix(light, random_color(rng), 0.08F + 0.2F * d));

  // In front of it: bars that hide up to about a third of the shape.
  for (int i = static_cast<int>(std::lround(2.4F * d * rng.uniform() + 0.6F * d)); i > 0; --i) {
    Pose bar = random_pose(rng, 0.6F * radius, kPi);
    bar.x = pose.x + rng.uniform(-0.8F, 0.8F) * radius;
    bar.y = pose.y + rng.uniform(-0.8F, 0.8F) * radius;
    canvas.bar(random_color(rng), bar, (0.5F + 0.7F * d) * radius, 0.8F + 0.8F * d);
  }
  canvas.write(3.0F + 23.0F * d * rng.uniform(0.5F, 1.0F), rng, pixels);
}

std::filesystem::path write_synth_dataset(
    const std::filesystem::path& out, const SynthOptions& options,
    const std::function<void(std::int64_t done, std::int64_t total)>& progress) {
  check(options);
  std::filesystem::path folder = out / "cifar-10-batches-bin";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    throw IoError(fmt::format("[{}] cannot create the directory: {}; choose another --out",
                              folder.string(), error.message()));
  const std::int64_t threads =
      options.threads > 0 ? options.threads
                          : std::clamp<std::int64_t>(std::thread::hardware_concurrency(), 1, 256);
  constexpr std::uint64_t kTrain = 0;
  constexpr std::uint64_t kTest = 1;
  const std::vector<std::int64_t> train_order =
      Rng({options.seed, kTrain}).permutation(options.num_train);
  const std::vector<std::int64_t> test_order =
      Rng({options.seed, kTest}).permutation(options.num_test);
  const std::int64_t per_file = options.num_train / 5;
  const std::int64_t total = options.num_train + options.num_test;
  const auto write = [&](const std::string& name, const BatchPlan& plan) {
    AtomicFile file(folder / name);
    file.write(std::as_bytes(std::span<const std::uint8_t>(draw_batch(plan))));
    file.commit();
  };
  for (std::int64_t i = 0; i < 5; ++i) {
    write(fmt::format("data_batch_{}.bin", i + 1),
          {options.seed, kTrain, &train_order, i * per_file, per_file, threads});
    if (progress) progress((i + 1) * per_file, total);
  }
  write("test_batch.bin", {options.seed, kTest, &test_order, 0, options.num_test, threads});
  std::string names;
  for (const char* name : kSynthClasses) names += fmt::format("{}\n", name);
  write_file_atomically(folder / "batches.meta.txt", names);
  if (progress) progress(total, total);
  return folder;
}

}  // namespace branchy
