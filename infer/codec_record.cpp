#include "infer/codec_record.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "infer/range_coder.h"
#include "layers/metadata_reader.h"

namespace branchy {

namespace {

constexpr std::size_t kMaxChannels = 65536;

[[noreturn]] void refuse(const std::string& key, const std::string& came,
                         const std::string& expected) {
  throw DataError(
      fmt::format("[codec] record {} {}, expected {}; train the codec again", key, came, expected));
}

const std::string& text(const ModelInfo& info, const std::string& key) {
  const auto record = info.records.find(key);
  if (record == info.records.end()) refuse(key, "is missing", "a trained codec");
  return record->second;
}

template <typename Number>
Number number(const std::string& key, const std::string& value, const std::string& expected) {
  Number result{};
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result);
  if (error != std::errc{} || end != value.data() + value.size())
    refuse(key, fmt::format("is '{:.40}'", value), expected);
  return result;
}

/// One line a channel, numbers separated by commas; ones at the end of a line are left out.
std::string to_text(const LevelFrequencies& frequencies) {
  std::string lines;
  for (const auto& channel : frequencies) {
    std::size_t used = channel.size();
    while (used > 1 && channel[used - 1] == 1) --used;
    lines += fmt::format(
        "{}{}", lines.empty() ? "" : "\n",
        fmt::join(channel.begin(), channel.begin() + static_cast<std::ptrdiff_t>(used), ","));
  }
  return lines;
}

LevelFrequencies read_frequencies(const std::string& key, const std::string& lines,
                                  std::size_t levels) {
  LevelFrequencies frequencies;
  for (const std::string& line : split_text(lines, '\n')) {
    std::vector<std::uint32_t> channel;
    std::uint64_t sum = 0;
    for (const std::string& part : split_text(line, ',')) {
      channel.push_back(number<std::uint32_t>(key, part, "integers separated by commas"));
      sum += channel.back();
      if (channel.back() == 0 || channel.size() > levels) break;
    }
    if (channel.empty() || channel.back() == 0 || channel.size() > levels ||
        sum + (levels - channel.size()) != kFrequencySum)
      refuse(key, fmt::format("has a line of {} numbers with sum {}", channel.size(), sum),
             fmt::format("lines of at most {} numbers above 0 with sum {}", levels, kFrequencySum));
    channel.resize(levels, 1);
    frequencies.push_back(std::move(channel));
    if (frequencies.size() > kMaxChannels) refuse(key, "is too long", "a line for each channel");
  }
  return frequencies;
}

}  // namespace

LosslessStage parse_lossless(std::string_view name) {
  for (const auto stage : {LosslessStage::kNone, LosslessStage::kZstd, LosslessStage::kRange})
    if (name == to_string(stage)) return stage;
  throw ConfigError(
      fmt::format("[codec] lossless stage '{:.40}', expected none, zstd or range", name));
}

std::string_view to_string(LosslessStage stage) {
  switch (stage) {
    case LosslessStage::kNone:
      return "none";
    case LosslessStage::kZstd:
      return "zstd";
    case LosslessStage::kRange:
      return "range";
  }
  return "none";
}

void write_record(const CodecRecord& record, ModelInfo& info) {
  auto& records = info.records;
  records["codec.cut"] = record.cut;
  records["codec.bits"] = std::to_string(record.bits);
  records["codec.scale"] = fmt::format("{}", record.scale);
  records["codec.lossless"] = to_string(record.lossless);
  records["codec.frequencies"] = to_text(record.frequencies);
  records["codec.device_digest"] = record.device_digest;
  records["codec.feature_range"] = fmt::format("{},{}", record.feature_min, record.feature_max);
}

CodecRecord read_codec_record(const ModelInfo& info) {
  CodecRecord record;
  record.cut = text(info, "codec.cut");
  record.bits = number<std::int64_t>("codec.bits", text(info, "codec.bits"), "8 or 4");
  if (record.bits != 8 && record.bits != 4)
    refuse("codec.bits", fmt::format("is {}", record.bits), "8 or 4");
  record.scale = number<float>("codec.scale", text(info, "codec.scale"), "a number above 0");
  if (!std::isfinite(record.scale) || record.scale <= 0.0F)
    refuse("codec.scale", fmt::format("is {}", record.scale), "a number above 0");
  try {
    record.lossless = parse_lossless(text(info, "codec.lossless"));
  } catch (const ConfigError&) {
    refuse("codec.lossless", fmt::format("is '{:.40}'", text(info, "codec.lossless")),
           "none, zstd or range");
  }
  record.frequencies = read_frequencies("codec.frequencies", text(info, "codec.frequencies"),
                                        std::size_t{1} << static_cast<unsigned>(record.bits));
  record.device_digest = text(info, "codec.device_digest");
  const auto range = split_text(text(info, "codec.feature_range"), ',');
  if (range.size() != 2)
    refuse("codec.feature_range", fmt::format("has {} numbers", range.size()), "two");
  record.feature_min = number<float>("codec.feature_range", range[0], "two numbers");
  record.feature_max = number<float>("codec.feature_range", range[1], "two numbers");
  return record;
}

}  // namespace branchy
