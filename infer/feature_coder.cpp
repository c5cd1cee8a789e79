#include "infer/feature_coder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "infer/device_digest.h"
#include "infer/plan.h"

namespace branchy {

namespace {

/// Throws unless the attachment, record and model belong together.
CodecRecord checked_record(const Attachment& attachment, const ModelInfo& info) {
  CodecRecord record = read_codec_record(info);
  const MultiExitNetwork& network = *attachment.network;
  if (network.config().name != "feature_codec")
    throw DataError(fmt::format("[codec] the attached network is {}, expected feature_codec",
                                network.config().name));
  if (!info.cut.empty() && info.cut != record.cut)
    throw ConfigError(
        fmt::format("[codec] trained for the cut after {}, the model is cut after {}; export it "
                    "there, or train a codec for this cut",
                    record.cut, info.cut));
  const std::int64_t channels = network.feature_shape(1).dim(1);
  const std::int64_t tables = std::ssize(record.frequencies);
  if (tables != channels && (tables != 0 || record.lossless == LosslessStage::kRange))
    throw DataError(fmt::format("[codec] record codec.frequencies has {} channels, the code has {}",
                                tables, channels));
  return record;
}

}  // namespace

NetworkPart encoder_part() { return {.first_block = 0, .end_block = 1}; }
NetworkPart decoder_part() {
  return {.first_block = 1, .end_block = 1, .first_exit = 1, .last_exit = 1};
}

FeatureCoder::FeatureCoder(const Attachment& attachment, const ModelInfo& info)
    : record_(checked_record(attachment, info)),
      feature_shape_(attachment.network->input_shape()),
      code_shape_(attachment.network->feature_shape(1)),
      quantizer_(record_.bits, record_.scale),
      lossless_(record_, code_shape_.size()) {
  if (attachment.part.first_block == 0 && attachment.part.end_block == 1)
    encoder_.emplace(Plan::lower(*attachment.network, encoder_part()));
  if (attachment.part.last_exit == 1)
    decoder_.emplace(Plan::lower(*attachment.network, decoder_part()));
}

std::int64_t FeatureCoder::max_bytes() const {
  return packed_bytes(code_shape_.size(), record_.bits);
}

std::vector<std::byte> FeatureCoder::encode(const Tensor& feature) {
  if (feature.shape() != feature_shape_)
    throw ShapeError(fmt::format("[codec] the feature has shape {}, expected {}",
                                 feature.shape().to_string(), feature_shape_.to_string()));
  return std::move(encode_all(feature).front());
}

Tensor FeatureCoder::decode(std::span<const std::byte> code) {
  const std::array codes{std::vector<std::byte>(
      code.begin(),
      code.begin() + std::min(std::ssize(code), static_cast<std::ptrdiff_t>(max_bytes() + 1)))};
  return decode_all(codes);
}

std::vector<std::vector<std::byte>> FeatureCoder::encode_all(const Tensor& features) {
  if (!encoder_)
    throw ConfigError("[codec] the file holds no encoder; give the edge file or the whole model");
  encoder_->start(features);
  const Tensor values = encoder_->feature();
  const auto size = static_cast<std::size_t>(code_shape_.size());
  std::vector<std::vector<std::byte>> codes;
  for (std::size_t i = 0; i < static_cast<std::size_t>(features.dim(0)); ++i)
    codes.push_back(lossless_.encode(quantizer_.quantize(values.data().subspan(i * size, size))));
  return codes;
}

Tensor FeatureCoder::decode_all(std::span<const std::vector<std::byte>> codes) {
  if (!decoder_)
    throw ConfigError("[codec] the file holds no decoder; give the cloud file or the whole model");
  Tensor values(code_shape_.with_batch(std::ssize(codes)));
  const auto size = static_cast<std::size_t>(code_shape_.size());
  for (std::size_t i = 0; i < codes.size(); ++i)
    quantizer_.dequantize(lossless_.decode(codes[i]),
                          values.mutable_data().subspan(i * size, size));
  decoder_->start(values);
  return decoder_->next_exit().logits;
}

void require_codec_cut(const ModelInfo& info, const Attachments& attachments,
                       const std::string& cut) {
  if (!attachments.contains(std::string(kCodecAttachment))) return;
  const std::string trained = read_codec_record(info).cut;
  if (trained != cut)
    throw ConfigError(fmt::format(
        "[codec] trained for the cut after {}, not after {}; cut there, or train a codec for it",
        trained, cut));
}

void require_codec_weights(const LoadedModel& model) {
  const CodecRecord record = read_codec_record(model.info);
  MultiExitNetwork& network = *model.network;
  NetworkPart part{.first_block = 0, .end_block = network.blocks_through(record.cut)};
  while (part.last_exit < network.num_exits() - 1 &&
         network.exit(part.last_exit + 1).after_block <= part.end_block)
    ++part.last_exit;
  if (part_digest(network, model.info, part) != record.device_digest)
    throw DataError(
        fmt::format("[codec] the weights before {} are not those that the codec was trained for; "
                    "train it again",
                    record.cut));
}

}  // namespace branchy
