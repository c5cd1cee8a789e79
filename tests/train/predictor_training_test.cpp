// Exit predictors from labels to weights.
#include "train/predictor_training.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "core/error.h"
#include "data/augmented_views.h"
#include "layers/models/registry.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"
#include "train/confidence_cache.h"
#include "train/logits_cache.h"
#include "train/predictor_data.h"
#include "train/predictor_quality.h"

namespace branchy {
namespace {

/// Noise whose red and green planes are bright or dark: two facts that a predictor can learn.
class Planes final : public Dataset {
 public:
  Planes(std::int64_t size, std::uint64_t seed) : size_(size), seed_(seed) {}
  [[nodiscard]] std::int64_t size() const override { return size_; }
  [[nodiscard]] Shape image_shape() const override { return {3, 32, 32}; }
  [[nodiscard]] const std::vector<std::string>& class_names() const override { return names_; }
  [[nodiscard]] std::int64_t label(std::int64_t index) const override { return index % 2; }
  void read(std::int64_t index, std::span<std::uint8_t> pixels) const override {
    Rng rng({seed_, static_cast<std::uint64_t>(index)});
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      const std::size_t plane = i / 1024;
      const std::int64_t light = plane < 2 && is_bright(index, plane) ? 60 : 0;
      pixels[i] = static_cast<std::uint8_t>(light + rng.below(190));
    }
  }
  [[nodiscard]] std::string checksum() const override { return "planes"; }
  [[nodiscard]] Normalization normalization() const override {
    return {{0.4F, 0.4F, 0.4F}, {0.25F, 0.25F, 0.25F}};
  }
  [[nodiscard]] bool is_bright(std::int64_t index, std::size_t plane) const {
    return Rng({seed_ + 1, static_cast<std::uint64_t>(index), plane}).uniform() < 0.5F;
  }
  /// Confidence 0.99 where bright, else 0.3.
  [[nodiscard]] Tensor confidences(std::int64_t views) const {
    Tensor table(Shape{views * size_, 2});
    const auto values = table.mutable_data();
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = is_bright(static_cast<std::int64_t>(i / 2) % size_, i % 2) ? 0.99F : 0.3F;
    return table;
  }

 private:
  std::int64_t size_;
  std::uint64_t seed_;
  std::vector<std::string> names_{"a", "b"};
};

/// CNN-9 with narrow blocks and exits behind blocks 2 and 4.
LoadedModel small_model(std::uint64_t seed = 1) {
  Rng rng(seed);
  LoadedModel model;
  model.network = make_network({.name = "cnn9",
                                .classes = 3,
                                .early_exits = kDefaultExits,
                                .options = {{"widths", "8,8,8"}, {"exit-after", "2,4"}}},
                               rng);
  model.info.config = model.network->config();
  model.info.part = model.network->whole();
  model.info.mean = {0.4F, 0.4F, 0.4F};
  model.info.std = {0.25F, 0.25F, 0.25F};
  return model;
}

const std::vector<float> kThresholds{0.9F, 0.9F};

std::vector<std::int64_t> all_of(const Dataset& data) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(data.size()));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

bool always(double /*share*/) { return true; }

TEST(PredictorTargets, AreEquationNine) {
  const Tensor confidences =
      Tensor::from(Shape{3, 2}, std::vector<float>{0.9F, 0.84F, 0.8999F, 0.85F, 1.0F, 0.1F});
  const Tensor targets = predictor_targets(confidences, std::vector<float>{0.9F, 0.85F});
  EXPECT_TRUE(std::ranges::equal(targets.data(), std::vector<float>{1, 0, 0, 1, 1, 0}))
      << "equality counts";
}

