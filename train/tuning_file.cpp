#include "train/tuning_file.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/provenance.h"

namespace branchy {

namespace {

using nlohmann::ordered_json;

/// What a measurement holds for, as one text.
std::string machine() {
  const auto facts = provenance();
  const std::map<std::string, std::string> by_name(facts.begin(), facts.end());
  return fmt::format("{}, {} threads, branchy {}, oneDNN {}", by_name.at("cpu"),
                     by_name.at("threads"), by_name.at("version"), by_name.at("onednn"));
}

ordered_json read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return ordered_json::object();
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  auto json = ordered_json::parse(text, nullptr, false);
  if (!json.is_object())
    throw DataError(fmt::format(
        "[{}] is no tuning file: expected a JSON object; delete it, or give another --tuning",
        path.string()));
  return json;
}

}  // namespace

std::filesystem::path default_tuning_file() {
  const auto folder = [](const char* variable, const char* below) -> std::filesystem::path {
    const char* value = std::getenv(variable);
    if (value == nullptr || *value == '\0') return {};
    return std::filesystem::path(value) / below;
  };
  const auto cache = folder("XDG_CACHE_HOME", "branchy");
  const auto base = cache.empty() ? folder("HOME", ".cache/branchy") : cache;
  return base.empty() ? base : base / "convolutions.json";
}

dnn::ConvolutionTable load_tuning(const std::filesystem::path& path) {
  const ordered_json json = read(path);
  const auto found = json.find(machine());
  if (found == json.end()) return {};
  return dnn::ConvolutionTable::parse(found->dump(), path.string());
}

void save_tuning(const std::filesystem::path& path, const dnn::ConvolutionTable& table) {
  ordered_json json = read(path);
  json[machine()] = ordered_json::parse(table.to_json());
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
  write_file_atomically(path, json.dump(2) + "\n");
}

std::shared_ptr<const dnn::ConvolutionTable> tuning_of(const std::string& option) {
  if (option == "none") return nullptr;
  const bool automatic = option == "auto";
  const std::filesystem::path path =
      automatic ? default_tuning_file() : std::filesystem::path(option);
  if (path.empty()) return nullptr;
  auto table = std::make_shared<dnn::ConvolutionTable>(load_tuning(path));
  if (!table->empty()) return table;
  if (automatic) return nullptr;
  throw ConfigError(
      fmt::format("[--tuning] {} has no measurements for {}; make some by `branchy tune --out {}`",
                  path.string(), machine(), path.string()));
}

}  // namespace branchy
