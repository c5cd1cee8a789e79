#include "train/image_flags.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "infer/model_images.h"

namespace branchy {

void add_image_flags(CLI::App& app, ImageFlags& flags) {
  app.add_option("--data", flags.data, "Data set: cifar10:DIR, cifar100:DIR or folder:DIR")
      ->required();
  app.add_option("--test-list", flags.test_list,
                 "folder: the test images, one path a line, for a model that recorded none");
  app.add_option("--cache", flags.cache, "folder: keep decoded, resized images here");
  app.add_flag("--skip-corrupt", flags.skip_corrupt, "folder: count and leave out damaged images");
  app.add_option("--split", flags.split,
                 "test, val (held out by training), train, or all images of a folder")
      ->check(CLI::IsMember({"test", "val", "train", "all"}))
      ->capture_default_str();
}

std::shared_ptr<const Dataset> open_flagged_images(const ImageFlags& flags,
                                                   const LoadedModel& model) {
  ModelImages opened = open_images(model.info, model.network->input_shape(),
                                   {.data = flags.data,
                                    .part = flags.split,
                                    .test_list = flags.test_list,
                                    .cache = flags.cache,
                                    .skip_corrupt = flags.skip_corrupt});
  if (!opened.description.empty()) fmt::print(stderr, "{}\n", opened.description);
  for (const std::string& message : opened.left_out) fmt::print(stderr, "left out: {}\n", message);
  return opened.images;
}

}  // namespace branchy
