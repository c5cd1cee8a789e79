#include "experiments/recorded_features.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <span>

#include "core/error.h"
#include "core/safetensors.h"
#include "infer/exit_runner.h"
#include "infer/pixel_input.h"

namespace branchy {
namespace {

constexpr std::string_view kFormat = "branchy-features-1";

void append(std::vector<float>& all, const Tensor& row) {
  all.insert(all.end(), row.data().begin(), row.data().end());
}

Shape with_rows(std::int64_t rows, const Shape& row) {
  std::vector<std::int64_t> dims(row.dims().begin(), row.dims().end());
  dims.at(0) = rows;
  return Shape(dims);
}

}  // namespace

RecordedFeatures record_features(const ServedModel& edge, const ServedModel& cloud,
                                 const Dataset& images, std::int64_t count) {
  if (!edge.feature_shape || !edge.image_shape || edge.info.cut != cloud.info.cut ||
      edge.info.config.name != cloud.info.config.name)
    throw ConfigError(fmt::format(
        "[record] the files are cut after '{}' of {} and '{}' of {}, expected the edge and the "
        "cloud file of one `branchy export`",
        edge.info.cut, edge.info.config.name, cloud.info.cut, cloud.info.config.name));
  RecordedFeatures recorded{.model = cloud.info.config.name,
                            .cut = cloud.info.cut,
                            .exit = cloud.info.config.early_exits + 1};
  ExitRunner front(edge.plan), back(cloud.plan);
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(images.image_shape().size()));
  std::vector<float> features, logits;
  const std::int64_t rows = std::min(count, images.size());
  for (std::int64_t i = 0; i < rows; ++i) {
    images.read(i, pixels);
    front.start(normalize_pixels(pixels, *edge.image_shape, edge.info));
    const Tensor feature = front.feature();
    back.start_after(cloud.cut_blocks, feature);
    append(features, feature);
    append(logits, back.run_to(recorded.exit).logits);
    recorded.labels.push_back(images.label(i));
  }
  recorded.features = Tensor::from(with_rows(rows, *edge.feature_shape), features);
  recorded.logits = Tensor::from(Shape{rows, cloud.info.config.classes}, logits);
  return recorded;
}

void save_features(const std::filesystem::path& path, const RecordedFeatures& recorded) {
  std::vector<float> labels;
  for (const std::int64_t label : recorded.labels) labels.push_back(static_cast<float>(label));
  write_safetensors(path,
                    {{"features", recorded.features},
                     {"logits", recorded.logits},
                     {"labels", Tensor::from(Shape{std::ssize(labels)}, labels)}},
                    {{"format", std::string(kFormat)},
                     {"model", recorded.model},
                     {"cut", recorded.cut},
                     {"exit", std::to_string(recorded.exit)}});
}

RecordedFeatures load_features(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  const auto value = [&](const std::string& key) {
    const auto found = file.metadata().find(key);
    return found == file.metadata().end() ? std::string() : found->second;
  };
  if (value("format") != kFormat)
    throw DataError(
        fmt::format("[{}] holds no recorded features; make it with --record", path.string()));
  RecordedFeatures recorded{.model = value("model"), .cut = value("cut")};
  const std::string exit = value("exit");
  std::from_chars(exit.data(), exit.data() + exit.size(), recorded.exit);
  recorded.features = file.tensor("features");
  recorded.logits = file.tensor("logits");
  for (const float label : file.tensor("labels").data())
    recorded.labels.push_back(static_cast<std::int64_t>(label));
  const bool fits = recorded.features.shape().dims().size() == 4 &&
                    recorded.logits.shape().dims().size() == 2 && recorded.size() > 0 &&
                    recorded.logits.dim(0) == recorded.size() &&
                    std::ssize(recorded.labels) == recorded.size() && recorded.exit > 0;
  if (!fits)
    throw DataError(fmt::format("[{}] features {}, logits {} and {} labels do not belong together",
                                path.string(), recorded.features.shape().to_string(),
                                recorded.logits.shape().to_string(), recorded.labels.size()));
  return recorded;
}

}  // namespace branchy
