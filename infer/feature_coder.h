// FeatureCoder: the feature at the cut as the bytes that are sent, and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "infer/codec_record.h"
#include "infer/exit_runner.h"
#include "infer/feature_quantizer.h"
#include "infer/lossless.h"
#include "layers/attachment.h"

namespace branchy {

/// What each side of a split needs of the attachment "codec" (Attachment::part).
[[nodiscard]] NetworkPart encoder_part();  ///< the edge file
[[nodiscard]] NetworkPart decoder_part();  ///< the cloud file

/// Encoder, quantiser and lossless stage, or their inverses, as the model file describes them
/// (Dong et al. 2022, section V-C). The bytes of a code describe one feature and carry no header:
/// shape, bits and tables are those of the model on both sides.
///
/// One thread at a time; every worker makes its own.
class FeatureCoder {
 public:
  /// `attachment` is the model's "codec": whole, or one of the parts above. Throws DataError for a
  /// record that is missing or contradicts the network, ConfigError when `info` is of a model cut
  /// after another block than the codec was trained for.
  FeatureCoder(const Attachment& attachment, const ModelInfo& info);

  /// The trunk block after which the codec stands; compare with the cut in use.
  [[nodiscard]] const std::string& cut() const { return record_.cut; }
  [[nodiscard]] const CodecRecord& record() const { return record_; }
  /// [1,C,H,W] of the feature, and of its code before it is quantised.
  [[nodiscard]] const Shape& feature_shape() const { return feature_shape_; }
  [[nodiscard]] const Shape& code_shape() const { return code_shape_; }
  /// Size of the quantised values, packed. No code is longer: one that a lossless stage would not
  /// shorten is sent as it is.
  [[nodiscard]] std::int64_t max_bytes() const;
  [[nodiscard]] bool can_encode() const { return encoder_.has_value(); }
  [[nodiscard]] bool can_decode() const { return decoder_.has_value(); }

  /// `feature` [1,C,H,W] as ExitRunner::feature() gives it. Throws ShapeError for another shape,
  /// ConfigError without the encoder.
  [[nodiscard]] std::vector<std::byte> encode(const Tensor& feature);
  /// The feature [1,C,H,W] that stands for the encoded one. `code` is untrusted: throws DataError
  /// when it is no code of this codec; sizes are checked before memory is taken. ConfigError
  /// without the decoder.
  [[nodiscard]] Tensor decode(std::span<const std::byte> code);

  /// The same for N at once: [N,C,H,W] and N codes.
  [[nodiscard]] std::vector<std::vector<std::byte>> encode_all(const Tensor& features);
  [[nodiscard]] Tensor decode_all(std::span<const std::vector<std::byte>> codes);

 private:
  CodecRecord record_;
  Shape feature_shape_, code_shape_;
  FeatureQuantizer quantizer_;
  LosslessCoder lossless_;
  std::optional<ExitRunner> encoder_, decoder_;
};

/// Throws ConfigError when the model's codec is not for a cut after block `cut`; does nothing for
/// a model without codec.
void require_codec_cut(const ModelInfo& info, const Attachments& attachments,
                       const std::string& cut);

/// Throws DataError when the weights before the codec's cut are not those that it was trained for.
/// `model` holds them.
void require_codec_weights(const LoadedModel& model);

}  // namespace branchy
