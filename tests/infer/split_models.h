// A small network with random weights as the files of an edge and of its cloud, and images for it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/image.h"
#include "data/synth.h"
#include "tests/support/small_model.h"

namespace branchy::test {

/// test::small_model cut behind its second early exit: exits 1 and 2 at the edge, 3 in the cloud.
class SplitModels {
 public:
  /// Writes edge.safetensors, cloud.safetensors and whole.safetensors into `folder`.
  explicit SplitModels(const std::filesystem::path& folder) : folder_(folder) {
    LoadedModel model = small_model(false);
    model.info.class_names.assign(kSynthClasses.begin(), kSynthClasses.end());
    const NetworkPart whole = model.network->whole();
    model.info.part = whole;
    save(model, file("whole"));
    const std::int64_t cut = model.network->exit(2).after_block;
    model.info.cut = model.network->blocks()[static_cast<std::size_t>(cut - 1)].name;
    model.info.part = {0, cut, 1, 2};
    save(model, file("edge"));
    model.info.part = {0, whole.end_block, 3, 3};
    save(model, file("cloud"));
  }

  [[nodiscard]] std::filesystem::path file(const std::string& name) const {
    return folder_ / (name + ".safetensors");
  }

 private:
  std::filesystem::path folder_;
};

/// An image of 32x32 pixels, another one for each `key`.
[[nodiscard]] inline Image synth_image(std::uint64_t key) {
  Image image{.height = 32, .width = 32, .pixels = std::vector<std::uint8_t>(3 * 32 * 32)};
  draw_synth_image(static_cast<std::int64_t>(key % kSynthClasses.size()), 0.2F, key, image.pixels);
  return image;
}

}  // namespace branchy::test