// Softmax in double of the training graph's logits, on the view that the predictor sees.
TEST(Confidences, AreThoseOfTheFrozenNetworkOnTheSameViews) {
  LoadedModel model = small_model();
  model.info.temperatures = {2.0F, 0.5F, 1.0F};
  const auto views = std::make_shared<AugmentedViews>(std::make_shared<Planes>(7, 1),
                                                      ViewOptions{.views = 2, .seed = 4});
  const auto confidences = compute_confidences(model, views, always);
  ASSERT_TRUE(confidences.has_value());
  ASSERT_EQ(confidences->shape(), (Shape{14, 2}));
  const NoGradGuard guard;
  for (std::int64_t row = 0; row < views->size(); ++row) {
    std::vector<std::uint8_t> pixels(3072);
    views->read(row, pixels);
    Tensor image(Shape{1, 3, 32, 32});
    normalize({model.info.mean, model.info.std}, pixels, image.mutable_data());
    const auto logits = model.network->forward(Variable(image), {.mode = Mode::kEval});
    for (std::int64_t exit = 1; exit <= 2; ++exit) {
      const auto values = logits[static_cast<std::size_t>(exit - 1)].value().data();
      const double temperature = static_cast<double>(model.info.temperature(exit));
      const double most = static_cast<double>(*std::max_element(values.begin(), values.end()));
      double sum = 0.0;
      for (const float value : values)
        sum += std::exp((static_cast<double>(value) - most) / temperature);
      EXPECT_NEAR(confidences->data()[static_cast<std::size_t>(2 * row + exit - 1)], 1.0 / sum,
                  1e-5);
    }
  }
  EXPECT_FALSE(compute_confidences(model, views, [](double) { return false; }).has_value());
}

TEST(Confidences, AStaleCacheIsRefused) {
  const test::TemporaryDirectory folder;
  const auto path = folder / "cache";
  const ConfidenceOrigin origin{.model_digest = "abc",
                                .temperatures = {1.0F, 1.5F},
                                .data_checksum = "def",
                                .part = "train",
                                .images = 3,
                                .views = {.views = 2, .seed = 1}};
  Tensor values = Tensor::full(Shape{6, 2}, 0.5F);
  values.mutable_data()[3] = 0.25F;
  save_confidences(path, {.origin = origin, .confidences = values});
  EXPECT_TRUE(std::ranges::equal(load_confidences(path, origin).confidences.data(), values.data()));
  const auto refuses = [&](const ConfidenceOrigin& other, const std::string& what) {
    test::expect_error<DataError>([&] { static_cast<void>(load_confidences(path, other)); },
                                  {path.string(), what, "--cache"});
  };
  ConfidenceOrigin other = origin;
  other.model_digest = "abd";
  refuses(other, "model 'abc', now it is 'abd'");
  other = origin;
  other.temperatures[1] = 1.0F;
  refuses(other, "temperatures");
  other = origin;
  other.data_checksum = "xyz";
  refuses(other, "data.checksum");
  other = origin;
  other.part = "val";
  refuses(other, "data.part");
  other = origin;
  other.views.seed = 2;
  refuses(other, "seed");
  other = origin;
  other.views.views = 3;
  refuses(other, "views");
  other = origin;
  other.views.augmentation = Augmentation::kPacheco;
  refuses(other, "augmentation");
  values.mutable_data()[0] = 1.5F;
  save_confidences(path, {.origin = origin, .confidences = values});
  test::expect_error<DataError>([&] { static_cast<void>(load_confidences(path, origin)); },
                                {"1.5", "0 to 1"});
  save_confidences(path, {.origin = origin, .confidences = Tensor::zeros(Shape{5, 2})});
  test::expect_error<DataError>([&] { static_cast<void>(load_confidences(path, origin)); },
                                {"[5,2]", "[6,2]"});
}

