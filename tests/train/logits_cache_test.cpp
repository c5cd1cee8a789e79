// The logits cache file: what it keeps, and that damaged or foreign ones are refused by name.
#include "train/logits_cache.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/safetensors.h"
#include "layers/models/registry.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"
#include "tests/train/stored_samples.h"

namespace branchy {
namespace {

using test::expect_error;

class LogitsCacheFile : public ::testing::Test {
 protected:
  static LogitsCache cache() {
    LogitsCache cache = test::make_cache({{{0, 0.5}, {1, 0.6}, {2, 0.7}},
                                          {{1, 0.3}, {1, 0.8}, {1, 0.9}},
                                          {{2, 0.9}, {0, 0.4}, {0, 0.6}}},
                                         3, {.trunk = {10, 20, 30}, .exit = {1, 2, 3}});
    cache.labels = {0, 1, 2};
    cache.indices = {4, 0, 9};
    cache.scores = Tensor::from({3, 2}, std::vector<float>{0, 0.5F, 1, 0.25F, 0.125F, 0.75F});
    cache.predictor_digest = "ef56";
    cache.costs.predictor = 7;
    cache.costs.feature_bytes = 4096;
    cache.temperatures = {1.5F, 0.75F, 1.0F};
    cache.class_names = {"bird", "boat", "sea cow"};
    return cache;
  }

  void save_changed(const std::function<void(std::map<std::string, Tensor>&, Metadata&)>& change) {
    save_logits(path_, cache());
    std::map<std::string, Tensor> tensors;
    Metadata metadata;
    {
      const SafetensorsFile file(path_);
      metadata = file.metadata();
      for (const auto& [name, entry] : file.entries()) tensors.emplace(name, file.tensor(name));
    }
    change(tensors, metadata);
    write_safetensors(path_, tensors, metadata);
  }
  void expect_tensor_refused(const std::string& name, Tensor tensor,
                             std::initializer_list<std::string> texts) {
    save_changed([&](auto& tensors, Metadata&) { tensors[name] = std::move(tensor); });
    expect_error<DataError>([this] { static_cast<void>(load_logits(path_)); }, texts);
  }
  void expect_value_refused(const std::string& key, const std::string& value) {
    save_changed([&](auto&, Metadata& metadata) { metadata[key] = value; });
    expect_error<DataError>([this] { static_cast<void>(load_logits(path_)); },
                            {path_.string(), "'" + key + "'"});
  }

