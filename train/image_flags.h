// Flags of the command line for the images that a model is run over.
#pragma once

#include <memory>
#include <string>

#include "data/dataset.h"
#include "layers/model_file.h"

namespace CLI {
class App;
}

namespace branchy {

/// The text forms of ImageRequest.
struct ImageFlags {
  std::string data, split = "test", test_list, cache;
  bool skip_corrupt = false;
};

/// Adds --data (required), --split, --test-list, --cache and --skip-corrupt.
void add_image_flags(CLI::App& app, ImageFlags& flags);

/// Opens them as the model's training saw them; the split and what was left out go to stderr.
/// Throws what `open_images` does.
[[nodiscard]] std::shared_ptr<const Dataset> open_flagged_images(const ImageFlags& flags,
                                                                 const LoadedModel& model);

}  // namespace branchy
