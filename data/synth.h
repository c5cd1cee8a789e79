// Synthetic data: procedural 32x32 colour images of ten shapes in the layout of CIFAR-10, so that
// everything can be tried without a download.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

namespace branchy {

struct SynthOptions {
  std::int64_t num_train = 50'000;  ///< a multiple of 50: five files, ten balanced classes
  std::int64_t num_test = 10'000;   ///< a multiple of 10
  std::uint64_t seed = 0;
  std::int64_t threads = 0;  ///< 0: as many as there are CPUs; the files do not depend on it
};

inline constexpr std::array<const char*, 10> kSynthClasses = {
    "disc",  "ring",     "square", "triangle", "star",
    "cross", "crescent", "heart",  "arrow",    "hourglass"};

/// Draws one image of class `label` (0..9) into `pixels` (3072 bytes, R, G and B plane). Colour,
/// place, size, rotation and background are random. `difficulty` d in [0,1] shrinks the shape from
/// radius 14 to 7 pixels, turns it by up to 0.25 + 2.9 d radians, adds up to seven fragments of
/// other shapes behind it, up to three bars in front and noise of deviation 3 to 26, and lowers the
/// contrast of colours from about 160 to 80. A pure function of its arguments.
void draw_synth_image(std::int64_t label, float difficulty, std::uint64_t key,
                      std::span<std::uint8_t> pixels);

/// Writes `out/cifar-10-batches-bin/` with data_batch_1..5.bin, test_batch.bin and
/// batches.meta.txt, each whole or not at all, and returns that folder. Difficulties are squares of
/// uniform numbers in [0,1]; the same options give the same bytes. `progress(done, total)` is
/// called after each file. Throws ConfigError for counts that do not fit, IoError when writing
/// fails.
std::filesystem::path write_synth_dataset(
    const std::filesystem::path& out, const SynthOptions& options,
    const std::function<void(std::int64_t done, std::int64_t total)>& progress = {});

}  // namespace branchy
