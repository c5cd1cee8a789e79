// Published weights in and out, on files whose names are spelled here from the publishers' lists,
// not by the tables under test.
#include "layers/weight_import.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <list>
#include <set>

#include "core/atomic_file.h"
#include "core/error.h"
#include "layers/model_file.h"
#include "layers/models/registry.h"
#include "layers/weight_export.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using test::expect_error;
using Names = std::vector<std::string>;
using NamedEntry = std::pair<std::string, SafetensorsEntry>;

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::unique_ptr<MultiExitNetwork> make(const NetworkConfig& config, std::uint64_t seed = 1) {
  Rng rng(seed);
  return make_network(config, rng);
}

ModelInfo info_of(const MultiExitNetwork& network) {
  ModelInfo info;
  info.config = network.config();
  info.part = network.whole();
  info.std = {1.0F, 1.0F, 1.0F};
  return info;
}

// -- The publishers' names in the order of their state dictionaries.

void conv_bn(Names& names, const std::string& conv, const std::string& bn, bool bias = false) {
  names.push_back(conv + ".weight");
  if (bias) names.push_back(conv + ".bias");
  for (const char* end : {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"})
    names.push_back(bn + "." + end);
}

void linear(Names& names, const std::string& layer) {
  names.push_back(layer + ".weight");
  names.push_back(layer + ".bias");
}

Names torchvision_mobilenet() {
  Names names;
  conv_bn(names, "features.0.0", "features.0.1");
  conv_bn(names, "features.1.conv.0.0", "features.1.conv.0.1");
  conv_bn(names, "features.1.conv.1", "features.1.conv.2");
  for (int i = 2; i <= 17; ++i) {
    const std::string block = fmt::format("features.{}.conv.", i);
    conv_bn(names, block + "0.0", block + "0.1");
    conv_bn(names, block + "1.0", block + "1.1");
    conv_bn(names, block + "2", block + "3");
  }
  conv_bn(names, "features.18.0", "features.18.1");
  linear(names, "classifier.1");
  return names;
}

Names timm_mobilenet() {
  Names names;
  conv_bn(names, "conv_stem", "bn1");
  conv_bn(names, "blocks.0.0.conv_dw", "blocks.0.0.bn1");
  conv_bn(names, "blocks.0.0.conv_pw", "blocks.0.0.bn2");
  const int repeats[] = {2, 3, 4, 3, 3, 1};
  for (int stage = 1; stage <= 6; ++stage)
    for (int i = 0; i < repeats[stage - 1]; ++i) {
      const std::string block = fmt::format("blocks.{}.{}.", stage, i);
      conv_bn(names, block + "conv_pw", block + "bn1");
      conv_bn(names, block + "conv_dw", block + "bn2");
      conv_bn(names, block + "conv_pwl", block + "bn3");
    }
  conv_bn(names, "conv_head", "bn2");
  linear(names, "classifier");
  return names;
}

Names vgg(const Names& classifier) {
  Names names;
  for (const int i : {0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40})
    conv_bn(names, fmt::format("features.{}", i), fmt::format("features.{}", i + 1), true);
  for (const std::string& layer : classifier) linear(names, layer);
  return names;
}

Names cifar_resnet(const std::string& shortcut, const std::string& classifier) {
  Names names;
  conv_bn(names, "conv1", "bn1");
  for (int stage = 1; stage <= 3; ++stage)
    for (int i = 0; i < 7; ++i) {
      const std::string block = fmt::format("layer{}.{}.", stage, i);
      conv_bn(names, block + "conv1", block + "bn1");
      conv_bn(names, block + "conv2", block + "bn2");
      if (stage > 1 && i == 0 && !shortcut.empty())
        conv_bn(names, block + shortcut + ".0", block + shortcut + ".1");
    }
  linear(names, classifier);
  return names;
}

// -- Synthetic files.

struct FileOptions {
  std::string prefix = {};
  bool counters = true, sorted = false;
  FloatType dtype = FloatType::kF32;
  std::set<std::string> convolutional = {};  ///< linear weights with two more dimensions of 1
};

/// A file of a publisher: names in order, shapes of the network's tensors in the same order, biases
/// of convolutions as long as their batch norm, random bytes.
class PublishedFile {
 public:
  PublishedFile(const Names& names, MultiExitNetwork& network, const FileOptions& options) {
    std::uint32_t noise = 7;  // a linear congruential generator is quick and random enough
    std::vector<StateEntry> state = network.state();
    auto next = state.begin();
    std::int64_t channels = 0;
    for (const std::string& name : names) {
      if (name.ends_with("num_batches_tracked")) {
        if (!options.counters) continue;
        auto& bytes = bytes_.emplace_back(8);
        bytes[0] = static_cast<std::byte>(entries_.size() % 200);
        entries_.push_back({options.prefix + name, {"I64", {}, bytes}});
        continue;
      }
      // A bias behind rank 4 that the network has not.
      const bool extra = name.ends_with(".bias") && next != state.begin() &&
                         std::prev(next)->variable->shape().rank() == 4;
      Shape shape = extra ? Shape{channels} : next->variable->shape();
      channels = shape[0];
      if (!extra) ++next;
      std::vector<float> values(static_cast<std::size_t>(shape.size()));
      for (float& value : values) {
        noise = 1664525U * noise + 1013904223U;
        value = static_cast<float>(noise >> 8U) / static_cast<float>(1U << 23U) - 1.0F;
      }
      if (options.dtype == FloatType::kF16)
        for (float& value : values) value = half_to_float(float_to_half(value));
      auto& bytes = bytes_.emplace_back(encode_floats(values, options.dtype, name));
      std::vector<std::int64_t> dims(shape.dims().begin(), shape.dims().end());
      if (options.convolutional.contains(name)) dims.insert(dims.end(), 2, 1);
      entries_.push_back(
          {options.prefix + name, {std::string(float_type_name(options.dtype)), dims, bytes}});
    }
    EXPECT_EQ(next, state.end());
    if (options.sorted)
      std::stable_sort(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
        const bool a64 = a.second.dtype == "I64";
        return a64 != (b.second.dtype == "I64") ? a64 : a.first < b.first;
      });
  }

  std::vector<NamedEntry>& entries() { return entries_; }
  void write(const std::filesystem::path& path) const {
    write_safetensors_entries(path, entries_, {{"format", "pt"}});
  }

 private:
  std::vector<NamedEntry> entries_;
  std::list<std::vector<std::byte>> bytes_;
};

struct PublishedCase {
  std::string name;
  NetworkConfig network;
  WeightFamily family;
  Names names;
  FileOptions file;
};

void PrintTo(const PublishedCase& published, std::ostream* stream) { *stream << published.name; }

const NetworkConfig kMobileNet{.name = "mobilenet_v2",
                               .classes = 7,
                               .early_exits = 0,
                               .options = {{"input", "32"}, {"width", "0.25"}}};
const NetworkConfig kVgg{
    .name = "vgg16_bn", .classes = 5, .early_exits = 0, .options = {{"hidden", "24"}}};
const NetworkConfig kResNet{.name = "resnet44", .classes = 10, .early_exits = 0};
const NetworkConfig kOptionA{
    .name = "resnet44", .classes = 10, .early_exits = 0, .options = {{"shortcut", "option-a"}}};

std::vector<PublishedCase> published_cases() {
  using enum WeightFamily;
  const Names timm_vgg = vgg({"pre_logits.fc1", "pre_logits.fc2", "head.fc"});
  return {
      {"torchvision_mobilenet", kMobileNet, kTorchvision, torchvision_mobilenet(), {}},
      {"torchvision_mobilenet_sorted",
       kMobileNet,
       kTorchvision,
       torchvision_mobilenet(),
       {.sorted = true}},
      {"timm_mobilenet", kMobileNet, kTimm, timm_mobilenet(), {.counters = false}},
      {"timm_mobilenet_half",
       kMobileNet,
       kTimm,
       timm_mobilenet(),
       {.prefix = "model.", .sorted = true, .dtype = FloatType::kF16}},
      {"torchvision_vgg",
       kVgg,
       kTorchvision,
       vgg({"classifier.0", "classifier.3", "classifier.6"}),
       {.sorted = true}},
      {"timm_vgg",
       kVgg,
       kTimm,
       timm_vgg,
       {.convolutional = {"pre_logits.fc1.weight", "pre_logits.fc2.weight"}}},
      {"akamaster_a", kOptionA, kAkamaster, cifar_resnet("", "linear"), {.prefix = "module."}},
      {"akamaster_b",
       kResNet,
       kAkamaster,
       cifar_resnet("shortcut", "linear"),
       {.prefix = "module.", .counters = false}},
      {"chenyaofo", kResNet, kChenyaofo, cifar_resnet("downsample", "fc"), {.sorted = true}},
  };
}

class PublishedWeights : public ::testing::TestWithParam<PublishedCase> {
 protected:
  PublishedWeights()
      : network_(make(GetParam().network)),
        file_(GetParam().names, *network_, GetParam().file),
        path_(folder_ / "published.safetensors") {
    file_.write(path_);
  }

  const test::TemporaryDirectory folder_;
  std::unique_ptr<MultiExitNetwork> network_;
  PublishedFile file_;
  std::filesystem::path path_;
};

TEST_P(PublishedWeights, FillTheNetworkInOrder) {
  const ImportReport report = import_weights(*network_, path_, {.strict = true});
  EXPECT_EQ(weight_family_name(report.family), weight_family_name(GetParam().family));
  EXPECT_TRUE(report.unused.empty());
  EXPECT_TRUE(report.unfilled.empty());
  const auto state = network_->state();
  EXPECT_EQ(report.filled, std::ssize(state));
  auto next = state.begin();
  Tensor bias;
  for (const auto& [name, entry] : file_.entries()) {
    if (GetParam().file.sorted) break;  // the order is not the network's
    if (entry.dtype == "I64") continue;
    const Tensor stored = to_tensor(entry, name);
    if (name.ends_with(".bias") && std::prev(next)->variable->shape().rank() == 4) {
      bias = stored;
      continue;
    }
    const Tensor& value = (next++)->variable->value();
    for (std::size_t i = 0; i < value.data().size(); ++i) {
      const float shift = name.ends_with("running_mean") && bias.defined() ? bias.data()[i] : 0.0F;
      ASSERT_EQ(value.data()[i], stored.data()[i] - shift) << name;
    }
    if (name.ends_with("running_mean")) bias = Tensor();
  }
}

TEST_P(PublishedWeights, ComeBackByteForByte) {
  const ImportReport report = import_weights(*network_, path_);
  const ModelInfo info = info_of(*network_);
  const auto direct = folder_ / "direct.safetensors";
  export_weights(direct, *network_, info, report.origin, {.to = GetParam().family});
  EXPECT_TRUE(contents(direct) == contents(path_));

  const auto model_path = folder_ / "model.safetensors";
  export_weights(model_path, *network_, info, report.origin, {});
  const LoadedModel model = load_model(model_path);
  const auto back = folder_ / "back.safetensors";
  export_weights(back, *model.network, model.info, read_origin(SafetensorsFile(model_path)),
                 {.to = GetParam().family});
  EXPECT_TRUE(contents(back) == contents(path_));
}

TEST_P(PublishedWeights, ConfigurationFollowsFromTheFile) {
  NetworkConfig config = GetParam().network;
  config.classes = 0;
  config.options.erase("shortcut");
  config.options.erase("hidden");
  EXPECT_EQ(config_for_weights(config, SafetensorsFile(path_)), GetParam().network);
}

TEST_P(PublishedWeights, TruncatedFilesAreRefused) {
  const std::string bytes = contents(path_);
  write_file_atomically(path_, bytes.substr(0, bytes.size() / 2));
  expect_error<DataError>([&] { import_weights(*network_, path_); },
                          {"published.safetensors", "beyond the data buffer"});
  write_file_atomically(path_, bytes.substr(0, 1000));
  expect_error<DataError>([&] { import_weights(*network_, path_); }, {"truncated"});
}

INSTANTIATE_TEST_SUITE_P(Families, PublishedWeights, ::testing::ValuesIn(published_cases()),
                         [](const auto& published) { return published.param.name; });

// -- What does not fit.

class WeightImport : public ::testing::Test {
 protected:
  std::filesystem::path write(const Names& names, const NetworkConfig& config,
                              const FileOptions& options = {}) {
    const auto network = make(config);
    PublishedFile(names, *network, options).write(folder_ / "weights.safetensors");
    return folder_ / "weights.safetensors";
  }

  const test::TemporaryDirectory folder_;
};

TEST_F(WeightImport, ListsUnmatchedNamesInBothDirections) {
  auto source = make(kOptionA);
  PublishedFile file(cifar_resnet("", "linear"), *source, {.prefix = "module."});
  const auto first = file.entries().front().second;
  file.entries().emplace_back("module.aux.weight", first);
  const auto path = folder_ / "a.safetensors";
  file.write(path);
  NetworkConfig config = kOptionA;
  config.early_exits = 2;
  const auto network = make(config);
  const ImportReport report = import_weights(*network, path);
  EXPECT_EQ(report.unused, Names{"module.aux.weight"});
  EXPECT_EQ(report.filled + std::ssize(report.unfilled), std::ssize(network->state()));
  EXPECT_EQ(report.unfilled.front(), "exits.1.block0.conv1.weight");
  EXPECT_EQ(report.unfilled.back(), "exits.2.fc.bias");
  std::string text;
  for (const std::string& line : report.lines()) text += line + "\n";
  EXPECT_NE(text.find("akamaster"), std::string::npos);
  EXPECT_NE(text.find("not used: module.aux.weight"), std::string::npos);
  EXPECT_NE(text.find("left as initialised: exits.1.block0"), std::string::npos);

  const Tensor before = network->state().front().variable->value().clone();
  network->state().front().variable->mutable_value().fill(3.0F);
  expect_error<DataError>([&] { import_weights(*network, path, {.strict = true}); },
                          {"strict", "aux.weight", "exits.1.block0.conv1.weight"});
  EXPECT_EQ(network->state().front().variable->value().data()[0], 3.0F)
      << "a refusal changes nothing";
}

TEST_F(WeightImport, OtherClassesNeedAReplacedHead) {
  const auto path = write(torchvision_mobilenet(), kMobileNet);
  NetworkConfig config = kMobileNet;
  config.classes = 4;
  config.early_exits = 2;
  const auto network = make(config);
  expect_error<DataError>([&] { import_weights(*network, path); },
                          {"classifier.1.weight is [7,1280]", "[4,1280]", "--replace-head"});
  const auto twin = make(config);
  const ImportReport report =
      import_weights(*network, path, {.strict = false, .replace_head = true});
  EXPECT_TRUE(report.unused.empty());
  const Names head = {"classifier.1.bias", "classifier.1.weight"};
  for (const std::string& name : head)
    EXPECT_EQ(std::count(report.replaced.begin(), report.replaced.end(), name), 1);
  const auto state = network->state();
  const auto fresh = twin->state();
  for (std::size_t i = 0; i < state.size(); ++i) {
    const bool same =
        std::ranges::equal(state[i].variable->value().data(), fresh[i].variable->value().data());
    EXPECT_EQ(same, state[i].name.starts_with("exits.") || state[i].name.starts_with("classifier."))
        << state[i].name;
  }
}

TEST_F(WeightImport, AnotherWidthOrNetworkIsRefused) {
  const auto path = write(torchvision_mobilenet(), kMobileNet);
  NetworkConfig wide = kMobileNet;
  wide.options["width"] = "0.5";
  expect_error<DataError>(
      [&] { import_weights(*make(wide), path); },
      {"features.0.0.weight is [8,3,3,3]", "[16,3,3,3]", "more do not fit", "width"});
  expect_error<DataError>([&] { import_weights(*make(kResNet), path); },
                          {"227 tensors of resnet44 missing", "conv1.weight"});
  expect_error<ConfigError>(
      [&] { import_weights(*make(kResNet), path, {.from = WeightFamily::kTimm}); },
      {"timm has no network resnet44", "akamaster, chenyaofo, branchy"});
  const auto option_a = write(cifar_resnet("", "linear"), kOptionA);
  expect_error<DataError>([&] { import_weights(*make(kResNet), option_a); },
                          {"layer2.0.shortcut.0.weight", "shortcut=option-a"});
  expect_error<ConfigError>(
      [&] {
        const auto network = make(kOptionA);
        export_weights(folder_ / "x", *network, {}, {}, {.to = WeightFamily::kChenyaofo});
      },
      {"chenyaofo has projections", "option-a"});
}

TEST(WeightOrigin, OrdersBySizeOfElementThenByName) {
  const std::vector<NamedEntry> ordered{{"z", {"I64", {}, {}}},  {"a", {"F32", {}, {}}},
                                        {"b", {"F32", {}, {}}},  {"a", {"I16", {}, {}}},
                                        {"b", {"BF16", {}, {}}}, {"a", {"BOOL", {}, {}}}};
  EXPECT_TRUE(std::is_sorted(ordered.begin(), ordered.end(), less_in_file));
  EXPECT_TRUE(std::is_sorted(ordered.rbegin(), ordered.rend(),
                             [](const auto& a, const auto& b) { return less_in_file(b, a); }));
}

TEST_F(WeightImport, TheRemedyFitsWhatIsMissing) {
  const auto import_without = [&](const std::string& name) {
    const auto network = make(kMobileNet);
    PublishedFile file(torchvision_mobilenet(), *network, {});
    std::erase_if(file.entries(), [&](const auto& entry) { return entry.first == name; });
    file.write(folder_ / "part");
    import_weights(*network, folder_ / "part");
  };
  expect_error<DataError>([&] { import_without("classifier.1.bias"); },
                          {"1 tensors", "(classifier.1.bias)", "--replace-head"});
  expect_error<DataError>([&] { import_without("features.4.conv.2.weight"); },
                          {"(features.4.conv.2.weight)", "give the network and family"});
}

TEST_F(WeightImport, FilesOfPyTorchAreExplained) {
  const auto path = folder_ / "resnet44.th";
  write_file_atomically(path, "PK\x03\x04" + std::string(100, 'x'));
  expect_error<DataError>([&] { import_weights(*make(kResNet), path); },
                          {"resnet44.th", "python3 -c", "safetensors"});
}

// torchvision pools whatever comes to 7x7; from 32x32 images comes 1x1, repeated 49 times.
TEST_F(WeightImport, AClassifierBehindAdaptivePoolingIsSummedOverItsPlaces) {
  const auto source = make(kVgg);
  for (const bool square : {false, true}) {
    PublishedFile file(square ? vgg({"pre_logits.fc1", "pre_logits.fc2", "head.fc"})
                              : vgg({"classifier.0", "classifier.3", "classifier.6"}),
                       *source, {});
    std::vector<float> values(24 * 512 * 49);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 1000);
    for (auto& [name, entry] : file.entries())
      if (name == "classifier.0.weight" || name == "pre_logits.fc1.weight") {
        entry.shape = square ? std::vector<std::int64_t>{24, 512, 7, 7}
                             : std::vector<std::int64_t>{24, 25088};
        entry.bytes = std::as_bytes(std::span(values));
      }
    file.write(folder_ / "vgg.safetensors");
    const auto network = make(kVgg, 2);
    const ImportReport report = import_weights(*network, folder_ / "vgg.safetensors");
    EXPECT_EQ(report.converted.size(), 14U);
    for (const StateEntry& entry : network->state()) {
      if (entry.name != "classifier.0.weight") continue;
      for (const std::size_t i : {std::size_t{0}, std::size_t{24 * 512 - 1}}) {
        float sum = 0.0F;
        for (std::size_t place = 0; place < 49; ++place) sum += values[49 * i + place];
        EXPECT_EQ(entry.variable->value().data()[i], sum);
      }
    }
  }
}

