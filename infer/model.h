// ServedModel: a model file ready to answer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "infer/plan.h"
#include "layers/model_file.h"

namespace branchy {

/// A lowered model file. `plan` covers all that the file holds.
///
/// 1. An edge file starts from images and hands on the value at `cut_blocks`.
/// 2. A cloud file that holds the trunk before the cut too starts from images, or from the value at
///    the cut by `ExitRunner::start_after(cut_blocks, feature)`: one set of packed weights.
/// 3. A cloud file without it starts from the value at the cut only.
/// 4. An edge file may hold the network behind the cut as well (`export --full-edge`), so that an
///    edge whose cloud is away can go on by itself.
/// 5. A codec that the file holds was made for the file's cut.
struct ServedModel {
  ModelInfo info;
  std::shared_ptr<const Plan> plan;
  std::optional<Shape> image_shape;  ///< [1,C,H,W]; nothing when the file lacks the trunk's start
  std::optional<Shape>
      feature_shape;            ///< at the cut, for batch size 1; nothing for a whole network
  std::int64_t cut_blocks = 0;  ///< trunk blocks before the cut; all for a whole network
  std::vector<std::string> block_names;   ///< of the whole trunk
  std::vector<std::int64_t> exit_depths;  ///< trunk blocks before each exit of the whole network
  /// What ExitScores and FeatureCoder are made from; an edge file has the codec's encoder, a cloud
  /// file the decoder.
  Attachments attachments;

  /// Exits of the whole network up to the cut, which are the edge's; all when there is no cut.
  [[nodiscard]] std::int64_t num_edge_exits() const;
  /// Of this name, or null.
  [[nodiscard]] const Attachment* attachment(std::string_view name) const;
};

/// Throws IoError, DataError or ConfigError as `load_model` and `Plan::lower` do, and ConfigError
/// for a codec that was trained for another cut than the file's.
[[nodiscard]] ServedModel load_served_model(const std::filesystem::path& path);

}  // namespace branchy
