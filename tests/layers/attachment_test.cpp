// Networks, temperatures and records that travel in a model file.
#include "layers/attachment.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <string>

#include "core/error.h"
#include "layers/metadata_reader.h"
#include "layers/model_file.h"
#include "layers/models/registry.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using test::expect_error;

constexpr const char* kFirstTensor = "predictor.fc1.weight";

class AttachedNetworks : public ::testing::Test {
 protected:
  AttachedNetworks() {
    info_.config = {.name = "cnn9",
                    .classes = 3,
                    .early_exits = 2,
                    .options = {{"widths", "2,2,2"}, {"exit-after", "2,5"}}};
    info_.std = {1.0F, 1.0F, 1.0F};
    info_.temperatures = {1.5F, 0.75F, 1.0F};
    info_.records = {{"policy.text", "max-probability:0.9"},
                     {"predictor.reads_after", "0"},
                     {"codec.bits", "8"},
                     {"calibration.note", "two\nlines, = and \"quotes\""}};
    network_ = make_network(info_.config, rng_);
    info_.part = network_->whole();
    attachments_["predictor"] = whole_attachment(make_network(
        {.name = "exit_predictor", .classes = 2, .early_exits = 0, .options = {{"kind", "fc"}}},
        rng_));
    attachments_["codec"] = whole_attachment(
        make_network({.name = "feature_codec",
                      .early_exits = 0,
                      .options = {{"channels", "4"}, {"size", "8"}, {"code", "2"}}},
                     rng_));
  }

  void save() { save_model(path_, *network_, info_, attachments_); }
  void save_changed(const std::function<void(std::map<std::string, Tensor>&, Metadata&)>& change) {
    save();
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
  void expect_refused(std::initializer_list<std::string> texts) {
    expect_error<DataError>([this] { static_cast<void>(load_model(path_)); }, texts);
  }

  test::TemporaryDirectory folder_;
  std::filesystem::path path_ = folder_ / "model.safetensors";
  Rng rng_{3};
  ModelInfo info_;
  std::unique_ptr<MultiExitNetwork> network_;
  Attachments attachments_;
};

void expect_same_state(const Attachment& loaded, const Attachment& saved) {
  EXPECT_EQ(loaded.part, saved.part);
  EXPECT_EQ(loaded.network->config(), saved.network->config());
  const auto a = loaded.network->state(loaded.part);
  const auto b = saved.network->state(saved.part);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].name, b[i].name);
    const auto left = a[i].variable->value().data(), right = b[i].variable->value().data();
    ASSERT_EQ(left.size(), right.size());
    EXPECT_EQ(std::memcmp(left.data(), right.data(), left.size_bytes()), 0) << a[i].name;
  }
}

TEST_F(AttachedNetworks, TravelWithTemperaturesAndRecords) {
  save();
  const LoadedModel loaded = load_model(path_);
  EXPECT_EQ(loaded.info.temperatures, info_.temperatures);
  EXPECT_EQ(loaded.info.temperature(2), 0.75F);
  EXPECT_EQ(loaded.info.records, info_.records);
  ASSERT_EQ(loaded.attachments.size(), 2U);
  for (const char* name : {"predictor", "codec"})
    expect_same_state(loaded.attachments.at(name), attachments_.at(name));
}

TEST_F(AttachedNetworks, AreLeftOutOfFilesWithoutThem) {
  attachments_.clear();
  info_.temperatures.clear();
  info_.records.clear();
  save();
  const LoadedModel loaded = load_model(path_);
  EXPECT_TRUE(loaded.attachments.empty());
  EXPECT_TRUE(loaded.info.records.empty());
  EXPECT_EQ(loaded.info.temperature(3), 1.0F);
  const SafetensorsFile file(path_);
  for (const auto& [key, value] : file.metadata())
    EXPECT_FALSE(key.starts_with("predictor") || key.starts_with("temp")) << key;
}

TEST_F(AttachedNetworks, MayHoldOneSideOnly) {
  Attachment& codec = attachments_["codec"];
  codec.part = {.first_block = 0, .end_block = 1, .first_exit = 1, .last_exit = 0};
  save();
  const SafetensorsFile file(path_);
  for (const auto& [name, entry] : file.entries())
    EXPECT_FALSE(name.starts_with("codec.decoder")) << name;
  expect_same_state(load_model(path_).attachments.at("codec"), codec);
}

TEST_F(AttachedNetworks, RefuseTensorsThatAreMissingSurplusOrOfAnotherShape) {
  save_changed([](auto& tensors, Metadata&) { ASSERT_EQ(tensors.erase(kFirstTensor), 1U); });
  expect_refused({path_.string(), "1 tensors missing", kFirstTensor});
  save_changed([](auto& tensors, Metadata&) { tensors["predictor.x"] = Tensor::zeros({1}); });
  expect_refused({path_.string(), "1 surplus tensors", "predictor.x"});
  save_changed([](auto& tensors, Metadata&) { tensors[kFirstTensor] = Tensor::zeros({2, 2}); });
  expect_refused({path_.string(), kFirstTensor, "[2,2]"});
}

