// MetadataReader: typed values out of the metadata of a model file.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/safetensors.h"
#include "layers/network.h"
#include "layers/network_options.h"

namespace branchy {

/// Every error is a DataError that names file and key, what came and what was expected.
class MetadataReader {
 public:
  /// `metadata` must outlive this; `place` names where they come from.
  MetadataReader(const Metadata& metadata, std::string place)
      : metadata_(metadata), place_(std::move(place)) {}
  explicit MetadataReader(const SafetensorsFile& file)
      : MetadataReader(file.metadata(), file.path().string()) {}

  [[nodiscard]] bool has(const std::string& key) const { return metadata_.contains(key); }
  /// Throws when the key is missing.
  [[nodiscard]] const std::string& text(const std::string& key) const;
  /// "" when the key is missing.
  [[nodiscard]] std::string optional_text(const std::string& key) const;
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t low,
                                     std::int64_t high) const;
  /// Finite numbers separated by commas; none when the key is missing.
  [[nodiscard]] std::vector<float> floats(const std::string& key) const;
  [[nodiscard]] std::array<float, 3> three_floats(const std::string& key) const;
  /// Lines KEY=VALUE; none when the key is missing.
  [[nodiscard]] NetworkOptions options(const std::string& key) const;
  /// `prefix`first_block and so on.
  [[nodiscard]] NetworkPart part(const std::string& prefix) const;

  /// For a value that is there; it is shown.
  [[noreturn]] void refuse_value(const std::string& key, const std::string& expected) const;
  [[noreturn]] void fail(const std::string& key, const std::string& came,
                         const std::string& expected) const;

 private:
  const Metadata& metadata_;
  std::string place_;
};

/// The parts of `text` between separators; none of an empty text.
[[nodiscard]] std::vector<std::string> split_text(const std::string& text, char separator);

/// The keys of `part`, the inverse of `MetadataReader::part`.
void add_part(Metadata& metadata, const std::string& prefix, const NetworkPart& part);

}  // namespace branchy
