#include "layers/weight_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"

namespace branchy {

namespace {

constexpr std::array<std::string_view, 5> kFamilyNames = {"torchvision", "timm", "akamaster",
                                                          "chenyaofo", "branchy"};

constexpr std::array<std::string_view, 4> kWrappers = {"module.", "_orig_mod.", "state_dict.",
                                                       "model."};

// timm numbers the blocks by stage.
constexpr NamePair kTimmBlocks[] = {{"2", "1.0"},  {"3", "1.1"},  {"4", "2.0"},  {"5", "2.1"},
                                    {"6", "2.2"},  {"7", "3.0"},  {"8", "3.1"},  {"9", "3.2"},
                                    {"10", "3.3"}, {"11", "4.0"}, {"12", "4.1"}, {"13", "4.2"},
                                    {"14", "5.0"}, {"15", "5.1"}, {"16", "5.2"}, {"17", "6.0"}};
constexpr NamePair kTimmMobileNetV2[] = {{"features.0.0", "conv_stem"},
                                         {"features.0.1", "bn1"},
                                         {"features.1.conv.0.0", "blocks.0.0.conv_dw"},
                                         {"features.1.conv.0.1", "blocks.0.0.bn1"},
                                         {"features.1.conv.1", "blocks.0.0.conv_pw"},
                                         {"features.1.conv.2", "blocks.0.0.bn2"},
                                         {"features.*.conv.0.0", "blocks.*.conv_pw"},
                                         {"features.*.conv.0.1", "blocks.*.bn1"},
                                         {"features.*.conv.1.0", "blocks.*.conv_dw"},
                                         {"features.*.conv.1.1", "blocks.*.bn2"},
                                         {"features.*.conv.2", "blocks.*.conv_pwl"},
                                         {"features.*.conv.3", "blocks.*.bn3"},
                                         {"features.18.0", "conv_head"},
                                         {"features.18.1", "bn2"},
                                         {"classifier.1", "classifier"}};

constexpr NamePair kTimmVgg[] = {{"classifier.0", "pre_logits.fc1"},
                                 {"classifier.3", "pre_logits.fc2"},
                                 {"classifier.6", "head.fc"}};
constexpr std::string_view kTimmVggConvolutions[] = {"classifier.0.weight", "classifier.3.weight"};

constexpr NamePair kAkamasterResNet[] = {{"fc", "linear"}};
constexpr NamePair kChenyaofoResNet[] = {{"layer2.0.shortcut", "layer2.0.downsample"},
                                         {"layer3.0.shortcut", "layer3.0.downsample"}};

// Ours are the names of torchvision where it has the network.
constexpr WeightNames kKnown[] = {
    {.network = "mobilenet_v2", .family = WeightFamily::kTorchvision},
    {.network = "mobilenet_v2",
     .family = WeightFamily::kTimm,
     .parts = kTimmMobileNetV2,
     .stars = kTimmBlocks},
    {.network = "vgg16_bn",
     .family = WeightFamily::kTorchvision,
     .conv_biases = true,
     .pooled_weight = "classifier.0.weight",
     .pooled_side = 7},
    {.network = "vgg16_bn",
     .family = WeightFamily::kTimm,
     .parts = kTimmVgg,
     .conv_biases = true,
     .convolutional = kTimmVggConvolutions,
     .pooled_weight = "classifier.0.weight",
     .pooled_side = 7},
    {.network = "vgg16_bn", .family = WeightFamily::kChenyaofo, .conv_biases = true},
    {.network = "resnet44",
     .family = WeightFamily::kAkamaster,
     .parts = kAkamasterResNet,
     .prefix = "module."},
    {.network = "resnet44",
     .family = WeightFamily::kChenyaofo,
     .parts = kChenyaofoResNet,
     .projections = true},
};

/// `pattern` with `star` in the place of its '*'.
std::string filled(std::string_view pattern, std::string_view star) {
  std::string text(pattern);
  const std::size_t at = text.find('*');
  return at == std::string::npos ? text : text.replace(at, 1, star);
}

bool covers(std::string_view part, std::string_view name) {
  return name.starts_with(part) && (name.size() == part.size() || name[part.size()] == '.');
}

}  // namespace

WeightFamily parse_weight_family(std::string_view name) {
  const auto* const found = std::find(kFamilyNames.begin(), kFamilyNames.end(), name);
  if (found == kFamilyNames.end())
    throw ConfigError(fmt::format("[weights] family '{}', expected one of: {}", name,
                                  fmt::join(kFamilyNames, ", ")));
  return static_cast<WeightFamily>(found - kFamilyNames.begin());
}

std::string_view weight_family_name(WeightFamily family) {
  return kFamilyNames.at(static_cast<std::size_t>(family));
}

const std::vector<std::string>& weight_family_names() {
  static const std::vector<std::string> names(kFamilyNames.begin(), kFamilyNames.end());
  return names;
}

std::span<const std::string_view> wrapper_prefixes() { return kWrappers; }

std::string WeightNames::theirs(std::string_view ours) const {
  std::string part;
  std::string replacement;
  const auto consider = [&](const NamePair& pair, std::string_view our_star,
                            std::string_view their_star) {
    const std::string candidate = filled(pair.ours, our_star);
    if (candidate.size() <= part.size() || !covers(candidate, ours)) return;
    part = candidate;
    replacement = filled(pair.theirs, their_star);
  };
  for (const NamePair& pair : parts) {
    if (pair.ours.find('*') == std::string_view::npos)
      consider(pair, "", "");
    else
      for (const NamePair& star : stars) consider(pair, star.ours, star.theirs);
  }
  return replacement + std::string(ours.substr(part.size()));
}

std::vector<WeightNames> weight_names(std::string_view network) {
  std::vector<WeightNames> names;
  for (const WeightNames& known : kKnown)
    if (known.network == network) names.push_back(known);
  names.push_back({});
  return names;
}

WeightNames weight_names(std::string_view network, WeightFamily family) {
  std::vector<std::string_view> known;
  for (const WeightNames& names : weight_names(network)) {
    if (names.family == family) return names;
    known.push_back(weight_family_name(names.family));
  }
  throw ConfigError(fmt::format("[weights] {} has no network {}; the families that have it: {}",
                                weight_family_name(family), network, fmt::join(known, ", ")));
}

}  // namespace branchy