TEST_F(WeightImport, OneFamilyBecomesAnother) {
  const auto path = write(torchvision_mobilenet(), kMobileNet);
  const auto network = make(kMobileNet);
  const ImportReport report = import_weights(*network, path);
  export_weights(folder_ / "timm", *network, {}, report.origin, {.to = WeightFamily::kTimm});
  std::set<std::string> written;
  const SafetensorsFile timm(folder_ / "timm");
  for (const auto& [name, entry] : timm.entries()) written.insert(name);
  const Names expected = timm_mobilenet();
  EXPECT_EQ(written, std::set<std::string>(expected.begin(), expected.end()));
}

// Trained here, from scratch: no origin, so counters are written on demand and biases are zero.
TEST_F(WeightImport, OwnWeightsGetTheWholeSetOfNames) {
  NetworkConfig config = kVgg;
  config.early_exits = 2;
  const auto network = make(config);
  const ExportReport report = export_weights(folder_ / "vgg", *network, {}, {},
                                             {.to = WeightFamily::kTorchvision, .counters = true});
  EXPECT_FALSE(report.left_out.empty());
  const SafetensorsFile file(folder_ / "vgg");
  const Names expected = vgg({"classifier.0", "classifier.3", "classifier.6"});
  EXPECT_EQ(file.entries().size(), 97U);
  for (const std::string& name : expected) EXPECT_TRUE(file.contains(name)) << name;
  for (const float value : file.tensor("features.0.bias").data()) EXPECT_EQ(value, 0.0F);
  EXPECT_EQ(report.written, std::ssize(expected));
  const auto copy = make(config, 2);
  EXPECT_EQ(import_weights(*copy, folder_ / "vgg").unfilled.size(), report.left_out.size());
}

