#include "train/predictor_scores.h"

#include <algorithm>
#include <cmath>

#include "data/loader.h"
#include "train/predictor_input.h"
#include "train/validation.h"

namespace branchy {

std::optional<Tensor> predictor_scores(const LoadedModel& model, std::int64_t reads_after,
                                       const std::shared_ptr<const Dataset>& images,
                                       const std::function<bool(double share)>& go_on) {
  const Attachment& predictor = model.attachments.at(std::string(kPredictorAttachment));
  PredictorInput input(*model.network, reads_after);
  ExitRunner runner(Plan::lower(*predictor.network, predictor.part));
  Loader loader(images, {.batch = evaluation_batch(images->image_shape()),
                         .normalization = {model.info.mean, model.info.std}});
  Tensor all(Shape{images->size(), model.network->num_exits() - 1});
  auto to = all.mutable_data().begin();
  loader.start_epoch(0);
  while (const auto batch = loader.next()) {
    runner.start(input.of(batch->images));
    const Tensor logits = runner.next_exit().logits;
    for (const float logit : logits.data()) *to++ = 1.0F / (1.0F + std::exp(-logit));
    const auto done = static_cast<double>(batch->indices.back() + 1);
    if (!go_on(done / static_cast<double>(images->size()))) return std::nullopt;
  }
  return all;
}

}  // namespace branchy
