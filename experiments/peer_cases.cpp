#include "experiments/peer_cases.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {

namespace {

struct Bounds {
  double must, goal;
};

/// Batches as in the papers' trainings; MobileNetV2 sees 224x224.
std::int64_t training_batch(const std::string& network) {
  return network == "mobilenet_v2" ? 16 : 128;
}

PeerSetting training(const std::string& network, Opponent opponent, std::int64_t threads) {
  return {.network = network,
          .opponent = opponent,
          .batch = training_batch(network),
          .threads = threads};
}

bool stands_for(const std::string& name, const std::string& whole) {
  return whole == name || whole.starts_with(name + "-");
}

}  // namespace

std::vector<PeerCase> peer_cases(std::int64_t threads) {
  std::vector<PeerCase> cases;
  const auto add = [&](std::string name, PeerSetting setting, PeerQuantity quantity, Bounds b) {
    cases.push_back({std::move(name), std::move(setting), quantity, b.must, b.goal});
  };
  const auto train = [&](const std::string& network, Bounds speed, Bounds memory) {
    const PeerSetting setting = training(network, Opponent::kPyTorch, threads);
    add("train-" + network, setting, PeerQuantity::kSpeed, speed);
    add("memory-" + network, setting, PeerQuantity::kMemory, memory);
  };
  train("resnet44", {1.5, 2.0}, {0.7, 0.5});
  train("vgg16_bn", {1.5, 2.2}, {0.85, 0.7});
  train("alexnet", {1.5, 2.0}, {0.85, 0.7});
  train("mobilenet_v2", {2.5, 4.0}, {0.7, 0.5});
  for (const std::string network : {"resnet44", "vgg16_bn", "mobilenet_v2"})
    for (const std::int64_t batch : {1, 32})
      for (std::int64_t count = 1; count <= threads;
           count += std::max<std::int64_t>(threads - 1, 1))
        add(fmt::format("infer-{}-b{}-t{}", network, batch, count),
            {.network = network,
             .opponent = Opponent::kOnnxRuntime,
             .batch = batch,
             .threads = count},
            PeerQuantity::kSpeed, batch == 1 ? Bounds{1.0, 1.4} : Bounds{1.0, 1.3});
  const auto scaling = [&](const std::string& network, Bounds two_threads) {
    add("scaling-" + network, training(network, Opponent::kOneThread, threads),
        PeerQuantity::kSpeed, two_threads);
    if (threads != 2) cases.back().must = cases.back().goal = std::nullopt;
  };
  scaling("resnet44", {1.75, 1.9});
  scaling("mobilenet_v2", {1.6, 1.8});
  PeerSetting busy = training("resnet44", Opponent::kPyTorch, threads);
  busy.busy_cpu = true;
  add("busy-resnet44", busy, PeerQuantity::kSpeed, {2.0, 3.0});
  return cases;
}

std::vector<PeerCase> chosen_cases(const std::vector<PeerCase>& cases,
                                   const std::vector<std::string>& names) {
  if (names.empty()) return cases;
  for (const std::string& name : names) {
    std::vector<std::string> known;
    bool found = false;
    for (const PeerCase& each : cases) {
      known.push_back(each.name);
      found = found || stands_for(name, each.name);
    }
    if (!found)
      throw ConfigError(fmt::format("[peers] --case '{}', expected one or the beginning of: {}",
                                    printable(name), fmt::join(known, ", ")));
  }
  std::vector<PeerCase> chosen;
  for (const PeerCase& each : cases)
    for (const std::string& name : names)
      if (stands_for(name, each.name)) {
        chosen.push_back(each);
        break;
      }
  return chosen;
}

}  // namespace branchy
