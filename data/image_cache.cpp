#include "data/image_cache.h"

#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "data/digest.h"

namespace branchy {

namespace {

// An entry: these numbers as 8 little-endian bytes each (magic with version, height, width,
// checksum), then the pixels.
constexpr std::uint64_t kMagic = 0x31'47'4D'49'59'52'42ULL;  // "BRYIMG1"
constexpr std::size_t kHeaderNumbers = 4;
constexpr std::size_t kHeaderBytes = 8 * kHeaderNumbers;
constexpr std::uint64_t kMaxSide = 16'384;

using Header = std::array<std::uint64_t, kHeaderNumbers>;

/// FNV-1a over words of 8 bytes: finds what a crash before the data reached the disk leaves.
std::uint64_t checksum_of(const std::vector<std::uint8_t>& pixels) {
  constexpr std::uint64_t kBasis = 0xCBF29CE484222325ULL;
  constexpr std::uint64_t kPrime = 0x100000001B3ULL;
  std::uint64_t sum = kBasis;
  for (std::size_t at = 0; at < pixels.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, pixels.data() + at, std::min<std::size_t>(8, pixels.size() - at));
    sum = (sum ^ word) * kPrime;
    sum ^= sum >> 32U;
  }
  return sum;
}

std::array<std::uint8_t, kHeaderBytes> to_bytes(const Header& header) {
  std::array<std::uint8_t, kHeaderBytes> bytes{};
  for (std::size_t i = 0; i < kHeaderBytes; ++i)
    bytes.at(i) = static_cast<std::uint8_t>(header.at(i / 8) >> (8 * (i % 8)));
  return bytes;
}

Header from_bytes(const std::array<std::uint8_t, kHeaderBytes>& bytes) {
  Header header{};
  for (std::size_t i = 0; i < kHeaderBytes; ++i)
    header.at(i / 8) |= std::uint64_t{bytes.at(i)} << (8 * (i % 8));
  return header;
}

[[noreturn]] void refuse(const std::filesystem::path& path, const std::string& cause) {
  throw IoError(
      fmt::format("[{}] cannot write the image cache: {}; free space or choose another "
                  "--cache",
                  path.string(), cause));
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) refuse(folder, error.message());
}

}  // namespace

ImageCache::ImageCache(std::filesystem::path folder) : folder_(std::move(folder)) {
  make_folder(folder_);
}

std::filesystem::path ImageCache::entry_of(const std::filesystem::path& image,
                                           std::string_view transforms) const {
  std::error_code error;
  const auto absolute = std::filesystem::weakly_canonical(image, error);
  const auto size = error ? 0 : std::filesystem::file_size(image, error);
  if (error)
    throw IoError(fmt::format("[{}] cannot read the image: {}; check the path", image.string(),
                              error.message()));
  const auto modified = std::filesystem::last_write_time(image, error);
  const std::string key = fmt::format("{}\n{}\n{}\n{}", absolute.string(), size,
                                      modified.time_since_epoch().count(), transforms);
  Digest digest(DigestKind::kSha256);
  digest.update({reinterpret_cast<const std::uint8_t*>(key.data()), key.size()});
  const std::string name = digest.finish();
  return folder_ / name.substr(0, 2) / (name.substr(2) + ".img");
}

std::optional<Image> ImageCache::load(const std::filesystem::path& entry) const {
  std::ifstream file(entry, std::ios::binary);
  std::array<std::uint8_t, kHeaderBytes> bytes{};
  if (!file.read(reinterpret_cast<char*>(bytes.data()), kHeaderBytes)) return std::nullopt;
  const auto [magic, height, width, checksum] = from_bytes(bytes);
  if (magic != kMagic || height < 1 || width < 1 || height > kMaxSide || width > kMaxSide)
    return std::nullopt;
  std::error_code error;
  const std::uint64_t pixel_bytes = 3 * height * width;
  if (std::filesystem::file_size(entry, error) != kHeaderBytes + pixel_bytes || error)
    return std::nullopt;
  Image image{.height = static_cast<std::int64_t>(height),
              .width = static_cast<std::int64_t>(width),
              .pixels = std::vector<std::uint8_t>(pixel_bytes)};
  if (!file.read(reinterpret_cast<char*>(image.pixels.data()),
                 static_cast<std::streamsize>(pixel_bytes)) ||
      checksum_of(image.pixels) != checksum)
    return std::nullopt;
  return image;
}

void ImageCache::store(const std::filesystem::path& entry, const Image& image) const {
  static std::atomic<std::uint64_t> counter{0};  // two threads may store the same entry
  make_folder(entry.parent_path());
  const std::filesystem::path temporary =
      fmt::format("{}.tmp.{}.{}", entry.string(), ::getpid(), counter++);
  const auto header =
      to_bytes({kMagic, static_cast<std::uint64_t>(image.height),
                static_cast<std::uint64_t>(image.width), checksum_of(image.pixels)});
  {
    std::ofstream file(temporary, std::ios::binary);
    file.write(reinterpret_cast<const char*>(header.data()), kHeaderBytes);
    file.write(reinterpret_cast<const char*>(image.pixels.data()), std::ssize(image.pixels));
    file.close();
    if (!file) {
      const std::string cause = std::strerror(errno);
      std::error_code ignored;
      std::filesystem::remove(temporary, ignored);
      refuse(temporary, cause);
    }
  }
  std::error_code error;
  std::filesystem::rename(temporary, entry, error);
  if (error) refuse(entry, error.message());
}

}  // namespace branchy
