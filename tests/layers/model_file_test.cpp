#include "layers/model_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>

#include "core/error.h"
#include "layers/models/registry.h"
#include "tests/support/expect_error.h"
#include "tests/support/reference_ops.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

class ModelFile : public ::testing::Test {
 protected:
  ModelFile() : network_(make_network(info_.config, rng_)) {
    info_.part = network_->whole();
    info_.class_names = {"bird", "boat", "sea cow"};
    info_.mean = {0.1F, 0.2F, 0.3F};
    info_.std = {0.4F, 0.5F, 0.6F};
    info_.val_count = 77;
    info_.val_seed = 18446744073709551615ULL;
    std::uint64_t seed = 0;
    for (const StateEntry& entry : network_->state()) {
      if (!entry.is_buffer) continue;
      Tensor& buffer = entry.variable->mutable_value();
      buffer.copy_from(test::random_tensor(buffer.shape(), ++seed));
    }
  }

  static ModelInfo described() {
    ModelInfo info;
    info.config = {.name = "resnet44", .classes = 3, .early_exits = 2};
    return info;
  }
  void save() { save_model(path_, *network_, info_); }
  /// Writes the model with its tensors and metadata changed by `change`.
  template <typename Change>
  void save_changed(const Change& change) {
    std::map<std::string, Tensor> tensors;
    for (const StateEntry& entry : network_->state(info_.part))
      tensors.emplace(entry.name, entry.variable->value());
    Metadata metadata = to_metadata(info_);
    change(tensors, metadata);
    write_safetensors(path_, tensors, metadata);
  }
  void expect_refused(std::initializer_list<std::string> texts) {
    test::expect_error<DataError>([this] { static_cast<void>(load_model(path_)); }, texts);
  }

  test::TemporaryDirectory directory_;
  std::filesystem::path path_ = directory_ / "model.safetensors";
  Rng rng_{3};
  ModelInfo info_ = described();
  std::unique_ptr<MultiExitNetwork> network_;
};

TEST_F(ModelFile, KeepsTheOptionsOfTheNetwork) {
  info_.config.options = {{"exit", "light"}, {"exit-after", "1,layer2.0"}};
  network_ = make_network(info_.config, rng_);
  info_.part = network_->whole();
  save();
  EXPECT_EQ(SafetensorsFile(path_).metadata().at("options"), "exit=light\nexit-after=1,layer2.0");
  const LoadedModel loaded = load_model(path_);
  EXPECT_EQ(loaded.info.config, info_.config);
  EXPECT_EQ(loaded.network->exit(2).after_block, 9);
}

TEST_F(ModelFile, WithoutOptionsIsAsBeforeThere) {
  EXPECT_FALSE(to_metadata(info_).contains("options"));
  save_changed([](auto&, Metadata& metadata) { metadata["options"] = "light"; });
  expect_refused({"options", "light", "KEY=VALUE"});
  save_changed([](auto&, Metadata& metadata) { metadata["options"] = "colour=red"; });
  expect_refused({"colour", "exit-after"});
}

TEST_F(ModelFile, SurvivesARoundTrip) {
  save();
  const LoadedModel loaded = load_model(path_);
  EXPECT_EQ(loaded.info.config, info_.config);
  EXPECT_EQ(loaded.info.part, info_.part);
  EXPECT_EQ(loaded.info.class_names, info_.class_names);
  EXPECT_EQ(loaded.info.mean, info_.mean);
  EXPECT_EQ(loaded.info.std, info_.std);
  EXPECT_EQ(loaded.info.val_count, info_.val_count);
  EXPECT_EQ(loaded.info.val_seed, info_.val_seed);
  const auto expected = network_->state();
  const auto actual = loaded.network->state();
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(actual[i].name, expected[i].name);
    EXPECT_EQ(test::relative_error(actual[i].variable->value(), expected[i].variable->value()), 0.0)
        << actual[i].name;
  }
}

TEST_F(ModelFile, KeepsTheTwoSidesOfASplitApart) {
  const NetworkPart whole = network_->whole();
  const std::int64_t cut = network_->blocks_through("layer2.0");
  info_.cut = "layer2.0";
  info_.part = {.first_block = 0, .end_block = cut, .first_exit = 1, .last_exit = 2};
  save();
  const LoadedModel device = load_model(path_);
  EXPECT_EQ(device.info.cut, "layer2.0");
  EXPECT_EQ(device.info.part, info_.part);
  const std::size_t on_device = SafetensorsFile(path_).entries().size();

  info_.part = {.first_block = cut, .end_block = whole.end_block, .first_exit = 3, .last_exit = 3};
  save();
  static_cast<void>(load_model(path_));
  const SafetensorsFile server(path_);
  EXPECT_FALSE(server.contains("conv1.weight"));
  EXPECT_FALSE(server.contains("exits.1.fc.weight"));
  EXPECT_TRUE(server.contains("fc.weight"));
  EXPECT_EQ(on_device + server.entries().size(), network_->state().size());
}

