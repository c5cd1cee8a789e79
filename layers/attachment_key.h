// The names of attachments, and which tensors and metadata of a model file are theirs.
#pragma once

#include <string_view>

namespace branchy {

inline constexpr std::string_view kPredictorAttachment = "predictor";  ///< network exit_predictor
inline constexpr std::string_view kCodecAttachment = "codec";          ///< network feature_codec
inline constexpr std::string_view kAttachmentNames[] = {kPredictorAttachment, kCodecAttachment};

/// Whether a tensor belongs to an attachment.
[[nodiscard]] bool is_attachment_tensor(std::string_view name);
/// Whether a key of the metadata describes an attachment's network.
[[nodiscard]] bool is_attachment_key(std::string_view key);

}  // namespace branchy
