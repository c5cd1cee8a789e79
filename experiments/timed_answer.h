// Posts to a server and tells when each line of its answer came.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "infer/http_message.h"

namespace branchy {

struct TimedLine {
  double ms = 0;  ///< since the request began to be sent
  std::string text;
};

struct TimedAnswer {
  int status = 0;
  std::vector<TimedLine> lines = {};  ///< of the body; the last one may lack its '\n'
  double total_ms = 0;                ///< until the end of the body
  std::int64_t bytes_sent = 0;        ///< with the head
};

/// One kept-alive connection, opened at the first request. Blocking; one thread at a time.
class TimedClient {
 public:
  /// Numeric host, no TLS.
  explicit TimedClient(HttpUrl url);
  ~TimedClient();
  TimedClient(const TimedClient&) = delete;
  TimedClient& operator=(const TimedClient&) = delete;

  /// Throws IoError when the connection fails or the answer is not whole within `timeout`.
  [[nodiscard]] TimedAnswer post(const std::string& path, const HttpHeaders& headers,
                                 const std::string& body,
                                 std::chrono::milliseconds timeout = std::chrono::seconds(60));

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