  test::TemporaryDirectory folder_;
  std::filesystem::path path_ = folder_ / "logits.safetensors";
};

void expect_same_values(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape());
  for (std::size_t i = 0; i < a.data().size(); ++i) EXPECT_EQ(a.data()[i], b.data()[i]);
}

TEST_F(LogitsCacheFile, KeepsEverything) {
  const LogitsCache saved = cache();
  save_logits(path_, saved);
  const LogitsCache loaded = load_logits(path_);
  ASSERT_EQ(loaded.num_exits(), 3);
  EXPECT_EQ(loaded.num_samples(), 3);
  EXPECT_EQ(loaded.num_classes(), 3);
  for (std::size_t i = 0; i < 3; ++i) expect_same_values(loaded.logits[i], saved.logits[i]);
  expect_same_values(loaded.scores, saved.scores);
  EXPECT_EQ(loaded.labels, saved.labels);
  EXPECT_EQ(loaded.indices, saved.indices);
  EXPECT_EQ(loaded.costs.trunk, saved.costs.trunk);
  EXPECT_EQ(loaded.costs.exit, saved.costs.exit);
  EXPECT_EQ(loaded.costs.predictor, 7);
  EXPECT_EQ(loaded.costs.feature_bytes, 4096);
  EXPECT_EQ(loaded.temperatures, saved.temperatures);
  EXPECT_EQ(loaded.class_names, saved.class_names);
  EXPECT_EQ(loaded.network, saved.network);
  EXPECT_EQ(loaded.model_digest, saved.model_digest);
  EXPECT_EQ(loaded.predictor_digest, saved.predictor_digest);
  EXPECT_EQ(loaded.data, saved.data);
  EXPECT_EQ(loaded.data_checksum, saved.data_checksum);
  EXPECT_EQ(loaded.part, saved.part);
  EXPECT_FALSE(SafetensorsFile(path_).metadata().at("provenance.commit").empty());
}

TEST_F(LogitsCacheFile, KeepsOneWithoutPredictorNamesAndTemperatures) {
  LogitsCache plain = cache();
  plain.scores = {};
  plain.predictor_digest = "";
  plain.class_names.clear();
  plain.temperatures.clear();
  save_logits(path_, plain);
  const LogitsCache loaded = load_logits(path_);
  EXPECT_FALSE(loaded.scores.defined());
  EXPECT_TRUE(loaded.class_names.empty());
  EXPECT_TRUE(loaded.temperatures.empty());
}

TEST_F(LogitsCacheFile, RefusesTruncatedFiles) {
  save_logits(path_, cache());
  const auto size = std::filesystem::file_size(path_);
  for (const auto left : {size - 1, size / 2, std::uintmax_t{9}, std::uintmax_t{0}}) {
    std::filesystem::resize_file(path_, left);
    expect_error<DataError>([this] { static_cast<void>(load_logits(path_)); }, {path_.string()});
  }
  expect_error<IoError>([this] { static_cast<void>(load_logits(folder_ / "absent")); }, {"absent"});
}

TEST_F(LogitsCacheFile, RefusesFilesOfAnotherKind) {
  write_safetensors(path_, {{"logits.1", Tensor::zeros({2, 3})}}, {{"format", "pt"}});
  expect_error<DataError>([this] { static_cast<void>(load_logits(path_)); },
                          {path_.string(), "branchy infer-all"});
}

TEST_F(LogitsCacheFile, RefusesTensorsThatContradictEachOther) {
  expect_tensor_refused("logits.2", Tensor::zeros({3, 4}), {"logits.2", "[3,4]", "[3,3]"});
  expect_tensor_refused("logits.3", Tensor::zeros({2, 3}), {"logits.3", "[2,3]"});
  expect_tensor_refused("logits.1", Tensor::zeros({9}), {"logits.1", "[9]"});
  expect_tensor_refused("labels", Tensor::zeros({4}), {"4 labels", "3 rows"});
  expect_tensor_refused("indices", Tensor::zeros({2}), {"2 indices", "3 rows"});
  expect_tensor_refused("scores", Tensor::zeros({3, 3}), {"scores", "[3,3]", "[3,2]"});
  for (const char* name : {"logits.2", "labels", "indices"}) {
    save_changed([&](auto& tensors, Metadata&) { tensors.erase(name); });
    expect_error<DataError>([this] { static_cast<void>(load_logits(path_)); }, {name});
  }
}

TEST_F(LogitsCacheFile, RefusesValuesThatCannotBe) {
  const auto filled = [](const Shape& shape, float value) { return Tensor::full(shape, value); };
  const float inf = std::numeric_limits<float>::infinity();
  expect_tensor_refused("logits.2", filled({3, 3}, std::nanf("")), {"logits.2", "nan", "finite"});
  expect_tensor_refused("logits.1", filled({3, 3}, inf), {"logits.1", "inf"});
  expect_tensor_refused("scores", filled({3, 2}, std::nanf("")), {"scores", "nan"});
  expect_tensor_refused("scores", filled({3, 2}, 1.5F), {"scores", "1.5"});
  expect_tensor_refused("scores", filled({3, 2}, -0.5F), {"scores", "-0.5"});
  expect_tensor_refused("labels", filled({3}, 3.0F), {"labels", "holds 3", "0 to 2"});
  expect_tensor_refused("labels", filled({3}, -1.0F), {"labels", "-1"});
  expect_tensor_refused("labels", filled({3}, 0.5F), {"labels", "0.5"});
  expect_tensor_refused("labels", filled({3}, std::nanf("")), {"labels", "nan"});
}

TEST_F(LogitsCacheFile, NamesTheKeyThatIsWrong) {
  expect_value_refused("exits", "0");
  expect_value_refused("exits", "x");
  expect_value_refused("costs.trunk", "10,20");
  expect_value_refused("costs.trunk", "10,20,x");
  expect_value_refused("costs.trunk", "10,20,-1");
  expect_value_refused("costs.exit", "1,2,3x");
  expect_value_refused("costs.predictor", "-7");
  expect_value_refused("costs.feature_bytes", "");
  expect_value_refused("temperatures", "1,2");
  expect_value_refused("temperatures", "1,0,1");
  expect_value_refused("temperatures", "1,nan,1");
  expect_value_refused("class_names", "bird\nboat");
  for (const char* key : {"model", "predictor", "data", "data.checksum", "data.part"}) {
    save_changed([&](auto&, Metadata& metadata) { metadata.erase(key); });
    expect_error<DataError>([this] { static_cast<void>(load_logits(path_)); }, {key, "missing"});
  }
}

TEST(ModelDigest, CoversWeightsAndNormalisationButNotTemperaturesAndRecords) {
  const auto model = [] {
    Rng rng(3);
    LoadedModel made;
    made.info.config = {
        .name = "cnn9", .early_exits = 1, .options = {{"widths", "2,2,2"}, {"exit-after", "4"}}};
    made.info.mean = {0.5F, 0.5F, 0.5F};
    made.info.std = {0.25F, 0.25F, 0.25F};
    made.network = make_network(made.info.config, rng);
    return made;
  };
  LoadedModel first = model();
  const std::string digest = model_digest(first);
  first.info.temperatures = {2.0F, 3.0F};
  first.info.records["policy.text"] = "fixed:1";
  EXPECT_EQ(model_digest(first), digest);
  LogitsCache cache;
  cache.model_digest = digest;
  require_same_model(cache, "cache", first);
  first.info.mean[1] = 0.4F;
  EXPECT_NE(model_digest(first), digest);
  LoadedModel second = model();
  second.network->state().front().variable->mutable_value().mutable_data()[0] += 1.0F;
  expect_error<DataError>([&] { require_same_model(cache, "cache", second); },
                          {"[cache]", digest.substr(0, 12), "infer-all"});
}

}  // namespace
}  // namespace branchy
