#include "train/codec_evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "data/jpeg_images.h"
#include "infer/batch_prediction.h"
#include "infer/device_digest.h"
#include "infer/feature_coder.h"
#include "train/server_part.h"

namespace branchy {

namespace {

void append_rows(const ExitOutput& output, const ModelInfo& info, ExitPredictions& exits) {
  const auto rows = predict_all(output.exit, output.logits, info.temperature(output.exit));
  auto& all = exits.predictions[static_cast<std::size_t>(output.exit - 1)];
  all.insert(all.end(), rows.begin(), rows.end());
}

/// The part behind the cut as it runs, and what it said so far.
class Server {
 public:
  Server(const LoadedModel& model, std::int64_t blocks)
      : info_(model.info),
        runner_(Plan::lower(*model.network, part_behind_cut(*model.network, blocks),
                            int8_ranges(model.info))) {}

  void add(const Tensor& feature, ExitPredictions& exits) {
    runner_.start(feature);
    while (runner_.has_next()) append_rows(runner_.next_exit(), info_, exits);
  }

 private:
  const ModelInfo& info_;
  ExitRunner runner_;
};

/// Sums of squares over a data set.
class RelativeError {
 public:
  void add(const Tensor& sent, const Tensor& feature) {
    const auto a = sent.data();
    const auto b = feature.data();
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double error = static_cast<double>(a[i]) - static_cast<double>(b[i]);
      error_ += error * error;
      norm_ += static_cast<double>(b[i]) * static_cast<double>(b[i]);
    }
  }
  [[nodiscard]] double value() const { return norm_ > 0.0 ? std::sqrt(error_ / norm_) : 0.0; }

 private:
  double error_ = 0.0, norm_ = 0.0;
};

/// 8 bits a value over the range of the training set: the baseline without encoder.
Tensor in_eight_bits(const Tensor& feature, const CodecRecord& record) {
  constexpr float kHighest = 255.0F;
  const float low = std::min(record.feature_min, 0.0F);
  const float step = std::max((record.feature_max - low) / kHighest, 1e-30F);
  Tensor sent(feature.shape());
  const auto from = feature.data();
  const auto to = sent.mutable_data();
  for (std::size_t i = 0; i < from.size(); ++i)
    to[i] = std::clamp(std::nearbyint((from[i] - low) / step), 0.0F, kHighest) * step + low;
  return sent;
}

/// The codec of `model` with each lossless stage.
struct Coders {
  explicit Coders(const LoadedModel& model)
      : attachment(model.attachments.at(std::string(kCodecAttachment))),
        none(attachment, with(model.info, LosslessStage::kNone)),
        zstd(attachment, with(model.info, LosslessStage::kZstd)),
        range(attachment, with(model.info, LosslessStage::kRange)) {}

  static ModelInfo with(ModelInfo info, LosslessStage stage) {
    info.records["codec.lossless"] = to_string(stage);
    return info;
  }
  [[nodiscard]] FeatureCoder& chosen(LosslessStage stage) {
    if (stage == LosslessStage::kNone) return none;
    return stage == LosslessStage::kZstd ? zstd : range;
  }

  const Attachment& attachment;
  FeatureCoder none, zstd, range;
};

void append_sizes(const std::vector<std::vector<std::byte>>& codes,
                  std::vector<std::int64_t>& bytes) {
  for (const auto& code : codes) bytes.push_back(std::ssize(code));
}

SentForm empty_form(const std::string& name, std::int64_t exits) {
  SentForm form{.name = name, .bytes = {}, .exits = {}};
  form.exits.predictions.resize(static_cast<std::size_t>(exits));
  return form;
}

void require_codec(const LoadedModel& model, const LoadedModel& base, const NetworkPart& before) {
  require_codec_weights(model);
  if (part_digest(*base.network, base.info, before) != read_codec_record(model.info).device_digest)
    throw DataError(
        "[codec eval] --base has other weights before the cut than the model; give the network "
        "that the codec was trained for");
}

SentForm evaluate_jpeg(std::int64_t quality, const LoadedModel& base,
                       const std::shared_ptr<const Dataset>& images, const ExitPredictions& device,
                       std::int64_t device_exits, const CodecEvaluationOptions& options) {
  const std::string name = fmt::format("jpeg {}", quality);
  SentForm form = empty_form(name, base.network->num_exits());
  const auto jpeg = std::make_shared<JpegImages>(images, quality);
  for (std::int64_t i = 0; i < jpeg->size(); ++i) {
    const JpegBytes bytes = count_jpeg_bytes(jpeg->file(i));
    form.bytes.push_back(bytes.file);
    form.fixed_bytes = bytes.file - bytes.scan;  // the same tables in every file
  }
  form.exits = predict_dataset(
      Plan::lower(*base.network, base.network->whole(), int8_ranges(base.info)), jpeg, base.info,
      options.batch, {.progress = [&](double share) { options.progress(name, share); }});
  for (std::int64_t exit = 0; exit < device_exits; ++exit)
    form.exits.predictions[static_cast<std::size_t>(exit)] =
        device.predictions[static_cast<std::size_t>(exit)];
  return form;
}

}  // namespace

