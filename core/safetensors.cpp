#include "core/safetensors.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/half.h"
#include "core/printable.h"
#include "core/safetensors_format.h"

namespace branchy {

using detail::kMaxHeaderBytes;
using detail::kMetadataKey;

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

namespace {

using NamedEntry = std::pair<std::string, SafetensorsEntry>;

std::string header_of(std::span<const NamedEntry> entries, const Metadata& metadata,
                      const std::string& place) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[std::string(kMetadataKey)] = metadata;
  std::size_t offset = 0;
  for (const auto& [name, entry] : entries) {
    if (name == kMetadataKey)
      throw DataError(fmt::format("[{}] cannot write a tensor named '{}'; give it another name",
                                  place, printable(name)));
    const std::size_t end = offset + entry.bytes.size();
    header[name] = {
        {"dtype", entry.dtype}, {"shape", entry.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  try {
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    return text;
  } catch (const nlohmann::json::exception&) {
    throw DataError(fmt::format("[{}] a name or metadata value is not UTF-8; rename it", place));
  }
}

}  // namespace

struct SafetensorsFile::Impl {
  explicit Impl(const std::filesystem::path& file) : path(file) {
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) refuse("open", errno);
    struct stat status {};
    int error = ::fstat(descriptor, &status) != 0 ? errno : 0;
    if (error == 0 && !S_ISREG(status.st_mode)) error = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
    if (error == 0 && status.st_size > 0) {
      const auto size = static_cast<std::size_t>(status.st_size);
      void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
      if (address == MAP_FAILED)
        error = errno;
      else
        bytes = {static_cast<const std::byte*>(address), size};
    }
    ::close(descriptor);
    if (error != 0) refuse("map", error);
  }
  ~Impl() {
    if (!bytes.empty()) ::munmap(const_cast<std::byte*>(bytes.data()), bytes.size());
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  [[noreturn]] void refuse(const char* action, int error) const {
    throw IoError(fmt::format("[{}] cannot {} the file: {}; check the path and its permissions",
                              path.string(), action, std::strerror(error)));
  }

  std::filesystem::path path;
  std::span<const std::byte> bytes;
  SafetensorsIndex index;
};

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : impl_(std::make_unique<Impl>(path)) {
  impl_->index = parse_safetensors(impl_->bytes, path.string());
}
SafetensorsFile::~SafetensorsFile() = default;
SafetensorsFile::SafetensorsFile(SafetensorsFile&&) noexcept = default;
SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&&) noexcept = default;

const Metadata& SafetensorsFile::metadata() const { return impl_->index.metadata; }
const std::map<std::string, SafetensorsEntry>& SafetensorsFile::entries() const {
  return impl_->index.entries;
}
const std::filesystem::path& SafetensorsFile::path() const { return impl_->path; }

bool SafetensorsFile::contains(std::string_view name) const {
  return entries().contains(std::string(name));
}

Tensor SafetensorsFile::tensor(std::string_view name) const {
  const auto found = entries().find(std::string(name));
  const std::string place = path().string();
  if (found == entries().end())
    throw DataError(fmt::format("[{}] holds no tensor '{}'; check that it belongs to this network",
                                place, printable(name)));
  return to_tensor(found->second, fmt::format("{}: tensor '{}'", place, printable(name)));
}

Tensor to_tensor(const SafetensorsEntry& entry, std::string_view place) {
  if (entry.dtype != "F32" && entry.dtype != "F16" && entry.dtype != "BF16")
    throw DataError(
        fmt::format("[{}] is {}, expected F32, F16 or BF16; convert the file", place, entry.dtype));
  if (std::ssize(entry.shape) > Shape::kMaxRank)
    throw DataError(fmt::format("[{}] has {} dimensions, expected at most {}; reshape it", place,
                                entry.shape.size(), Shape::kMaxRank));
  Tensor tensor{Shape(std::span<const std::int64_t>(entry.shape))};
  const auto values = tensor.mutable_data();
  if (entry.dtype == "F32") {
    if (!values.empty()) std::memcpy(values.data(), entry.bytes.data(), entry.bytes.size());
    return tensor;
  }
  const bool half = entry.dtype == "F16";
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, entry.bytes.data() + i * sizeof(bits), sizeof(bits));
    values[i] = half ? half_to_float(bits) : bfloat16_to_float(bits);
  }
  return tensor;
}

void write_safetensors(const std::filesystem::path& path,
                       const std::map<std::string, Tensor>& tensors, const Metadata& metadata) {
  std::vector<NamedEntry> entries;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined())
      throw DataError(
          fmt::format("[{}] cannot write a tensor named '{}' (undefined); give it a "
                      "value",
                      path.string(), printable(name)));
    const auto dims = tensor.shape().dims();
    entries.push_back({name,
                       {.dtype = "F32",
                        .shape = {dims.begin(), dims.end()},
                        .bytes = std::as_bytes(tensor.data())}});
  }
  write_safetensors_entries(path, entries, metadata);
}

void write_safetensors_entries(const std::filesystem::path& path,
                               std::span<const NamedEntry> entries, const Metadata& metadata) {
  const std::string header = header_of(entries, metadata, path.string());
  const auto header_bytes = static_cast<std::uint64_t>(header.size());
  if (header_bytes > kMaxHeaderBytes)
    throw DataError(
        fmt::format("[{}] the header would be {} bytes, expected at most {}; write less "
                    "metadata",
                    path.string(), header_bytes, kMaxHeaderBytes));
  AtomicFile file(path);
  file.write(std::as_bytes(std::span(&header_bytes, 1)));
  file.write(header);
  for (const auto& [name, entry] : entries) file.write(entry.bytes);
  file.commit();
}

}  // namespace branchy
