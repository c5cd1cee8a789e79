#include "train/train_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <type_traits>
#include <utility>

#include "core/error.h"
#include "layers/network_options.h"
#include "train/flag_range.h"

namespace branchy {

DataOptions data_options(const TrainOptions& o) {
  return {.val_count = o.val,
          .seed = static_cast<std::uint64_t>(o.seed),
          .folder = {.side = o.photos.image_size,
                     .preset = parse_augmentation_name(o.hyper.augment),
                     .cache = o.photos.cache},
          .split = parse_split_mode(o.photos.split),
          .test_list = o.photos.test_list,
          .skip_corrupt = o.photos.skip_corrupt,
          .threads = o.loader_threads};
}

void validate(const TrainOptions& o) {
  if (o.data.empty())
    throw ConfigError("[train] no data; give --data cifar10:DIR, cifar100:DIR or folder:DIR");
  validate(o.hyper);
  constexpr std::int64_t kLargestImage = 4096;
  constexpr std::int64_t kManyThreads = 256;
  require_range("--checkpoint-seconds", o.checkpoint_seconds, 0.0, kLargeFlag);
  require_range("--val", o.val, -1, kManyOfAFlag);
  require_range("--image-size", o.photos.image_size, 0, kLargestImage);
  require_range("--max-steps", o.max_steps, 0, kManyOfAFlag);
  require_range("--loader-threads", o.loader_threads, 1, kManyThreads);
  require_range("--log-every", o.log_every, 1, kManyOfAFlag);
  require_range("--feature-memory-mib", o.finetune.feature_memory_mib, 0, kManyOfAFlag);
  for (const double weight : o.exit_weights)
    require_range("--exit-weights", weight, 0.0, kLargeFlag);
  const WeightFlags& weights = o.weights;
  if (o.init.empty() && (!weights.family.empty() || weights.strict || weights.replace_head))
    throw ConfigError(
        "[train] --family, --strict and --replace-head are about weights; give --init");
  if (o.hyper.patience > 0 && o.val == 0)
    throw ConfigError("[train] --patience needs validation images; give --val above 0");
}

namespace {

/// In quotes, as the reader of configuration files takes it; it knows no escapes.
std::string quoted(const std::string& key, const std::string& text) {
  const bool has_double = text.find('"') != std::string::npos;
  if (text.find('\n') != std::string::npos || (has_double && text.find('\'') != std::string::npos))
    throw ConfigError(fmt::format(
        "[train] --{} holds a line break or quotes of both kinds, which config.toml cannot; rename "
        "the file or folder",
        key));
  return has_double ? fmt::format("'{}'", text) : fmt::format("\"{}\"", text);
}

/// Writes keys and values under a section, as add_config_file() reads them back.
class TomlText {
 public:
  explicit TomlText(const std::string& section) : text_("[" + section + "]\n") {}

  template <typename Value>
  void put(const std::string& key, const Value& value) {
    if constexpr (std::is_convertible_v<Value, std::string>)
      text_ += fmt::format("{} = {}\n", key, quoted(key, value));
    else
      text_ += fmt::format("{} = {}\n", key, value);
  }
  void put_list(const std::string& key, const std::vector<double>& values) {
    if (!values.empty()) text_ += fmt::format("{} = [{}]\n", key, fmt::join(values, ","));
  }
  void put_list(const std::string& key, const std::vector<std::string>& values) {
    std::vector<std::string> items;
    items.reserve(values.size());
    for (const std::string& value : values) items.push_back(quoted(key, value));
    if (!items.empty()) text_ += fmt::format("{} = [{}]\n", key, fmt::join(items, ", "));
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

void put_recipe(TomlText& toml, const RecipeOptions& h) {
  toml.put("epochs", h.epochs);
  toml.put("batch", h.batch);
  toml.put("optimizer", h.optimizer);
  toml.put("schedule", h.schedule);
  toml.put("lr", h.rate);
  for (const auto& [name, group] :
       {std::pair{"backbone", h.backbone}, {"exits", h.exits}, {"classifier", h.classifier}}) {
    // Also where they say "the recipe's": another recipe would put its own in their place.
    toml.put(fmt::format("lr-{}", name), group.rate);
    toml.put(fmt::format("weight-decay-{}", name), group.weight_decay);
  }
  toml.put("end-lr", h.end_rate);
  toml.put("warmup-epochs", h.warmup_epochs);
  toml.put("decay-epochs", h.decay_epochs);
  toml.put_list("drop-epochs", h.drop_epochs);
  toml.put("drop-factor", h.drop_factor);
  toml.put("rate-by-epoch", h.rate_by_epoch);
  toml.put("momentum", h.momentum);
  toml.put("nesterov", h.nesterov);
  toml.put("beta1", h.beta1);
  toml.put("beta2", h.beta2);
  toml.put("epsilon", h.epsilon);
  toml.put("weight-decay", h.weight_decay);
  toml.put("decay-norm-and-bias", h.decay_norm_and_bias);
  toml.put("label-smoothing", h.label_smoothing);
  toml.put("clip-norm", h.clip_norm);
  toml.put("ema", h.ema_decay);
  toml.put("augment", h.augment);
  toml.put("weighting", h.weighting);
  toml.put("distill", h.distill);
  toml.put("distill-temperature", h.distill_temperature);
  toml.put("patience", h.patience);
}

void put_weights(TomlText& toml, const TrainOptions& o) {
  const bool finetune = o.verb == "finetune";
  if (!o.init.empty()) toml.put(finetune ? "from" : "init", o.init);
  const WeightFlags& weights = o.weights;
  if (!weights.family.empty()) toml.put("family", weights.family);
  if (!weights.normalize.empty()) toml.put("normalize", weights.normalize);
  if (weights.strict) toml.put("strict", true);
  if (weights.replace_head) toml.put("replace-head", true);
  if (!finetune) return;
  toml.put_list("freeze", o.finetune.freeze);
  toml.put("cache-features", o.finetune.cache_features);
  toml.put("feature-memory-mib", o.finetune.feature_memory_mib);
}

void put_photos(TomlText& toml, const PhotoFlags& photos) {
  if (photos.image_size > 0) toml.put("image-size", photos.image_size);
  if (photos.split != "clean") toml.put("split", photos.split);
  if (!photos.test_list.empty()) toml.put("test-list", photos.test_list);
  if (!photos.cache.empty()) toml.put("cache", photos.cache);
  if (photos.skip_corrupt) toml.put("skip-corrupt", true);
}

}  // namespace

std::string to_toml(const TrainOptions& o) {
  TomlText toml(o.verb);
  toml.put("net", o.network.name);
  toml.put("classes", o.network.classes);
  toml.put("exits", o.network.early_exits);
  toml.put_list("option", to_lines(o.network.options));
  toml.put("data", o.data);
  toml.put("out", o.out.string());
  toml.put("recipe", o.recipe);
  put_recipe(toml, o.hyper);
  put_weights(toml, o);
  toml.put_list("exit-weights", o.exit_weights);
  toml.put("val", o.val);
  put_photos(toml, o.photos);
  toml.put("seed", o.seed);
  toml.put("threads", o.threads);
  toml.put("loader-threads", o.loader_threads);
  toml.put("tuning", o.tuning);
  toml.put("shuffle", o.shuffle);
  toml.put("max-steps", o.max_steps);
  toml.put("checkpoint-seconds", o.checkpoint_seconds);
  toml.put("log-every", o.log_every);
  return toml.text();
}

}  // namespace branchy
