// FeatureStore: rows of floats in memory or, above a limit, in a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace branchy {

/// A table of `rows` x `row_size` floats, zero at first, in memory or in a file. The file has no
/// name: it goes with the store, however the program ends.
class FeatureStore {
 public:
  /// More than `memory_limit` bytes lie in a file in `folder`. Throws IoError when there is no
  /// room.
  FeatureStore(std::int64_t rows, std::int64_t row_size, std::int64_t memory_limit,
               const std::filesystem::path& folder);
  ~FeatureStore();
  FeatureStore(const FeatureStore&) = delete;
  FeatureStore& operator=(const FeatureStore&) = delete;

  [[nodiscard]] static std::int64_t bytes_of(std::int64_t rows, std::int64_t row_size);
  [[nodiscard]] std::span<float> row(std::int64_t index);
  [[nodiscard]] std::int64_t bytes() const { return static_cast<std::int64_t>(bytes_); }
  [[nodiscard]] bool in_file() const { return in_file_; }

 private:
  std::int64_t rows_, row_size_;
  std::size_t bytes_;
  bool in_file_;
  void* data_ = nullptr;
};

}  // namespace branchy
