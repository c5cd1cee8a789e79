#include "train/weight_flags.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include "core/error.h"
#include "data/normalization.h"
#include "layers/models/registry.h"
#include "train/checkpoint.h"
#include "train/network_flags.h"

namespace branchy {

namespace {

bool any_given(const ForeignFlags& f) {
  return !f.network.name.empty() || f.network.classes != 0 || f.network.early_exits != 0 ||
         !f.options.empty() || !f.exit_after.empty() || !f.weights.family.empty() ||
         !f.weights.normalize.empty() || f.weights.replace_head;
}

OpenedModel import_model(const std::filesystem::path& path, const SafetensorsFile& file,
                         const ForeignFlags& flags, bool normalization_required) {
  if (flags.network.name.empty())
    throw ConfigError(
        fmt::format("[{}] was not written by branchy; say with --net which network it is: {}",
                    path.string(), fmt::join(network_names(), ", ")));
  if (flags.weights.normalize.empty() && normalization_required)
    throw ConfigError(
        fmt::format("[{}] does not say how its images were normalised; give --normalize imagenet, "
                    "cifar10, cifar100 or MEAN,STD",
                    path.string()));
  const ImportOptions options = import_options(flags.weights);
  NetworkConfig config = flags.network;
  config.options = network_options(flags.options, flags.exit_after);
  config = config_for_weights(std::move(config), file, options);
  Rng rng(0);
  OpenedModel opened;
  opened.model.network = make_network(config, rng);
  opened.report = import_weights(*opened.model.network, file, options);
  opened.origin = opened.report->origin;
  ModelInfo& info = opened.model.info;
  info.config = opened.model.network->config();
  info.part = opened.model.network->whole();
  const Normalization normalization = flags.weights.normalize.empty()
                                          ? Normalization{}
                                          : parse_normalization(flags.weights.normalize);
  info.mean = normalization.mean;
  info.std = normalization.std;
  print_report(path, *opened.report);
  return opened;
}

}  // namespace

void add_weight_flags(CLI::App& app, WeightFlags& flags) {
  app.add_option("--family", flags.family,
                 fmt::format("Whose names the weights have: {} (default: recognised)",
                             fmt::join(weight_family_names(), ", ")))
      ->check(CLI::IsMember(weight_family_names()));
  app.add_option(
      "--normalize", flags.normalize,
      "How images were prepared for the weights: imagenet, cifar10, cifar100, pacheco or "
      "MEAN,STD (six numbers, pixels in 0..1)");
  app.add_flag("--strict", flags.strict,
               "Refuse weights with tensors that the network has not, or without some that it has");
  app.add_flag("--replace-head", flags.replace_head,
               "Start the last layer of every exit anew, for other classes");
}

ImportOptions import_options(const WeightFlags& flags) {
  ImportOptions options{.strict = flags.strict, .replace_head = flags.replace_head};
  if (!flags.family.empty()) options.from = parse_weight_family(flags.family);
  return options;
}

void add_foreign_flags(CLI::App& app, ForeignFlags& flags) {
  app.add_option("--net", flags.network.name,
                 "Network of weights that branchy did not write (see `branchy nets`)")
      ->check(CLI::IsMember(network_names()));
  app.add_option("--classes", flags.network.classes, "Their classes (default: of their last layer)")
      ->check(CLI::Range(2, 1000000));
  app.add_option("--exits", flags.network.early_exits, "Their early exits")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  add_network_flags(app, flags.options, flags.exit_after);
  add_weight_flags(app, flags.weights);
}

OpenedModel open_model(const std::filesystem::path& path, const ForeignFlags& flags,
                       bool normalization_required) {
  if (!std::filesystem::is_directory(path)) {
    const SafetensorsFile file(path);
    if (!is_model_file(file)) return import_model(path, file, flags, normalization_required);
    if (!any_given(flags)) return {load_model(path), read_origin(file), std::nullopt};
  } else if (!any_given(flags)) {
    return {load_trained(path), {}, std::nullopt};
  }
  throw ConfigError(
      fmt::format("[{}] says itself what it is; leave out --net, --classes, --exits, --option, "
                  "--family, --normalize and --replace-head",
                  path.string()));
}

void print_report(const std::filesystem::path& path, const ImportReport& report) {
  for (const std::string& line : report.lines())
    fmt::print(stderr, "{}: {}\n", path.filename().string(), line);
}

}  // namespace branchy
