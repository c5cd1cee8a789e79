// Flags of the command line for weights that may come from elsewhere.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "layers/model_file.h"
#include "layers/weight_import.h"

namespace CLI {
class App;
}

namespace branchy {

/// How to take weights in; the text forms of ImportOptions and of the normalisation.
struct WeightFlags {
  std::string family;     ///< "": recognised by names
  std::string normalize;  ///< see parse_normalization(); "": as the model file says
  bool strict = false, replace_head = false;
};

/// Adds --family, --normalize, --strict and --replace-head.
void add_weight_flags(CLI::App& app, WeightFlags& flags);
/// Throws ConfigError for an unknown family.
[[nodiscard]] ImportOptions import_options(const WeightFlags& flags);

/// What a file without our metadata does not say about its network.
struct ForeignFlags {
  NetworkConfig network{.name = "", .classes = 0, .early_exits = 0};
  std::vector<std::string> options;  ///< KEY=VALUE
  std::string exit_after;
  WeightFlags weights;
};

/// Adds --net, --classes, --exits, --option, --exit-after and the flags of `add_weight_flags`.
void add_foreign_flags(CLI::App& app, ForeignFlags& flags);

/// A model with what an import found; `report` is empty for a file that branchy wrote.
struct OpenedModel {
  LoadedModel model;
  WeightOrigin origin;
  std::optional<ImportReport> report;
};

/// Opens a run folder or model file, for which no flag may be given, or weights by the flags. The
/// report goes to stderr. Without `--normalize` the model has the identity, unless
/// `normalization_required`. Throws ConfigError for flags that are missing or superfluous, and what
/// `load_trained` and `import_weights` throw.
[[nodiscard]] OpenedModel open_model(const std::filesystem::path& path, const ForeignFlags& flags,
                                     bool normalization_required);

/// One line each, to stderr.
void print_report(const std::filesystem::path& path, const ImportReport& report);

}  // namespace branchy
