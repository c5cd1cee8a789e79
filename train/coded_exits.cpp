#include "train/coded_exits.h"

#include "data/digest.h"
#include "train/logits_cache.h"
#include "train/server_part.h"

namespace branchy {

namespace {

const Attachment& codec_of(const LoadedModel& model) {
  require_codec_weights(model);
  return model.attachments.at(std::string(kCodecAttachment));
}

}  // namespace

CodedExits::CodedExits(const LoadedModel& model)
    : coder_(codec_of(model), model.info),
      blocks_(model.network->blocks_through(coder_.cut())),
      first_exit_(part_behind_cut(*model.network, blocks_).first_exit),
      server_(Plan::lower(*model.network, part_behind_cut(*model.network, blocks_),
                          int8_ranges(model.info))) {}

void CodedExits::start(const Tensor& feature) {
  const auto codes = coder_.encode_all(feature);
  samples_ += std::ssize(codes);
  for (const auto& code : codes) bytes_ += std::ssize(code);
  server_.start(coder_.decode_all(codes));
}

double CodedExits::mean_bytes() const {
  return samples_ == 0 ? 0.0 : static_cast<double>(bytes_) / static_cast<double>(samples_);
}

std::string codec_digest(const LoadedModel& model) {
  const auto found = model.attachments.find(std::string(kCodecAttachment));
  if (found == model.attachments.end()) return "";
  std::string text = network_digest(*found->second.network);
  for (const auto& [key, value] : model.info.records)
    if (key.starts_with("codec.")) text += "\n" + key + "=" + value;
  Digest digest(DigestKind::kSha256);
  digest.update({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  return digest.finish();
}

}  // namespace branchy
