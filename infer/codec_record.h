// CodecRecord: what a model file says of its feature codec beside the codec's network.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "layers/model_file.h"

namespace branchy {

/// The stage behind the quantiser.
enum class LosslessStage { kNone, kZstd, kRange };

/// "none", "zstd", "range"; throws ConfigError listing them.
[[nodiscard]] LosslessStage parse_lossless(std::string_view name);
[[nodiscard]] std::string_view to_string(LosslessStage stage);

/// How often each level comes, by channel of the code: [channels][2^bits], see to_frequencies().
using LevelFrequencies = std::vector<std::vector<std::uint32_t>>;

/// The records `codec.*` of ModelInfo.
struct CodecRecord {
  std::string cut = {};   ///< `codec.cut`: the trunk block whose output is encoded
  std::int64_t bits = 8;  ///< `codec.bits`: 8 or 4
  float scale = 0.0F;     ///< `codec.scale`: maximum of the encoder's output over the training set
  LosslessStage lossless = LosslessStage::kNone;  ///< `codec.lossless`
  LevelFrequencies frequencies =
      {};  ///< `codec.frequencies`: of the training set, for the range coder
  std::string device_digest =
      {};  ///< `codec.device_digest`: part_digest() of what lies before the cut
  /// `codec.feature_range`: least and greatest value of the feature over the training set.
  float feature_min = 0.0F, feature_max = 0.0F;
};

void write_record(const CodecRecord& record, ModelInfo& info);
/// Throws DataError naming the record that is missing or out of range.
[[nodiscard]] CodecRecord read_codec_record(const ModelInfo& info);

}  // namespace branchy
