// safetensors: named tensors with string metadata in one file.
// Format: 8 bytes little-endian header length N, N bytes of JSON, then the data buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace branchy {

/// Metadata of a safetensors file: string to string, ordered by key.
using Metadata = std::map<std::string, std::string>;

/// One tensor of a file as its header describes it.
struct SafetensorsEntry {
  std::string dtype;  ///< "F32", "I64", ...
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  ///< points into the mapped file
};

/// Bytes of one element ("F32": 4); 0 for a dtype that the format does not have.
[[nodiscard]] std::uint64_t dtype_bytes(std::string_view dtype);

/// A copy of an F32, F16 or BF16 tensor in float32. Throws DataError, starting with `place`, for
/// another dtype or a rank above Shape::kMaxRank.
[[nodiscard]] Tensor to_tensor(const SafetensorsEntry& entry, std::string_view place);

/// A safetensors file, mapped read-only. The constructor checks the whole header against the file
/// (length, JSON, duplicate keys, dtypes, offsets without holes or overlaps, sizes with overflow
/// checks) before anything is allocated by its word; a violation throws DataError that names it.
class SafetensorsFile {
 public:
  /// Throws IoError when the file cannot be opened or mapped, DataError when it breaks the format.
  explicit SafetensorsFile(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&&) noexcept;

  [[nodiscard]] const Metadata& metadata() const;
  [[nodiscard]] const std::map<std::string, SafetensorsEntry>& entries() const;
  [[nodiscard]] bool contains(std::string_view name) const;
  /// to_tensor() of the entry of this name; throws DataError when absent.
  [[nodiscard]] Tensor tensor(std::string_view name) const;
  [[nodiscard]] const std::filesystem::path& path() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Checks and indexes a header and buffer held in memory; what SafetensorsFile does after mapping,
/// and the fuzz target's entry point. `place` starts every message. Spans point into `bytes`. Files
/// of torch.save are told from damaged ones, with the way to convert them.
struct SafetensorsIndex {
  Metadata metadata;
  std::map<std::string, SafetensorsEntry> entries;
};
[[nodiscard]] SafetensorsIndex parse_safetensors(std::span<const std::byte> bytes,
                                                 std::string_view place);

/// Writes F32 tensors and metadata through AtomicFile: ordered by name, header padded with spaces
/// to a multiple of 8. The same input gives the same bytes.
void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, Tensor>& tensors, const Metadata& metadata);

/// Writes tensors of any dtype in the order given; `entry.bytes` are theirs. Otherwise as above.
/// Throws DataError for a name or metadata value that no reader would take.
void write_safetensors_entries(const std::filesystem::path& path,
                               std::span<const std::pair<std::string, SafetensorsEntry>> entries,
                               const Metadata& metadata);

}  // namespace branchy
