#include "experiments/expected_answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "core/error.h"
#include "core/printable.h"
#include "infer/exit_runner.h"
#include "infer/feature_coder.h"
#include "infer/pixel_input.h"
#include "infer/policies/max_probability.h"

namespace branchy {
namespace {

// Confidences this near to a threshold may fall on either side of it (rounding).
constexpr float kBorder = 1e-5F;

}  // namespace

std::vector<EdgeLine> parse_edge_lines(std::string_view text) {
  std::vector<EdgeLine> lines;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    try {
      const auto json = nlohmann::json::parse(line);
      lines.push_back({.index = json.at("index").get<std::int64_t>(),
                       .exit = json.at("exit").get<std::int64_t>(),
                       .label = json.at("class").get<std::int64_t>(),
                       .confidence = json.at("confidence").get<double>(),
                       .degraded = json.at("degraded").get<bool>(),
                       .from_cloud = json.at("where") == "cloud",
                       .reason = json.value("reason", "")});
    } catch (const nlohmann::json::exception& error) {
      throw DataError(
          fmt::format("[edge results] line {}: {}", lines.size() + 1, printable(error.what())));
    }
  }
  return lines;
}

ExpectedAnswers::ExpectedAnswers(const ServedModel& edge, const ServedModel& cloud,
                                 const Dataset& images, std::int64_t count, float threshold)
    : num_edge_exits_(edge.plan->part().last_exit), threshold_(threshold) {
  ExitRunner front(edge.plan), back(cloud.plan);
  std::optional<FeatureCoder> encoder, decoder;
  const Attachment* encoding = edge.attachment(kCodecAttachment);
  const Attachment* decoding = cloud.attachment(kCodecAttachment);
  if (encoding != nullptr && decoding != nullptr) {
    encoder.emplace(*encoding, edge.info);
    decoder.emplace(*decoding, cloud.info);
  }
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(images.image_shape().size()));
  for (std::int64_t i = 0; i < std::min(count, images.size()); ++i) {
    images.read(i, pixels);
    front.start(normalize_pixels(pixels, *edge.image_shape, edge.info));
    std::vector<Prediction> image;
    const auto take = [&](const ExitOutput& output) {
      image.push_back(
          predict(output.exit, output.logits.data(), edge.info.temperature(output.exit)));
    };
    while (front.has_next()) take(front.next_exit());
    Tensor feature = front.feature();
    if (encoder) {
      const std::vector<std::byte> code = encoder->encode(feature);
      code_bytes_ = std::max(code_bytes_, std::ssize(code));
      feature = decoder->decode(code);
    }
    back.start_after(cloud.cut_blocks, feature);
    while (back.has_next()) take(back.next_exit());
    predictions_.push_back(std::move(image));
  }
}

float ExpectedAnswers::middle_threshold() const {
  std::vector<float> values;
  for (const auto& image : predictions_)
    values.push_back(image.at(static_cast<std::size_t>(num_edge_exits_ - 1)).confidence);
  std::nth_element(values.begin(), values.begin() + std::ssize(values) / 2, values.end());
  return values.at(values.size() / 2);
}

std::int64_t ExpectedAnswers::num_offloaded() const {
  return std::count_if(predictions_.begin(), predictions_.end(), [this](const auto& image) {
    return expected_exit(image) > num_edge_exits_;
  });
}

std::int64_t ExpectedAnswers::expected_exit(const std::vector<Prediction>& image) const {
  for (const Prediction& prediction : image)
    if (should_exit(prediction.confidence, threshold_)) return prediction.exit;
  return image.back().exit;
}

bool ExpectedAnswers::on_the_threshold(const std::vector<Prediction>& image) const {
  return std::any_of(image.begin(), image.end(), [this](const Prediction& prediction) {
    return std::abs(prediction.confidence - threshold_) <= kBorder;
  });
}

std::string ExpectedAnswers::wrong_with(const EdgeLine& line) const {
  if (line.index < 0 || line.index >= size())
    return fmt::format("image {} of {}", line.index, size());
  const std::vector<Prediction>& image = predictions_[static_cast<std::size_t>(line.index)];
  if (line.exit < 1 || line.exit > std::ssize(image))
    return fmt::format("image {}: exit {}", line.index, line.exit);
  const Prediction& said = image[static_cast<std::size_t>(line.exit - 1)];
  if (said.label != line.label)
    return fmt::format("image {}: class {} of exit {}, expected {}", line.index, line.label,
                       line.exit, said.label);
  if (on_the_threshold(image)) return {};
  std::int64_t expected = expected_exit(image);
  if (line.degraded) {
    if (expected <= num_edge_exits_)
      return fmt::format("image {}: degraded, but exit {} is sure", line.index, expected);
    expected =
        most_confident(std::span(image).first(static_cast<std::size_t>(num_edge_exits_))).exit;
  }
  if (line.exit == expected) return {};
  return fmt::format("image {}: exit {}, expected {}{}", line.index, line.exit, expected,
                     line.degraded ? " (degraded)" : "");
}

}  // namespace branchy
