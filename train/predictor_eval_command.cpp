#include "train/predictor_eval_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "core/threads.h"
#include "layers/network_summary.h"
#include "train/checkpoint.h"
#include "train/confidence_cache.h"
#include "train/gamma_rule.h"
#include "train/predictor_quality.h"
#include "train/predictor_record.h"
#include "train/predictor_scores.h"
#include "train/predictor_training.h"

namespace branchy {
namespace {
struct C {
  std::string model, data;
};
Tensor pick(const Tensor& t, const std::vector<std::int64_t>& rows) {
  Tensor r(t.shape().with_batch(std::ssize(rows)));
  auto to = r.mutable_data().begin();
  const auto c = static_cast<std::size_t>(t.dim(1));
  for (auto row : rows)
    to = std::copy_n(t.data().begin() + static_cast<std::ptrdiff_t>(row * t.dim(1)), c, to);
  return r;
}
}  // namespace
void add_predictor_eval_command(CLI::App& predictor) {
  auto c = std::make_shared<C>();
  auto* e = predictor.add_subcommand("eval", "");
  e->add_option("model", c->model);
  e->add_option("--data", c->data);
  e->callback([c] {
    set_num_threads(1);
    LoadedModel model = load_trained(c->model);
    auto record = read_predictor_record(model, c->model);
    auto yes = [](double) { return true; };
    GammaChoice choice;
    for (const char* part : {"val", "test"}) {
      auto images =
          open_images(model.info, model.network->input_shape(), {.data = c->data, .part = part})
              .images;
      const std::string f = std::string("/tmp/p/plain-") + part;
      Tensor conf;
      auto views = std::make_shared<AugmentedViews>(images, ViewOptions{1, Augmentation::kNone, 1});
      ConfidenceOrigin o{"x", {1, 1}, "y", part, images->size(), {1, Augmentation::kNone, 1}};
      if (std::filesystem::exists(f))
        conf = load_confidences(f, o).confidences;
      else {
        conf = *compute_confidences(model, views, yes);
        save_confidences(f, {o, conf});
      }
      Tensor scores = *predictor_scores(model, record.reads_after, images, yes);
      if (std::string(part) == "val") {
        auto rows = record.selection.positions(images->size());
        conf = pick(conf, rows);
        scores = pick(scores, rows);
      }
      auto q = predictor_quality(scores, predictor_targets(conf, record.thresholds));
      PredictedExits x{scores, conf, record.thresholds, exit_costs(*model.network)};
      x.costs.predictor = whole_cost(*model.attachments.at("predictor").network).ptflops;
      if (std::string(part) == "val") choice = choose_gamma(x);
      auto w = outcome_without_predictor(x), p = outcome_with_predictor(x, choice.gamma);
      for (auto& y : q)
        fmt::print("{} ones {:.3f} bce {:.4f} acc {:.4f} auroc {:.4f}\n", part, y.share_of_ones,
                   y.cross_entropy, y.accuracy, y.auroc);
      fmt::print("{} gamma {} : EE {:.3f}M last {:.4f} -> EP {:.3f}M last {:.4f}\n", part,
                 fmt::join(choice.gamma, ","), w.device_operations / 1e6, w.last_share,
                 p.device_operations / 1e6, p.last_share);
    }
  });
}
}  // namespace branchy
