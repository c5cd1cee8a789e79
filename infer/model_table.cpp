#include "infer/model_table.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/printable.h"
#include "infer/json_bounds.h"

namespace branchy {

using nlohmann::json;

std::uint64_t version_number(std::string_view text) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  const bool good = error == std::errc() && stop == end && text.front() != '0';
  return good ? number : 0;
}

std::shared_ptr<const ModelTable> ModelTable::of(std::shared_ptr<InferBackend> backend) {
  auto table = std::make_shared<ModelTable>();
  const std::string name = backend->describe().name;
  table->add(name, "1", std::move(backend));
  return table;
}

void ModelTable::add(const std::string& model, const std::string& version,
                     std::shared_ptr<InferBackend> backend) {
  const bool plain = model.find_first_not_of(
                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                         "0123456789_.-") == std::string::npos;
  if (model.empty() || !plain || model.front() == '.')
    throw ConfigError(
        fmt::format("[cloud] model name '{}' does not fit into a path; use letters, digits, '_', "
                    "'.' and '-', no '.' in front",
                    printable(model)));
  const std::uint64_t number = version_number(version);
  if (number == 0)
    throw ConfigError(fmt::format("[cloud] version '{}' of model {} is no number; name it 1, 2 ...",
                                  printable(version), model));
  ModelDescription description = backend->describe();
  description.name = model;
  description.version = version;
  if (!models_[model]
           .emplace(number, ServedVersion{std::move(backend), std::move(description)})
           .second)
    throw ConfigError(fmt::format("[cloud] version {} of model {} is there twice", version, model));
}

const ServedVersion* ModelTable::find(std::string_view model, std::string_view version) const {
  const auto found = models_.find(model);
  if (found == models_.end()) return nullptr;
  if (version.empty()) return &found->second.rbegin()->second;
  const auto one = found->second.find(version_number(version));
  return one == found->second.end() ? nullptr : &one->second;
}

std::vector<std::string> ModelTable::versions(std::string_view model) const {
  std::vector<std::string> list;
  const auto found = models_.find(model);
  if (found == models_.end()) return list;
  for (const auto& [number, served] : found->second) list.push_back(served.description.version);
  return list;
}

std::vector<std::string> ModelTable::models() const {
  std::vector<std::string> names;
  for (const auto& [name, versions] : models_) names.push_back(name);
  return names;
}

std::string repository_index_json(const ModelTable& table, bool ready_only) {
  json list = json::array();
  for (const std::string& model : table.models())
    for (const std::string& version : table.versions(model))
      list.push_back({{"name", model}, {"version", version}, {"state", "READY"}, {"reason", ""}});
  for (const FailedVersion& failed : table.failed()) {
    if (ready_only) break;
    if (table.find(failed.model, failed.version) != nullptr) continue;  // the old one is served
    list.push_back({{"name", failed.model},
                    {"version", failed.version},
                    {"state", "UNAVAILABLE"},
                    {"reason", failed.reason}});
  }
  return list.dump(-1, ' ', false, json::error_handler_t::replace);
}

bool wants_ready_only(std::string_view body) {
  if (body.empty()) return false;
  check_json_bounds(body);
  const json root = json::parse(body, nullptr, false);
  if (!root.is_object()) throw HttpError(400, "body is no JSON object, expected {\"ready\": true}");
  const auto ready = root.find("ready");
  return ready != root.end() && ready->is_boolean() && ready->get<bool>();
}

}  // namespace branchy
