#include "train/train_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "core/error.h"
#include "layers/network_options.h"
#include "optim/schedule.h"

namespace branchy {

namespace {

// Dong, Mao, Zhang 2022, section V-A: SGD, batch 128, weight decay 5e-4, cosine from 0.1 at epoch 0
// to 1e-4 at epoch 200, then 20 epochs at 1e-4. Momentum 0.9 and crop + flip are the usual choice
// where the paper is silent.
RecipeOptions paper_recipe() {
  RecipeOptions r;
  r.epochs = 220;
  r.schedule = "cosine";
  r.rate = 0.1;
  r.end_rate = 1e-4;
  r.decay_epochs = 200;
  return r;
}

// A dozen epochs: one cycle with Nesterov momentum and a moving average of the weights.
RecipeOptions fast_recipe() {
  RecipeOptions r;
  r.epochs = 12;
  r.schedule = "one-cycle";
  r.rate = 0.2;
  r.warmup_epochs = 2.5;
  r.nesterov = true;
  r.decay_norm_and_bias = false;
  r.ema_decay = 0.99;
  return r;
}

template <typename Value>
void require_range(const char* flag, Value value, Value low, Value high) {
  if (!(value >= low && value <= high))
    throw ConfigError(fmt::format("[train] {} {}, expected {} to {}", flag, value, low, high));
}

}  // namespace

RecipeOptions recipe(const std::string& name) {
  if (name == "paper") return paper_recipe();
  if (name == "fast") return fast_recipe();
  throw ConfigError(fmt::format("[train] --recipe '{}', expected paper or fast", name));
}

RecipeOptions scaled_to_epochs(RecipeOptions recipe, std::int64_t epochs) {
  const double factor = static_cast<double>(epochs) / static_cast<double>(recipe.epochs);
  recipe.epochs = epochs;
  recipe.warmup_epochs *= factor;
  recipe.decay_epochs *= factor;
  for (double& drop : recipe.drop_epochs) drop *= factor;
  return recipe;
}

Augmentation parse_augmentation(const std::string& name) { return parse_augmentation_name(name); }

DataOptions data_options(const TrainOptions& o) {
  return {.val_count = o.val,
          .seed = static_cast<std::uint64_t>(o.seed),
          .folder = {.side = o.photos.image_size,
                     .preset = parse_augmentation(o.hyper.augment),
                     .cache = o.photos.cache},
          .split = parse_split_mode(o.photos.split),
          .test_list = o.photos.test_list,
          .skip_corrupt = o.photos.skip_corrupt,
          .threads = o.loader_threads};
}

std::vector<double> default_exit_weights(std::int64_t num_exits) {
  if (num_exits == 3) return {0.2, 0.3, 0.5};
  if (num_exits == 4) return {0.2, 0.2, 0.2, 0.4};
  return std::vector<double>(static_cast<std::size_t>(num_exits),
                             1.0 / static_cast<double>(num_exits));
}

void validate(const TrainOptions& o) {
  constexpr std::int64_t kMany = 1000000000;
  constexpr double kLarge = 1e9;
  const RecipeOptions& h = o.hyper;
  if (o.data.empty())
    throw ConfigError("[train] no data; give --data cifar10:DIR, cifar100:DIR or folder:DIR");
  static_cast<void>(parse_schedule(h.schedule));
  require_range<std::int64_t>("--epochs", h.epochs, 1, kMany);
  require_range<std::int64_t>("--batch", h.batch, 2, 1 << 20);
  require_range("--lr", h.rate, 1e-12, kLarge);
  require_range("--end-lr", h.end_rate, 0.0, h.rate);
  require_range("--warmup-epochs", h.warmup_epochs, 0.0, static_cast<double>(h.epochs));
  require_range("--decay-epochs", h.decay_epochs, 0.0, kLarge);
  require_range("--label-smoothing", h.label_smoothing, 0.0, 0.999);
  require_range("--ema", h.ema_decay, 0.0, 0.999999);
  require_range("--checkpoint-seconds", o.checkpoint_seconds, 0.0, kLarge);
  require_range<std::int64_t>("--val", o.val, -1, kMany);
  require_range<std::int64_t>("--image-size", o.photos.image_size, 0, 4096);
  require_range<std::int64_t>("--max-steps", o.max_steps, 0, kMany);
  require_range<std::int64_t>("--patience", o.patience, 0, kMany);
  require_range<std::int64_t>("--loader-threads", o.loader_threads, 1, 256);
  require_range<std::int64_t>("--log-every", o.log_every, 1, kMany);
  for (const double weight : o.exit_weights) require_range("--exit-weights", weight, 0.0, kLarge);
  if (o.init.empty() && (!o.weights.from.empty() || o.weights.strict || o.weights.replace_head))
    throw ConfigError("[train] --from, --strict and --replace-head are about weights; give --init");
  if (o.patience > 0 && o.val == 0)
    throw ConfigError("[train] --patience needs validation images; give --val above 0");
}

std::string to_toml(const TrainOptions& o) {
  const RecipeOptions& h = o.hyper;
  std::string text = "[train]\n";
  const auto put = [&](const char* key, const auto& value) {
    text += fmt::format("{} = {}\n", key, value);
  };
  const auto put_text = [&](const char* key, const std::string& value) {
    text += fmt::format("{} = \"{}\"\n", key, value);
  };
  put_text("net", o.network.name);
  put("classes", o.network.classes);
  put("exits", o.network.early_exits);
  if (!o.network.options.empty())
    put("option", fmt::format("[\"{}\"]", fmt::join(to_lines(o.network.options), "\", \"")));
  put_text("data", o.data);
  put_text("out", o.out.string());
  put_text("recipe", o.recipe);
  put("epochs", h.epochs);
  put("batch", h.batch);
  put_text("schedule", h.schedule);
  put("lr", h.rate);
  put("end-lr", h.end_rate);
  put("warmup-epochs", h.warmup_epochs);
  put("decay-epochs", h.decay_epochs);
  if (!h.drop_epochs.empty())
    put("drop-epochs", fmt::format("[{}]", fmt::join(h.drop_epochs, ",")));
  put("drop-factor", h.drop_factor);
  put("momentum", h.momentum);
  put("nesterov", h.nesterov);
  put("weight-decay", h.weight_decay);
  put("decay-norm-and-bias", h.decay_norm_and_bias);
  put("label-smoothing", h.label_smoothing);
  put("clip-norm", h.clip_norm);
  put("ema", h.ema_decay);
  put_text("augment", h.augment);
  if (!o.exit_weights.empty())
    put("exit-weights", fmt::format("[{}]", fmt::join(o.exit_weights, ",")));
  put("val", o.val);
  const PhotoFlags& photos = o.photos;
  if (photos.image_size > 0) put("image-size", photos.image_size);
  if (photos.split != "clean") put_text("split", photos.split);
  if (!photos.test_list.empty()) put_text("test-list", photos.test_list);
  if (!photos.cache.empty()) put_text("cache", photos.cache);
  if (photos.skip_corrupt) put("skip-corrupt", true);
  put("seed", o.seed);
  put("threads", o.threads);
  put("loader-threads", o.loader_threads);
  put("shuffle", o.shuffle);
  put("max-steps", o.max_steps);
  put("patience", o.patience);
  if (!o.init.empty()) put_text("init", o.init);
  const WeightFlags& weights = o.weights;
  if (!weights.from.empty()) put_text("from", weights.from);
  if (!weights.normalize.empty()) put_text("normalize", weights.normalize);
  if (weights.strict) put("strict", true);
  if (weights.replace_head) put("replace-head", true);
  put("checkpoint-seconds", o.checkpoint_seconds);
  put("log-every", o.log_every);
  return text;
}

}  // namespace branchy
