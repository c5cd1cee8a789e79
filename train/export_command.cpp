#include "train/export_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "core/dnn/inference_linear.h"
#include "core/error.h"
#include "infer/feature_coder.h"
#include "train/checkpoint.h"
#include "train/half_weights.h"
#include "train/out_folder.h"
#include "train/predictor_record.h"

namespace branchy {

namespace {

struct ExportCommand {
  std::string model;
  std::filesystem::path out;
  std::int64_t cut = 0;
  std::string cut_after;
  std::string weights = "f32";
  bool suffix_only = false, full_edge = false, whole = false, no_codec = false;
};

/// Number of trunk blocks on the edge.
std::int64_t cut_blocks(const ExportCommand& c, const MultiExitNetwork& network) {
  const std::int64_t early = network.num_exits() - 1;
  if (!c.cut_after.empty()) {
    const std::int64_t blocks = network.blocks_through(c.cut_after);
    if (blocks == network.whole().end_block)
      throw ConfigError(fmt::format(
          "[export] --cut-after {} is the last block, nothing is left for the cloud", c.cut_after));
    return blocks;
  }
  if (early == 0)
    throw ConfigError("[export] the network has no early exit to cut at; give --cut-after NAME");
  const std::int64_t exit = c.cut == 0 ? early : c.cut;
  if (exit < 1 || exit > early)
    throw ConfigError(
        fmt::format("[export] --cut {}, expected an early exit, 1 to {}", exit, early));
  return network.exit(exit).after_block;
}

/// The whole network without the training state.
void export_whole(const ExportCommand& c, LoadedModel& model) {
  const std::filesystem::path file = c.out / "model.safetensors";
  make_out_folder(c.out);
  save_model(file, *model.network, model.info, model.attachments);
  fmt::print("{}: the whole network, exits 1 to {}, {} bytes\n", file.string(),
             model.network->num_exits(), std::filesystem::file_size(file));
}

/// The edge gets the predictor and the codec's encoder, the cloud the decoder. An edge that can go
/// on by itself gets both: what it goes on from is what the cloud would.
void divide(const Attachments& attachments, bool full_edge, Attachments& edge, Attachments& cloud) {
  for (const auto& [name, attachment] : attachments) {
    if (name == kCodecAttachment) {
      edge.emplace(name, full_edge ? attachment : Attachment{attachment.network, encoder_part()});
      cloud.emplace(name, Attachment{attachment.network, decoder_part()});
    } else {
      edge.emplace(name, attachment);
    }
  }
}

void round_weights(MultiExitNetwork& network) {
  const std::int64_t rounded = round_large_linear_layers(network);
  if (rounded == 0)
    throw ConfigError(
        fmt::format("[export] --weights fp16 rounds linear layers of more than {} weights, the "
                    "network has none; "
                    "leave it out",
                    dnn::kCachedLinearWeights));
  fmt::print("{} weights of large linear layers rounded to half precision\n", rounded);
}

/// For people: what travels beside the network.
std::string describe(const ModelInfo& info, const Attachments& attachments) {
  std::string text;
  if (!info.temperatures.empty()) text += ", temperatures";
  for (const auto& [name, attachment] : attachments) {
    if (name != kCodecAttachment) {
      text += ", " + name;
    } else if (attachment.part == encoder_part()) {
      text += ", encoder";
    } else {
      text += attachment.part == decoder_part() ? ", decoder" : ", codec";
    }
  }
  return text;
}

/// A predictor or codec that was made for other weights or another cut does harm unseen.
void check_attachments(const ExportCommand& c, const LoadedModel& model, const std::string& cut) {
  if (model.attachments.contains(std::string(kPredictorAttachment)))
    (void)read_predictor_record(model, c.model);
  if (!model.attachments.contains(std::string(kCodecAttachment))) return;
  require_codec_cut(model.info, model.attachments, cut);
  require_codec_weights(model);
}

void run(const ExportCommand& c) {
  LoadedModel model = load_trained(c.model);
  MultiExitNetwork& network = *model.network;
  const NetworkPart whole = network.whole();
  if (!(model.info.part == whole))
    throw ConfigError(
        fmt::format("[export] {} holds one side of a split already; give the run", c.model));
  if (c.weights == "fp16") round_weights(network);
  if (c.whole) {
    export_whole(c, model);
    return;
  }
  const std::int64_t blocks = cut_blocks(c, network);
  std::int64_t edge_exits = 0;
  while (edge_exits + 1 < network.num_exits() && network.exit(edge_exits + 1).after_block <= blocks)
    ++edge_exits;
  ModelInfo edge = model.info;
  edge.cut = network.blocks()[static_cast<std::size_t>(blocks - 1)].name;
  if (c.no_codec) {
    model.attachments.erase(std::string(kCodecAttachment));
    std::erase_if(edge.records,
                  [](const auto& record) { return record.first.starts_with("codec."); });
  }
  check_attachments(c, model, edge.cut);
  make_out_folder(c.out);
  ModelInfo cloud = edge;
  edge.part = {.first_block = 0, .end_block = blocks, .first_exit = 1, .last_exit = edge_exits};
  if (c.full_edge) edge.part = whole;
  cloud.part = {.first_block = c.suffix_only ? blocks : 0,
                .end_block = whole.end_block,
                .first_exit = edge_exits + 1,
                .last_exit = whole.last_exit};
  Attachments edge_attachments, cloud_attachments;
  divide(model.attachments, c.full_edge, edge_attachments, cloud_attachments);
  save_model(c.out / "edge.safetensors", network, edge, edge_attachments);
  save_model(c.out / "cloud.safetensors", network, cloud, cloud_attachments);
  const Shape feature = network.feature_shape(blocks);
  fmt::print("cut after {} ({} float32 values, {} bytes a sample)\n", edge.cut, feature.size(),
             4 * feature.size());
  const std::string edge_blocks =
      c.full_edge ? "all blocks (to go on without the cloud)" : "blocks up to " + edge.cut;
  fmt::print("{}: {}, exits 1 to {}{}, {} bytes\n", (c.out / "edge.safetensors").string(),
             edge_blocks, edge.part.last_exit, describe(edge, edge_attachments),
             std::filesystem::file_size(c.out / "edge.safetensors"));
  fmt::print("{}: {}, exits {} to {}{}, {} bytes\n", (c.out / "cloud.safetensors").string(),
             c.suffix_only ? "the blocks behind it" : "all blocks", edge_exits + 1, whole.last_exit,
             describe(cloud, cloud_attachments),
             std::filesystem::file_size(c.out / "cloud.safetensors"));
}

}  // namespace

void add_export_command(CLI::App& app) {
  CLI::App* command_app = app.add_subcommand(
      "export", "Split a trained network into an edge and a cloud file, or write it whole");
  const auto command = std::make_shared<ExportCommand>();
  command_app->add_option("model", command->model, "Run folder (its best checkpoint) or model file")
      ->required();
  command_app
      ->add_option("--out", command->out, "Folder for edge.safetensors and cloud.safetensors")
      ->required();
  auto* cut = command_app
                  ->add_option("--cut", command->cut,
                               "Cut at this early exit, from 1 (default: the last early exit)")
                  ->check(CLI::Range(1, 1000));
  auto* cut_after = command_app
                        ->add_option("--cut-after", command->cut_after,
                                     "Cut after the trunk block of this name, e.g. layer2.0")
                        ->excludes(cut);
  auto* suffix_only = command_app->add_flag(
      "--suffix-only", command->suffix_only,
      "Leave the trunk before the cut out of the cloud file (it then takes features only)");
  auto* full_edge = command_app->add_flag(
      "--full-edge", command->full_edge,
      "Put the network behind the cut into the edge file too, so that branchy-edge can go on by "
      "itself when the cloud is slow (--hedge-ms) or away");
  command_app->add_flag("--no-codec", command->no_codec,
                        "Leave the model's codec out: features travel as float32");
  command_app
      ->add_flag("--whole", command->whole,
                 "Write model.safetensors instead: the whole network without the training state")
      ->excludes(cut)
      ->excludes(cut_after)
      ->excludes(suffix_only)
      ->excludes(full_edge);
  command_app
      ->add_option(
          "--weights", command->weights,
          "fp16: round linear layers of more than 2^20 weights (those of AlexNet and VGG16) "
          "to half precision, in which they are then kept and read in half the time; logits "
          "change by about 1e-4 of the largest")
      ->check(CLI::IsMember({"f32", "fp16"}))
      ->capture_default_str();
  command_app->callback([command] { run(*command); });
}

}  // namespace branchy
