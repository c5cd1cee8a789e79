// Attachment: a small network that travels in a model file, such as an exit predictor or a codec.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/safetensors.h"
#include "layers/attachment_key.h"
#include "layers/network.h"

namespace branchy {

/// 1. Its tensors are those of `part`, named `<attachment>.<tensor>`.
/// 2. Its metadata are `<attachment>.network`, `.classes`, `.early_exits`, `.options` and
///    `.part.first_block` and so on; what else is said of it (what it was trained for) are records
///    of the model file under `<attachment>.` (ModelInfo::records).
struct Attachment {
  std::shared_ptr<MultiExitNetwork> network;
  NetworkPart part;
};
/// By name, one of kAttachmentNames.
using Attachments = std::map<std::string, Attachment>;

/// All of `network`.
[[nodiscard]] Attachment whole_attachment(std::shared_ptr<MultiExitNetwork> network);

void add_attachments(const Attachments& attachments, std::map<std::string, Tensor>& tensors,
                     Metadata& metadata);
/// Builds and fills those that the file has. Throws DataError for one that cannot be built, or
/// tensors that are missing, surplus or of another shape.
[[nodiscard]] Attachments load_attachments(const SafetensorsFile& file);

}  // namespace branchy
