#include "data/fetch.h"

#include <curl/curl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <system_error>

#include "core/error.h"
#include "data/digest.h"
#include "data/unpack.h"

namespace branchy {

namespace {

constexpr std::int64_t kMaxArchiveBytes = std::int64_t{2} << 30;
constexpr std::int64_t kRangeNotSatisfiable = 416;

struct FreeCurl {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

/// State of one connection, reached from libcurl's callbacks; these let no exception out.
struct Transfer {
  std::FILE* file = nullptr;
  std::int64_t present = 0;  // bytes in the file before this connection
  std::int64_t received = 0;
  int write_error = 0;
  const FetchOptions* options = nullptr;
};

std::size_t on_data(char* data, std::size_t /*one*/, std::size_t count, void* user) noexcept {
  auto* transfer = static_cast<Transfer*>(user);
  const std::int64_t total =
      transfer->present + transfer->received + static_cast<std::int64_t>(count);
  if (total > kMaxArchiveBytes) {
    transfer->write_error = EFBIG;
    return 0;
  }
  if (std::fwrite(data, 1, count, transfer->file) != count) {
    transfer->write_error = errno;
    return 0;
  }
  transfer->received += static_cast<std::int64_t>(count);
  return count;
}

int on_progress(void* user, curl_off_t total, curl_off_t now, curl_off_t /*up*/,
                curl_off_t /*up_now*/) noexcept {
  const auto* transfer = static_cast<const Transfer*>(user);
  if (!transfer->options->progress) return 0;
  try {
    transfer->options->progress(transfer->present + now, total > 0 ? transfer->present + total : 0);
  } catch (...) {
    return 1;
  }
  return 0;
}

std::int64_t size_of(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

struct Outcome {
  CURLcode code = CURLE_OK;
  long status = 0;
  std::int64_t received = 0;
  std::string text;
};

void set_options(CURL* handle, const std::string& url, Transfer& transfer, char* error_text) {
  const FetchOptions& options = *transfer.options;
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(handle, CURLOPT_MAXREDIRS, 5L);
  curl_easy_setopt(handle, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "branchy");
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error_text);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(options.connect_timeout_ms));
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME,
                   static_cast<long>((options.stall_timeout_ms + 999) / 1000));
  curl_easy_setopt(handle, CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(transfer.present));
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &on_data);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &on_progress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &transfer);
}

/// One connection that appends to `part`.
Outcome connect_once(const std::string& url, const std::filesystem::path& part,
                     const FetchOptions& options) {
  const std::unique_ptr<CURL, FreeCurl> handle(curl_easy_init());
  if (handle == nullptr) throw IoError("[fetch] libcurl cannot be started; check its installation");
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(part.c_str(), "ab"));
  if (file == nullptr)
    throw IoError(fmt::format("[{}] cannot write the download: {}; choose another --out",
                              part.string(), std::strerror(errno)));
  Transfer transfer{.file = file.get(), .present = size_of(part), .options = &options};
  std::array<char, CURL_ERROR_SIZE> error_text{};
  set_options(handle.get(), url, transfer, error_text.data());
  Outcome outcome;
  outcome.code = curl_easy_perform(handle.get());
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &outcome.status);
  outcome.received = transfer.received;
  outcome.text = error_text[0] != '\0' ? error_text.data() : curl_easy_strerror(outcome.code);
  if (std::fflush(file.get()) != 0 && transfer.write_error == 0) transfer.write_error = errno;
  if (transfer.write_error != 0)
    throw IoError(
        fmt::format("[{}] cannot write the download: {}; free some space or choose "
                    "another --out",
                    part.string(), std::strerror(transfer.write_error)));
  return outcome;
}

bool is_offline(CURLcode code) {
  return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT ||
         code == CURLE_COULDNT_RESOLVE_PROXY;
}