/// BCE and AUROC of `predictor` on new images.
std::vector<PredictorQuality> quality_on_new(MultiExitNetwork& predictor, const LoadedModel& model,
                                             std::int64_t reads_after) {
  const auto images = std::make_shared<Planes>(128, 77);
  PredictorInput input(*model.network, reads_after);
  Loader loader(images, {.batch = 128, .normalization = images->normalization()});
  loader.start_epoch(0);
  const auto batch = loader.next();
  const NoGradGuard guard;
  const Variable read(input.of(batch->images));
  Tensor scores = predictor.forward(read, {.mode = Mode::kEval}).front().value().clone();
  for (float& score : scores.mutable_data()) score = 1.0F / (1.0F + std::exp(-score));
  return predictor_quality(scores, predictor_targets(images->confidences(1), kThresholds));
}

TEST(PredictorTraining, LowersTheLossAndSeparates) {
  const LoadedModel model = small_model();
  const auto images = std::make_shared<Planes>(320, 1);
  const auto views = std::make_shared<AugmentedViews>(images, ViewOptions{.views = 2, .seed = 3});
  const Tensor targets = predictor_targets(images->confidences(2), kThresholds);
  for (const std::string kind : {"plain", "feature"}) {
    const std::int64_t reads_after = kind == "feature" ? 1 : 0;
    const NetworkConfig config = predictor_config(*model.network, kind, reads_after);
    std::vector<std::string> bytes;
    for (int repeat = 0; repeat < 2; ++repeat) {
      Rng rng(9);
      const auto predictor = make_network(config, rng);
      const auto before = quality_on_new(*predictor, model, reads_after);
      PredictorSamples samples(*model.network, config, reads_after, views, all_of(*views),
                               {.batch = 32,
                                .seed = 1,
                                .normalization = images->normalization(),
                                .memory_limit = 1 << 30});
      RecipeOptions recipe = predictor_recipe(3);
      recipe.rate = 0.05;
      const auto losses =
          train_predictor(*predictor, samples, targets, recipe, [](const auto&) { return true; });
      ASSERT_TRUE(losses.has_value());
      ASSERT_EQ(losses->size(), 3U);
      EXPECT_LT(losses->back(), 0.5 * losses->front()) << kind;
      const auto after = quality_on_new(*predictor, model, reads_after);
      for (std::size_t exit = 0; exit < 2; ++exit) {
        EXPECT_LT(after[exit].cross_entropy, before[exit].cross_entropy) << kind;
        EXPECT_GT(after[exit].auroc, 0.98) << kind;
      }
      std::string state;
      for (const StateEntry& entry : predictor->state()) {
        const auto data = entry.variable->value().data();
        state.append(reinterpret_cast<const char*>(data.data()), data.size_bytes());
      }
      bytes.push_back(state);
    }
    EXPECT_EQ(bytes[0], bytes[1]) << kind << ": same seed, same weights";
  }
}

TEST(PredictorTraining, EndsWhenAsked) {
  const LoadedModel model = small_model();
  const auto images = std::make_shared<Planes>(64, 1);
  const NetworkConfig config = predictor_config(*model.network, "fc", 0);
  Rng rng(1);
  const auto predictor = make_network(config, rng);
  PredictorSamples samples(*model.network, config, 0, images, all_of(*images), {.batch = 32});
  int steps = 0;
  EXPECT_FALSE(train_predictor(*predictor, samples,
                               predictor_targets(images->confidences(1), kThresholds),
                               predictor_recipe(5), [&](const auto&) { return ++steps < 2; })
                   .has_value());
  EXPECT_EQ(steps, 2);
}