CodecEvaluation evaluate_codec(const LoadedModel& model, const LoadedModel& base,
                               const std::shared_ptr<const Dataset>& images,
                               const CodecEvaluationOptions& options) {
  const CodecRecord record = read_codec_record(model.info);
  MultiExitNetwork& network = *model.network;
  const std::int64_t blocks = network.blocks_through(record.cut);
  const NetworkPart before = part_before_cut(network, blocks);
  require_codec(model, base, before);

  Coders coders(model);
  ExitRunner device(Plan::lower(network, before, int8_ranges(model.info)));
  Server server(model, blocks);
  Server base_server(base, blocks);
  const std::int64_t exits = network.num_exits();
  SentForm codec = empty_form("codec", exits);
  SentForm floats = empty_form("float32", exits);
  SentForm eight = empty_form("8 bit", exits);
  ExitPredictions early = empty_form("", exits).exits;
  CodecEvaluation result{.forms = {}, .stages = {}, .device_exits = before.last_exit};
  RelativeError codec_error;
  RelativeError eight_error;
  Loader loader(images,
                {.batch = options.batch, .normalization = {model.info.mean, model.info.std}});
  loader.start_epoch(0);
  while (const auto batch = loader.next()) {
    device.start(batch->images);
    while (device.has_next()) append_rows(device.next_exit(), model.info, early);
    const Tensor feature = device.feature();
    const auto codes = coders.chosen(record.lossless).encode_all(feature);
    append_sizes(codes, codec.bytes);
    append_sizes(coders.none.encode_all(feature), result.stages.none);
    append_sizes(coders.zstd.encode_all(feature), result.stages.zstd);
    append_sizes(coders.range.encode_all(feature), result.stages.range);
    const Tensor decoded = coders.chosen(record.lossless).decode_all(codes);
    codec_error.add(decoded, feature);
    server.add(decoded, codec.exits);
    if (options.baselines) {
      const Tensor coarse = in_eight_bits(feature, record);
      eight_error.add(coarse, feature);
      base_server.add(coarse, eight.exits);
      base_server.add(feature, floats.exits);
    }
    early.labels.insert(early.labels.end(), batch->labels.begin(), batch->labels.end());
    options.progress(
        "codec", static_cast<double>(early.labels.size()) / static_cast<double>(images->size()));
  }
  codec.relative_error = codec_error.value();
  eight.relative_error = eight_error.value();
  const std::int64_t values = network.feature_shape(blocks).size();
  floats.bytes.assign(early.labels.size(), 4 * values);
  eight.bytes.assign(early.labels.size(), values);
  result.forms.push_back(std::move(codec));
  if (options.baselines) {
    result.forms.push_back(std::move(floats));
    result.forms.push_back(std::move(eight));
  }
  for (SentForm& form : result.forms) {
    form.exits.labels = early.labels;
    for (std::int64_t exit = 0; exit < before.last_exit; ++exit)
      form.exits.predictions[static_cast<std::size_t>(exit)] =
          early.predictions[static_cast<std::size_t>(exit)];
  }
  for (const std::int64_t quality : options.jpeg_qualities)
    result.forms.push_back(evaluate_jpeg(quality, base, images, early, before.last_exit, options));
  return result;
}

SentReport report_sent(const SentForm& form, std::int64_t device_exits,
                       std::span<const float> thresholds) {
  SentReport report;
  double sent = 0.0;
  const auto exits = route(form.exits, thresholds);
  const auto total = static_cast<double>(exits.size());
  for (std::size_t i = 0; i < exits.size(); ++i) {
    const auto& rows = form.exits.predictions[static_cast<std::size_t>(exits[i] - 1)];
    report.accuracy += rows[i].label == form.exits.labels[i] ? 1.0 / total : 0.0;
    if (exits[i] <= device_exits) continue;
    sent += 1.0;
    report.sent_bytes += static_cast<double>(form.bytes[i]);
  }
  report.sent_share = sent / total;
  if (sent > 0.0) report.sent_bytes /= sent;
  return report;
}

}  // namespace branchy
