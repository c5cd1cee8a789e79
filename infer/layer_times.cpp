#include "infer/layer_times.h"

#include <fmt/core.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/printable.h"
#include "core/provenance.h"

namespace branchy {

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kFormat = "branchy-layer-times-1";
constexpr double kLongestMs = 1e9;

double checked_ms(const json& value, const std::string& what) {
  if (!value.is_number()) throw DataError(what + " is no number, expected milliseconds");
  const auto ms = value.get<double>();
  if (!(ms >= 0.0 && ms <= kLongestMs))
    throw DataError(fmt::format("{} is {} ms, expected 0 to {:g}", what, ms, kLongestMs));
  return ms;
}

std::map<std::int64_t, double> times_by_exit(const json& document, const char* key) {
  std::map<std::int64_t, double> times;
  for (const json& entry : document.at(key)) {
    const auto exit = entry.at("exit").get<std::int64_t>();
    if (exit < 1) throw DataError(fmt::format("{} of exit {}, expected exits from 1", key, exit));
    const double ms = checked_ms(entry.at("median_ms"), fmt::format("{} of exit {}", key, exit));
    if (!times.emplace(exit, ms).second)
      throw DataError(fmt::format("{} of exit {} is there twice", key, exit));
  }
  return times;
}

std::optional<double> optional_ms(const json& document, const char* key) {
  const auto found = document.find(key);
  if (found == document.end() || found->is_null()) return {};
  return checked_ms(*found, key);
}

ordered_json list_by_exit(const std::map<std::int64_t, double>& times,
                          const std::map<std::int64_t, double>* p95) {
  ordered_json list = ordered_json::array();
  for (const auto& [exit, ms] : times) {
    list.push_back({{"exit", exit}, {"median_ms", ms}});
    if (p95 != nullptr) list.back()["p95_ms"] = p95->at(exit);
  }
  return list;
}

ordered_json optional_json(const std::optional<double>& ms) {
  return ms ? ordered_json(*ms) : ordered_json();
}

LayerTimes read_document(const json& document) {
  LayerTimes times;
  times.network = document.at("network").get<std::string>();
  times.classes = document.at("classes").get<std::int64_t>();
  times.early_exits = document.at("early_exits").get<std::int64_t>();
  times.cpu = document.at("cpu").get<std::string>();
  times.threads = std::stoll(document.at("threads").get<std::string>());
  times.runs = document.value("runs", std::int64_t{0});
  for (const json& block : document.at("blocks")) {
    const auto name = block.at("name").get<std::string>();
    times.blocks.push_back({name, checked_ms(block.at("median_ms"), "block " + printable(name))});
  }
  times.trunk = times_by_exit(document, "trunk");
  times.exits = times_by_exit(document, "exits");
  times.predictor = optional_ms(document, "predictor_ms");
  times.encoder = optional_ms(document, "encoder_ms");
  times.decoder = optional_ms(document, "decoder_ms");
  return times;
}

}  // namespace

std::string to_json(const LayerTimes& times, const LayerTimes* p95) {
  ordered_json document;
  for (const auto& [key, value] : provenance()) document[key] = value;
  document["format"] = kFormat;
  document["network"] = times.network;
  document["classes"] = times.classes;
  document["early_exits"] = times.early_exits;
  document["runs"] = times.runs;
  document["blocks"] = ordered_json::array();
  for (std::size_t i = 0; i < times.blocks.size(); ++i) {
    const LayerTimes::Block& block = times.blocks[i];
    document["blocks"].push_back({{"name", block.name}, {"median_ms", block.ms}});
    if (p95 != nullptr) document["blocks"].back()["p95_ms"] = p95->blocks.at(i).ms;
  }
  document["trunk"] = list_by_exit(times.trunk, p95 == nullptr ? nullptr : &p95->trunk);
  document["exits"] = list_by_exit(times.exits, p95 == nullptr ? nullptr : &p95->exits);
  document["predictor_ms"] = optional_json(times.predictor);
  document["encoder_ms"] = optional_json(times.encoder);
  document["decoder_ms"] = optional_json(times.decoder);
  if (p95 != nullptr) {
    if (p95->predictor) document["predictor_p95_ms"] = *p95->predictor;
    if (p95->encoder) document["encoder_p95_ms"] = *p95->encoder;
    if (p95->decoder) document["decoder_p95_ms"] = *p95->decoder;
  }
  return document.dump(2) + "\n";
}

LayerTimes parse_layer_times(std::string_view text, std::string_view place) {
  try {
    const json document = json::parse(text);
    if (!document.is_object() || document.value("format", std::string()) != kFormat)
      throw DataError(
          fmt::format("no layer times ({}); write some with `branchy-edge --measure`", kFormat));
    return read_document(document);
  } catch (const DataError& error) {
    throw DataError(fmt::format("[{}] {}", place, error.what()));
  } catch (const std::exception& error) {  // JSON's own, and of std::stoll
    throw DataError(fmt::format("[{}] holds no layer times: {}", place, printable(error.what())));
  }
}

LayerTimes load_layer_times(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file)
    throw IoError(
        fmt::format("[{}] cannot be read; give a file of `branchy-edge --measure`", path.string()));
  return parse_layer_times(text, path.string());
}

}  // namespace branchy
