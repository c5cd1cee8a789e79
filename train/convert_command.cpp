#include "train/convert_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "core/error.h"
#include "layers/name_list.h"
#include "layers/weight_export.h"
#include "train/weight_flags.h"

namespace branchy {

namespace {

struct ConvertCommand {
  std::string model, to, dtype;
  std::filesystem::path out;
  bool counters = false;
  ForeignFlags foreign;
};

void run(const ConvertCommand& c) {
  ExportOptions options{.to = parse_weight_family(c.to), .counters = c.counters};
  if (!c.dtype.empty()) options.dtype = parse_float_type(c.dtype);
  const bool own = options.to == WeightFamily::kBranchy;
  const OpenedModel opened = open_model(c.model, c.foreign, /*normalization_required=*/own);
  MultiExitNetwork& network = *opened.model.network;
  if (!own && !(opened.model.info.part == network.whole()))
    throw ConfigError(
        fmt::format("[convert] {} holds one side of a split; give the whole model", c.model));
  const ExportReport report =
      export_weights(c.out, network, opened.model.info, opened.origin, options);
  fmt::print("{}: {} tensors by the names of {}, {} bytes\n", c.out.string(), report.written, c.to,
             std::filesystem::file_size(c.out));
  if (!report.left_out.empty())
    fmt::print("left out: {} tensors of early exits ({})\n", report.left_out.size(),
               name_list(report.left_out));
}

}  // namespace

void add_convert_command(CLI::App& app) {
  CLI::App* convert = app.add_subcommand(
      "convert", "Write weights under the names of torchvision, timm, ..., or take them in");
  const auto command = std::make_shared<ConvertCommand>();
  convert
      ->add_option("model", command->model,
                   "Run folder, model file, or weights of others (then with --net)")
      ->required();
  convert->add_option("--to", command->to, "Whose names to write; branchy: a model file")
      ->required()
      ->check(CLI::IsMember(weight_family_names()));
  convert->add_option("--out", command->out, "File to write (safetensors)")->required();
  convert
      ->add_option("--dtype", command->dtype,
                   "f32, f16 or bf16 (default: as the weights had; model files f32)")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}));
  convert->add_flag("--counters", command->counters,
                    "Write num_batches_tracked of every batch norm, 0 where it is unknown");
  add_foreign_flags(*convert, command->foreign);
  convert->callback([command] { run(*command); });
}

}  // namespace branchy