TEST(PredictorSamples, OfATrunkValueAreThePooledValueKeptOrNot) {
  const LoadedModel model = small_model();
  const auto images = std::make_shared<Planes>(10, 1);
  const NetworkConfig config = predictor_config(*model.network, "feature", 2);
  EXPECT_EQ(config.options.at("channels"), "8");
  const std::vector<std::int64_t> rows{9, 4, 2, 7};
  std::vector<std::vector<float>> seen;
  for (const std::int64_t limit : {0, 1 << 20}) {
    PredictorSamples samples(
        *model.network, config, 2, images, rows,
        {.batch = 4, .normalization = images->normalization(), .memory_limit = limit});
    ASSERT_TRUE(samples.prepare(always));
    samples.start_epoch(3);
    const auto batch = samples.next();
    ASSERT_TRUE(batch.has_value());
    ASSERT_EQ(batch->input.shape(), (Shape{4, 8, 16, 16}));
    EXPECT_EQ(samples.blocks_done(), 1);
    std::vector<std::int64_t> sorted = batch->rows;
    std::ranges::sort(sorted);
    EXPECT_EQ(sorted, (std::vector<std::int64_t>{2, 4, 7, 9}));
    seen.emplace_back(batch->input.data().begin(), batch->input.data().end());
    EXPECT_FALSE(samples.next().has_value());

    Tensor image(Shape{1, 3, 32, 32});
    std::vector<std::uint8_t> pixels(3072);
    images->read(batch->rows[0], pixels);
    normalize(images->normalization(), pixels, image.mutable_data());
    const NoGradGuard guard;
    Variable value(image);
    for (std::size_t block = 0; block < 2; ++block)
      value = model.network->blocks()[block].layer->forward(value, {.mode = Mode::kEval});
    for (std::size_t i = 0; i < 8 * 16 * 16; ++i) {
      const std::size_t corner = (i / 256) * 1024 + (i / 16 % 16) * 64 + 2 * (i % 16);
      const auto v = value.value().data();
      EXPECT_NEAR(seen.back()[i],
                  (v[corner] + v[corner + 1] + v[corner + 32] + v[corner + 33]) / 4.0F, 1e-4F);
    }
  }
  EXPECT_EQ(seen[0], seen[1]);
}

TEST(PredictorConfig, RefusesWhatCannotBeRead) {
  const LoadedModel model = small_model();
  test::expect_error<ConfigError>(
      [&] { static_cast<void>(predictor_config(*model.network, "ours", 1)); },
      {"--reads-after", "ours", "feature"});
  test::expect_error<ConfigError>(
      [&] { static_cast<void>(predictor_config(*model.network, "feature", 3)); },
      {"3 trunk blocks", "1 to 2"});
  Rng rng(1);
  const auto photos = make_network({.name = "mobilenet_v2", .classes = 3, .early_exits = 1}, rng);
  test::expect_error<ConfigError>([&] { static_cast<void>(predictor_config(*photos, "fc", 0)); },
                                  {"3x32x32", "224", "feature"});
  const auto config = predictor_config(*photos, "feature", 3);
  EXPECT_EQ(config.classes, 1);
  EXPECT_EQ(config.options.at("size"), "56");
  const auto plain = make_network({.name = "resnet44", .early_exits = 0}, rng);
  test::expect_error<ConfigError>([&] { static_cast<void>(predictor_config(*plain, "ours", 0)); },
                                  {"no early exit"});
}

TEST(PredictorData, MakesMoreViewsOfFewImages) {
  EXPECT_EQ(num_views(45000, Augmentation::kCropFlip), 2);
  EXPECT_EQ(num_views(5000, Augmentation::kCropFlip), 16);
  EXPECT_EQ(num_views(100, Augmentation::kCropFlip), 16);
  EXPECT_EQ(num_views(1000000, Augmentation::kCropFlip), 1);
  EXPECT_EQ(num_views(100, Augmentation::kNone), 1);
}

TEST(SelectionImages, AreThoseThatDidNotTrain) {
  const SelectionImages some{.count = 20, .seed = 3};
  EXPECT_EQ(SelectionImages::parse(some.text()).positions(100), some.positions(100));
  EXPECT_EQ(some.positions(100).size(), 20U);
  EXPECT_EQ(SelectionImages::parse("all").positions(5), (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
  for (const char* text : {"", "20", "0 of seed 1", "-1 of seed 1", "x of seed 1", "20 of seed y"})
    test::expect_error<DataError>([&] { static_cast<void>(SelectionImages::parse(text)); },
                                  {"selection"});
}

}  // namespace
}  // namespace branchy