TEST_F(AttachedNetworks, RefuseNetworksAndPartsThatCannotBe) {
  const auto refuse_value = [&](const std::string& key, const std::string& value,
                                std::initializer_list<std::string> texts) {
    save_changed([&](auto&, Metadata& metadata) { metadata[key] = value; });
    expect_refused(texts);
  };
  refuse_value("predictor.network", "resnet9000", {"predictor.network", "cannot be built"});
  refuse_value("predictor.classes", "0", {"'predictor.classes'", "'0'"});
  refuse_value("predictor.options", "kind=magic", {"predictor.network", "magic"});
  refuse_value("predictor.options", "kind", {"predictor.options"});
  refuse_value("codec.part.end_block", "2", {"codec.part.end_block", "outside"});
  refuse_value("codec.part.first_exit", "3", {"codec.part", "outside"});
  refuse_value("codec.part.last_exit", "many", {"codec.part.last_exit", "'many'"});
  save_changed([](auto&, Metadata& metadata) { metadata.erase("codec.part.first_block"); });
  expect_refused({"codec.part.first_block", "missing"});
}

TEST_F(AttachedNetworks, RefuseTemperaturesThatCannotBe) {
  for (const char* value : {"1,2", "1,2,3,4", "1,0,1", "1,-2,1", "1,nan,1", "1,inf,1", "a,b,c"}) {
    save_changed([&](auto&, Metadata& metadata) { metadata["temperatures"] = value; });
    expect_refused({path_.string(), "'temperatures'"});
  }
}

TEST(RecordKeys, AreThoseOfTheFeaturesButNotOfTheirNetworks) {
  for (const char* key : {"policy.text", "calibration.method", "adapt.table", "codec.bits",
                          "predictor.gamma", "predictor.device_digest"})
    EXPECT_TRUE(is_record_key(key)) << key;
  for (const char* key : {"predictor.network", "codec.part.last_exit", "predictor.options",
                          "classes", "policies.text", "policy"})
    EXPECT_FALSE(is_record_key(key)) << key;
  EXPECT_TRUE(is_attachment_tensor("codec.encoder.conv.weight"));
  EXPECT_FALSE(is_attachment_tensor("codecs.weight"));
  EXPECT_FALSE(is_attachment_tensor("predictor"));
}

class MetadataReaderTest : public ::testing::Test {
 protected:
  void expect_refused(const std::function<void(const MetadataReader&)>& read,
                      std::initializer_list<std::string> texts) {
    expect_error<DataError>([&] { read(reader_); }, texts);
  }
  static std::filesystem::path write(const std::filesystem::path& path) {
    write_safetensors(path, {{"x", Tensor::zeros({1})}},
                      {{"count", "12"},
                       {"floats", "1.5,-2,1e-3"},
                       {"empty", ""},
                       {"odd", "1.5,x"},
                       {"infinite", "1,inf"},
                       {"three", "1,2,3"}});
    return path;
  }
  test::TemporaryDirectory folder_;
  SafetensorsFile file_{write(folder_ / "file")};
  MetadataReader reader_{file_};
};

TEST_F(MetadataReaderTest, GivesTypedValues) {
  EXPECT_EQ(reader_.integer("count", 0, 12), 12);
  EXPECT_EQ(reader_.floats("floats"), (std::vector<float>{1.5F, -2.0F, 1e-3F}));
  EXPECT_TRUE(reader_.floats("absent").empty());
  EXPECT_TRUE(reader_.floats("empty").empty());
  EXPECT_EQ(reader_.three_floats("three"), (std::array<float, 3>{1, 2, 3}));
  EXPECT_EQ(reader_.optional_text("absent"), "");
  EXPECT_TRUE(reader_.has("empty"));
  Metadata metadata;
  const NetworkPart part{.first_block = 1, .end_block = 4, .first_exit = 2, .last_exit = 3};
  add_part(metadata, "side.", part);
  write_safetensors(folder_ / "part", {{"x", Tensor::zeros({1})}}, metadata);
  const SafetensorsFile with_part(folder_ / "part");
  EXPECT_EQ(MetadataReader(with_part).part("side."), part);
}

TEST_F(MetadataReaderTest, NamesFileKeyAndValueOfWhatIsWrong) {
  expect_refused([](const auto& reader) { static_cast<void>(reader.integer("count", 0, 11)); },
                 {"file]", "'count' is '12'", "0 .. 11"});
  expect_refused([](const auto& reader) { static_cast<void>(reader.integer("floats", 0, 9)); },
                 {"'floats'"});
  expect_refused([](const auto& reader) { static_cast<void>(reader.floats("odd")); },
                 {"'odd' is '1.5,x'"});
  expect_refused([](const auto& reader) { static_cast<void>(reader.floats("infinite")); },
                 {"'infinite'"});
  expect_refused([](const auto& reader) { static_cast<void>(reader.text("absent")); },
                 {"'absent'", "missing"});
  expect_refused([](const auto& reader) { static_cast<void>(reader.three_floats("floats2")); },
                 {"'floats2'", "missing"});
}

}  // namespace
}  // namespace branchy
