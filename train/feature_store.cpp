#include "train/feature_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <string>
#include <system_error>

#include "core/error.h"

namespace branchy {

namespace {

[[noreturn]] void fail(const std::filesystem::path& folder, std::size_t bytes, int error) {
  throw IoError(
      fmt::format("[{}] no room for {} MiB of a frozen trunk's values: {}; choose another "
                  "--out, or compute them each time with --no-cache-features",
                  folder.string(), bytes >> 20U, std::generic_category().message(error)));
}

/// A file without a name in `folder`, with its blocks reserved: a full disk shows here, not later.
int open_unnamed(const std::filesystem::path& folder, std::size_t bytes) {
  std::string name = (folder / "features.XXXXXX").string();
  const int file = ::mkostemp(name.data(), O_CLOEXEC);
  if (file < 0) fail(folder, bytes, errno);
  ::unlink(name.c_str());
  int error = EINTR;  // by Ctrl-C, which waits for the end of a batch
  while (error == EINTR) error = ::posix_fallocate(file, 0, static_cast<off_t>(bytes));
  if (error == 0) return file;
  ::close(file);
  fail(folder, bytes, error);
}

}  // namespace

FeatureStore::FeatureStore(std::int64_t rows, std::int64_t row_size, std::int64_t memory_limit,
                           const std::filesystem::path& folder)
    : rows_(rows), row_size_(row_size) {
  const std::int64_t bytes = bytes_of(rows, row_size);
  bytes_ = static_cast<std::size_t>(bytes);
  in_file_ = bytes > memory_limit;
  const int file = in_file_ ? open_unnamed(folder, bytes_) : -1;
  data_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                 in_file_ ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, file, 0);
  const int error = errno;
  if (file >= 0) ::close(file);
  if (data_ == MAP_FAILED) fail(folder, bytes_, error);
}

std::int64_t FeatureStore::bytes_of(std::int64_t rows, std::int64_t row_size) {
  constexpr auto kFloat = static_cast<std::int64_t>(sizeof(float));
  BRANCHY_DCHECK(rows > 0 && row_size > 0);
  BRANCHY_DCHECK(rows <= std::numeric_limits<std::int64_t>::max() / kFloat / row_size);
  return rows * row_size * kFloat;
}

FeatureStore::~FeatureStore() { ::munmap(data_, bytes_); }

std::span<float> FeatureStore::row(std::int64_t index) {
  BRANCHY_DCHECK(index >= 0 && index < rows_);
  return {static_cast<float*>(data_) + index * row_size_, static_cast<std::size_t>(row_size_)};
}

}  // namespace branchy