/// Downloads until the file is whole by the server's word.
void download(const std::string& url, const std::filesystem::path& part,
              const FetchOptions& options) {
  Outcome outcome;
  for (std::int64_t attempt = 0; attempt < options.attempts; ++attempt) {
    const std::int64_t present = size_of(part);
    outcome = connect_once(url, part, options);
    if (outcome.code == CURLE_OK) return;
    // The whole file was here already: the digest decides.
    if (outcome.status == kRangeNotSatisfiable && present > 0) return;
    if (is_offline(outcome.code))
      throw IoError(
          fmt::format("[{}] cannot reach the server ({}): this machine seems to be "
                      "offline; try again later, or use 'branchy data synth'",
                      url, outcome.text));
    if (outcome.code == CURLE_RANGE_ERROR)
      std::filesystem::resize_file(part, 0);  // the server cannot resume: from the start
    else if (outcome.code == CURLE_HTTP_RETURNED_ERROR || outcome.code == CURLE_ABORTED_BY_CALLBACK)
      break;
  }
  throw IoError(
      fmt::format("[{}] the download failed after {} bytes: {}; run the command again, it "
                  "continues from there",
                  url, size_of(part), outcome.text));
}

/// A directory that disappears unless it has been renamed.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(std::filesystem::path path) : path_(std::move(path)) {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
    std::filesystem::create_directories(path_);
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void check_digest(const DatasetArchive& archive, const std::filesystem::path& part) {
  const std::string found = file_digest(DigestKind::kMd5, part);
  if (found == archive.md5) return;
  const std::int64_t bytes = size_of(part);
  std::filesystem::remove(part);
  throw DataError(
      fmt::format("[{}] the download of {} bytes has md5 {}, expected {}; it was "
                  "removed, fetch it again",
                  archive.file, bytes, found, archive.md5));
}

}  // namespace

FetchResult fetch_archive(const DatasetArchive& archive, const std::filesystem::path& out_dir,
                          const FetchOptions& options) {
  const std::filesystem::path target = out_dir / archive.folder;
  try {
    if (std::filesystem::exists(target)) return {.folder = target, .already_present = true};
    std::filesystem::create_directories(out_dir);
    const std::filesystem::path part = out_dir / (archive.file + ".part");
    const std::string slash = options.base_url.ends_with('/') ? "" : "/";
    download(options.base_url + slash + archive.file, part, options);
    check_digest(archive, part);
    const ScratchDirectory scratch(out_dir / fmt::format(".{}.tmp.{}", archive.folder, ::getpid()));
    unpack_tar_gz(part, archive.folder, scratch.path());
    if (!std::filesystem::is_directory(scratch.path() / archive.folder))
      throw DataError(fmt::format("[{}] the archive holds no folder {}; report this", archive.file,
                                  archive.folder));
    std::filesystem::rename(scratch.path() / archive.folder, target);
    std::filesystem::remove(part);
    return {.folder = target};
  } catch (const std::filesystem::filesystem_error& error) {
    throw IoError(fmt::format("[{}] {}; check the permissions and free space",
                              error.path1().string(), error.code().message()));
  }
}

FetchResult fetch_dataset(std::string_view name, const std::filesystem::path& out_dir,
                          const FetchOptions& options) {
  // Digests as published on https://www.cs.toronto.edu/~kriz/cifar.html.
  if (name == "cifar10")
    return fetch_archive({.file = "cifar-10-binary.tar.gz",
                          .folder = "cifar-10-batches-bin",
                          .md5 = "c32a1d4ab5d03f1284b67883e8d87530"},
                         out_dir, options);
  if (name == "cifar100")
    return fetch_archive({.file = "cifar-100-binary.tar.gz",
                          .folder = "cifar-100-binary",
                          .md5 = "03b5dce01913d631647c71ecec9e9cb8"},
                         out_dir, options);
  throw ConfigError(
      fmt::format("[data fetch] unknown data set '{}', expected cifar10 or cifar100", name));
}

}  // namespace branchy
