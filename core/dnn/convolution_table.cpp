#include "core/dnn/convolution_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/printable.h"

namespace branchy::dnn {

namespace {

std::shared_ptr<const ConvolutionTable>& table_in_use() {
  static std::shared_ptr<const ConvolutionTable> table;
  return table;
}

thread_local ConvolutionListing* listing = nullptr;

}  // namespace

std::string convolution_name(const ConvolutionSpec& spec, ConvolutionPass pass) {
  const Shape& src = spec.src;
  std::string name = fmt::format("{} {}x{}x{}x{} o{} k{} s{} p{}", to_string(pass), src[0], src[1],
                                 src[2], src[3], spec.out, spec.kernel, spec.stride, spec.padding);
  if (spec.groups > 1) name += fmt::format(" g{}", spec.groups);
  if (spec.transposed) name += " transposed";
  return name;
}

std::optional<ConvolutionMethod> ConvolutionTable::find(const std::string& name) const {
  const auto found = methods_.find(name);
  if (found == methods_.end()) return std::nullopt;
  return found->second;
}

std::string ConvolutionTable::to_json() const {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [name, method] : methods_) json[name] = std::string(to_string(method));
  return json.dump();
}

ConvolutionTable ConvolutionTable::parse(std::string_view text, std::string_view place) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object())
    throw DataError(fmt::format("[{}] expected a JSON object of convolutions and methods", place));
  ConvolutionTable table;
  for (const auto& [name, method] : json.items()) {
    if (!method.is_string())
      throw DataError(fmt::format("[{}] '{}' has no method", place, printable(name)));
    try {
      table.set(name, convolution_method_of(method.get<std::string>(), place));
    } catch (const ConfigError& error) {
      throw DataError(error.what());
    }
  }
  return table;
}

void use_convolution_table(std::shared_ptr<const ConvolutionTable> table) {
  std::atomic_store(&table_in_use(), std::move(table));
}

std::shared_ptr<const ConvolutionTable> convolution_table() {
  return std::atomic_load(&table_in_use());
}

ConvolutionListing::ConvolutionListing() : outer_(listing) { listing = this; }
ConvolutionListing::~ConvolutionListing() { listing = outer_; }

void ConvolutionListing::note(const ConvolutionSpec& spec, ConvolutionPass pass) {
  if (listing == nullptr) return;
  auto& entries = listing->entries_;
  const std::string name = convolution_name(spec, pass);
  const bool known = std::any_of(entries.begin(), entries.end(), [&](const Entry& entry) {
    return convolution_name(entry.first, entry.second) == name;
  });
  if (!known) entries.emplace_back(spec, pass);
}

}  // namespace branchy::dnn