// A batch norm that went on training no longer has the mean that folding gave.
TEST_F(WeightImport, ABiasIsNotRestoredBehindATrainedBatchNorm) {
  const auto path = write(vgg({"classifier.0", "classifier.3", "classifier.6"}), kVgg);
  const auto network = make(kVgg);
  const ImportReport report = import_weights(*network, path);
  Tensor mean;
  for (const StateEntry& entry : network->state())
    if (entry.name == "features.1.running_mean") {
      entry.variable->mutable_value().mutable_data()[5] += 1.0F;
      mean = entry.variable->value();
    }
  export_weights(folder_ / "out", *network, {}, report.origin, {.to = WeightFamily::kTorchvision});
  const SafetensorsFile before(path);
  const SafetensorsFile after(folder_ / "out");
  EXPECT_EQ(after.tensor("features.0.bias").data()[5], 0.0F);
  EXPECT_EQ(after.tensor("features.1.running_mean").data()[5], mean.data()[5]);
  EXPECT_EQ(after.tensor("features.3.bias").data()[5], before.tensor("features.3.bias").data()[5]);
}

TEST_F(WeightImport, OwnModelFilesGiveTheirAverageAndFitOtherExits) {
  NetworkConfig config = kResNet;
  config.early_exits = 2;
  const auto source = make(config);
  std::map<std::string, Tensor> tensors;
  for (const StateEntry& entry : source->state()) {
    tensors.emplace(entry.name, Tensor::zeros(entry.variable->shape()));
    tensors.emplace("average." + entry.name, entry.variable->value());
    tensors.emplace("optimizer.velocity." + entry.name, entry.variable->value());
  }
  const ModelInfo info = info_of(*source);
  write_safetensors(folder_ / "run", tensors, to_metadata(info));
  config.early_exits = 3;
  const auto network = make(config, 2);
  const ImportReport report = import_weights(*network, folder_ / "run", {.replace_head = true});
  EXPECT_EQ(report.family, WeightFamily::kBranchy);
  EXPECT_EQ(network->state().front().variable->value().data()[0],
            source->state().front().variable->value().data()[0]);
  EXPECT_TRUE(std::count(report.replaced.begin(), report.replaced.end(), "exits.2.fc.weight") == 1);
}

TEST_F(WeightImport, HalvesAreWrittenAndLoaded) {
  const auto network = make(kResNet);
  const ModelInfo info = info_of(*network);
  export_weights(folder_ / "half", *network, info, {}, {.dtype = FloatType::kF16});
  export_weights(folder_ / "full", *network, info, {}, {});
  EXPECT_LT(std::filesystem::file_size(folder_ / "half"),
            std::filesystem::file_size(folder_ / "full") * 6 / 10);
  const LoadedModel half = load_model(folder_ / "half");
  const auto expected = network->state();
  const auto actual = half.network->state();
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_EQ(actual[i].variable->value().data()[0],
              half_to_float(float_to_half(expected[i].variable->value().data()[0])));
}

}  // namespace
}  // namespace branchy