TEST_F(ModelFile, NamesMissingTensors) {
  save_changed([](auto& tensors, auto&) {
    tensors.erase("layer1.3.conv2.weight");
    tensors.erase("fc.bias");
  });
  expect_refused({path_.string(), "2 tensors missing", "layer1.3.conv2.weight", "fc.bias"});
}

TEST_F(ModelFile, NamesSurplusTensors) {
  save_changed([](auto& tensors, auto&) { tensors.emplace("fc.extra", Tensor::zeros(Shape{2})); });
  expect_refused({"1 surplus", "fc.extra"});
}

TEST_F(ModelFile, NamesTensorsOfAnotherShape) {
  save_changed([](auto& tensors, auto&) {
    tensors.insert_or_assign("fc.weight", Tensor::zeros(Shape{4, 64}));
  });
  expect_refused({"fc.weight", "[4,64]", "[3,64]"});
}

TEST_F(ModelFile, RefusesForeignAndDamagedFiles) {
  std::ofstream(path_) << "this is not a model file at all, but it is long enough";
  test::expect_error<DataError>([this] { static_cast<void>(load_model(path_)); }, {path_.string()});
  write_safetensors(path_, {{"w", Tensor::zeros(Shape{2})}}, {});
  expect_refused({path_.string(), "'format'", "missing"});
  test::expect_error<IoError>(
      [this] { static_cast<void>(load_model(directory_ / "absent.safetensors")); }, {"absent"});
}

struct BadValue {
  std::string key, value;
};

class ModelFileMetadata : public ModelFile, public ::testing::WithParamInterface<BadValue> {};

TEST_P(ModelFileMetadata, NamesTheKeyThatIsWrong) {
  const BadValue& bad = GetParam();
  save_changed([&](auto&, Metadata& metadata) { metadata[bad.key] = bad.value; });
  expect_refused({path_.string(), "'" + bad.key + "'"});
  save_changed([&](auto&, Metadata& metadata) { metadata.erase(bad.key); });
  expect_refused({path_.string(), "'" + bad.key + "'", "missing"});
}

INSTANTIATE_TEST_SUITE_P(
    Keys, ModelFileMetadata,
    ::testing::Values(BadValue{"format", "branchy-9"}, BadValue{"classes", "1"},
                      BadValue{"classes", "three"}, BadValue{"early_exits", "-1"},
                      BadValue{"part.first_exit", "0"}, BadValue{"part.end_block", "1e9"},
                      BadValue{"class_names", "bird\nboat"}, BadValue{"normalize.mean", "0.1,0.2"},
                      BadValue{"normalize.mean", "0.1,nan,0.3"},
                      BadValue{"normalize.std", "0.4,0,0.6"},
                      BadValue{"normalize.std", "0.4,inf,0.6"}, BadValue{"val.count", "many"},
                      BadValue{"classes", "3\n\x1b[2J"}, BadValue{"val.seed", "12x"}),
    [](const auto& test_case) {
      std::string name = test_case.param.key + std::to_string(test_case.index);
      for (char& letter : name)
        if (letter == '.') letter = '_';
      return name;
    });

TEST_F(ModelFile, RefusesMoreClassesThanItsTensorsCanHold) {
  save();
  std::map<std::string, Tensor> tensors;
  const SafetensorsFile file(path_);
  for (const auto& [name, entry] : file.entries()) tensors.emplace(name, file.tensor(name));
  Metadata metadata = file.metadata();
  metadata["classes"] = "1000000";
  metadata["class_names"] = "";
  write_safetensors(path_, tensors, metadata);
  test::expect_error<DataError>([&] { (void)load_model(path_); },
                                {path_.string(), "'classes' is 1000000", "cannot be those"});
}

TEST_F(ModelFile, RefusesPartsThatTheNetworkDoesNotHave) {
  save_changed([](auto&, Metadata& metadata) { metadata["part.end_block"] = "23"; });
  expect_refused({path_.string(), "23", "22 blocks"});
  save_changed([](auto&, Metadata& metadata) { metadata["network"] = "lenet9"; });
  expect_refused({path_.string(), "lenet9"});
  save_changed([](auto&, Metadata& metadata) { metadata["early_exits"] = "1"; });
  expect_refused({path_.string(), "early exits"});
}

}  // namespace
}  // namespace branchy
