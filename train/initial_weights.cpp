#include "train/initial_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "core/error.h"
#include "core/kernels/sgd_step.h"
#include "data/normalization.h"
#include "layers/model_file.h"
#include "layers/models/registry.h"
#include "layers/network_options.h"
#include "layers/weight_import.h"
#include "train/checkpoint.h"
#include "train/weight_flags.h"

namespace branchy {

namespace {

bool places_exits(const NetworkOptions& options) {
  return options.contains("exit-after") || options.contains("placement");
}

/// The network of a model file, with what `given` says beside its name.
NetworkConfig config_of(const ModelInfo& info, const NetworkConfig& given) {
  NetworkConfig config = info.config;
  config.classes = given.classes;
  // Where exits are asked for, those of the file count no more.
  if (given.early_exits != kDefaultExits || places_exits(given.options)) {
    config.early_exits = given.early_exits;
    config.options.erase("exit-after");
    config.options.erase("placement");
  }
  for (const auto& [key, value] : given.options) config.options[key] = value;
  return config;
}

/// Weights of an exit go by its number: it must hang where it did.
void require_same_places(const ModelInfo& info, const MultiExitNetwork& network,
                         const std::string& file) {
  if (info.config.name != network.config().name) return;  // the import refuses it better
  Rng rng(0);
  const auto source = make_network(info.config, rng);
  const std::int64_t early = std::min(source->num_exits(), network.num_exits()) - 1;
  for (std::int64_t exit = 1; exit <= early; ++exit)
    if (source->exit(exit).after_block != network.exit(exit).after_block)
      throw ConfigError(fmt::format(
          "[{}] its exit {} is after {} blocks, here after {}; start from a file without early "
          "exits, or ask for the same places",
          file, exit, source->exit(exit).after_block, network.exit(exit).after_block));
}

}  // namespace

void complete_from_weights(TrainOptions& options) {
  const SafetensorsFile file(trained_file(options.init));
  std::string& normalize = options.weights.normalize;
  if (is_model_file(file)) {
    const ModelInfo info = parse_model_info(file);
    if (options.network.name.empty()) options.network = config_of(info, options.network);
    if (normalize.empty()) normalize = to_text(Normalization{.mean = info.mean, .std = info.std});
  }
  if (options.network.name.empty())
    throw ConfigError(
        fmt::format("[{}] does not say of which network it is; give --net", options.init));
  if (normalize.empty())
    throw ConfigError(fmt::format(
        "[{}] does not say how its images were normalised; give --normalize imagenet, cifar10, "
        "cifar100 or MEAN,STD",
        options.init));
  normalize = to_text(parse_normalization(normalize));
  // The data may count the classes only later; the weights do not decide them.
  NetworkConfig config = options.network;
  config.classes = std::max<std::int64_t>(config.classes, 2);
  options.network.options =
      config_for_weights(config, file, import_options(options.weights)).options;
}

std::vector<std::string> load_initial_weights(const TrainOptions& options,
                                              MultiExitNetwork& network) {
  const SafetensorsFile file(trained_file(options.init));
  if (is_model_file(file) && !options.weights.replace_head)
    require_same_places(parse_model_info(file), network, options.init);
  std::vector<std::string> lines;
  for (const std::string& line :
       import_weights(network, file, import_options(options.weights)).lines())
    lines.push_back(fmt::format("{}: {}", options.init, line));
  for (const StateEntry& entry : network.state())
    if (!kernels::all_finite(entry.variable->value()))
      throw NumericError(fmt::format("[{}] {} holds NaN or infinity; start from other weights",
                                     options.init, entry.name));
  return lines;
}

}  // namespace branchy
