// FileServer: an HTTP/1.1 server on loopback that serves one body, with faults on demand.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace branchy::test {

struct FileServerOptions {
  std::string body;
  bool ranges = true;             ///< answers `Range: bytes=N-` with 206, otherwise with the whole
  int status = 200;               ///< another status is answered without the body
  std::int64_t break_after = -1;  ///< closes after so many bytes of body, if not negative ...
  int num_breaks = 0;             ///< ... in the first connections
};

/// Serves until destroyed, one connection at a time, each for one request.
class FileServer {
 public:
  explicit FileServer(FileServerOptions options);
  ~FileServer();
  FileServer(const FileServer&) = delete;
  FileServer& operator=(const FileServer&) = delete;

  /// `http://127.0.0.1:PORT/`.
  [[nodiscard]] std::string url() const;
  /// First byte asked for by each connection so far; 0 without a Range header.
  [[nodiscard]] std::vector<std::int64_t> range_starts() const;

 private:
  void serve();
  void answer(int connection);

  FileServerOptions options_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::vector<std::int64_t> range_starts_;
  std::thread thread_;
};

/// A port of loopback on which nobody listens.
[[nodiscard]] int closed_port();

}  // namespace branchy::test
