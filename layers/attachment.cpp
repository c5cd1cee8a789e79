#include "layers/attachment.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "core/error.h"
#include "layers/metadata_reader.h"
#include "layers/model_file.h"
#include "layers/models/registry.h"

namespace branchy {

namespace {

constexpr std::int64_t kMaxCount = 1000000;

Attachment load_attachment(const SafetensorsFile& file, const std::string& prefix) {
  const MetadataReader reader(file);
  const NetworkConfig config{.name = reader.text(prefix + "network"),
                             .classes = reader.integer(prefix + "classes", 1, kMaxCount),
                             .early_exits = reader.integer(prefix + "early_exits", 0, kMaxCount),
                             .options = reader.options(prefix + "options")};
  require_plausible_classes(file, prefix + "classes", config.classes);
  Rng rng(0);
  Attachment attachment;
  try {
    attachment.network = make_network(config, rng);
  } catch (const ConfigError& error) {
    reader.fail(prefix + "network", "cannot be built", error.what());
  }
  attachment.part = reader.part(prefix + "part.");
  const NetworkPart whole = attachment.network->whole();
  const NetworkPart& part = attachment.part;
  if (part.first_block > part.end_block || part.end_block > whole.end_block ||
      part.first_exit > part.last_exit + 1 || part.last_exit > whole.last_exit)
    reader.fail(prefix + "part.end_block", "lies outside the network", "see core/CHECKPOINT.md");
  load_state(file, prefix, attachment.network->state(part), /*exact=*/true);
  return attachment;
}

}  // namespace

Attachment whole_attachment(std::shared_ptr<MultiExitNetwork> network) {
  const NetworkPart whole = network->whole();
  return {std::move(network), whole};
}

void add_attachments(const Attachments& attachments, std::map<std::string, Tensor>& tensors,
                     Metadata& metadata) {
  for (const auto& [name, attachment] : attachments) {
    const std::string prefix = name + ".";
    const NetworkConfig& config = attachment.network->config();
    metadata[prefix + "network"] = config.name;
    metadata[prefix + "classes"] = std::to_string(config.classes);
    metadata[prefix + "early_exits"] = std::to_string(config.early_exits);
    if (!config.options.empty())
      metadata[prefix + "options"] = fmt::format("{}", fmt::join(to_lines(config.options), "\n"));
    add_part(metadata, prefix + "part.", attachment.part);
    for (const StateEntry& entry : attachment.network->state(attachment.part))
      tensors.emplace(prefix + entry.name, entry.variable->value());
  }
}

Attachments load_attachments(const SafetensorsFile& file) {
  Attachments attachments;
  for (const std::string_view name : kAttachmentNames) {
    const std::string prefix = std::string(name) + ".";
    if (file.metadata().contains(prefix + "network"))
      attachments.emplace(name, load_attachment(file, prefix));
  }
  return attachments;
}

}  // namespace branchy
