#include "train/predictor_scores.h"

#include <algorithm>

#include "data/loader.h"
#include "train/predictor_input.h"
#include "train/validation.h"

namespace branchy {

std::optional<Tensor> predictor_scores(const LoadedModel& model, ExitScores& predictor,
                                       const std::shared_ptr<const Dataset>& images,
                                       const std::function<bool(double share)>& go_on) {
  PredictorInput input(*model.network, predictor.reads_after());
  Loader loader(images, {.batch = evaluation_batch(images->image_shape()),
                         .normalization = {model.info.mean, model.info.std}});
  Tensor all(Shape{images->size(), model.network->num_exits() - 1});
  auto to = all.mutable_data().begin();
  loader.start_epoch(0);
  while (const auto batch = loader.next()) {
    const Tensor scores = predictor.scores(input.of(batch->images));
    to = std::ranges::copy(scores.data(), to).out;
    const auto done = static_cast<double>(batch->indices.back() + 1);
    if (!go_on(done / static_cast<double>(images->size()))) return std::nullopt;
  }
  return all;
}

}  // namespace branchy
