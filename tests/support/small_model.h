// A model file of a small network with random weights, for tests of commands.
#pragma once

#include <filesystem>
#include <utility>

#include "layers/model_file.h"
#include "tests/infer/plan_fixtures.h"

namespace branchy::test {

/// CNN-9 with narrow blocks and exits after blocks 2 and 5, 80 held-out validation images, logits
/// spread so that exits are more and less sure of samples, and a predictor if wanted.
inline LoadedModel small_model(bool with_predictor) {
  LoadedModel model;
  model.info.config = {
      .name = "cnn9", .early_exits = 2, .options = {{"widths", "4,4,6"}, {"exit-after", "2,5"}}};
  model.info.mean = {0.5F, 0.5F, 0.5F};
  model.info.std = {0.25F, 0.25F, 0.25F};
  model.info.val_count = 80;
  model.network = lived_in_network(model.info.config);
  for (StateEntry& entry : model.network->state())
    if (entry.name.ends_with("fc.weight"))
      for (float& value : entry.variable->mutable_value().mutable_data()) value *= 20.0F;
  model.info.part = model.network->whole();
  if (with_predictor)
    model.attachments.emplace(kPredictorAttachment,
                              whole_attachment(lived_in_network({.name = "exit_predictor",
                                                                 .classes = 2,
                                                                 .early_exits = 0,
                                                                 .options = {{"kind", "fc"}}})));
  return model;
}

inline void save(const LoadedModel& model, const std::filesystem::path& path) {
  save_model(path, *model.network, model.info, model.attachments);
}

}  // namespace branchy::test
