// RequestRecord: what a cloud remembers of one request, for its log line and its metrics.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace branchy {

/// Seconds; a stage that a request did not reach is 0.
struct StageSeconds {
  double read = 0;        ///< first byte of the header to the checked message
  double batch_wait = 0;  ///< for others to join
  double queue = 0;       ///< for a worker
  double compute = 0;
  double write = 0;  ///< making the answer's bytes

  [[nodiscard]] double total() const { return read + batch_wait + queue + compute + write; }
};

struct RequestRecord {
  std::uint64_t number = 0;    ///< since the start of the process
  std::string client_id = {};  ///< the message's `id`
  std::string model = {}, version = {};
  int status = 0;
  std::int64_t rows = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0;  ///< of the bodies
  StageSeconds stages = {};
  std::string failure = {};  ///< one line, empty for success

  /// `ok`, or by the status: `bad_request`, `not_found`, `late`, `overloaded` or `error`.
  [[nodiscard]] std::string_view result() const;
};

/// One line without payload; what comes from the client is made printable and short.
[[nodiscard]] std::string log_line(const RequestRecord& record);

/// Writes `line` to standard error in one piece. A disk that is full or a reader that is gone loses
/// the line and nothing else.
void write_log_line(std::string_view program, std::string_view line) noexcept;

}  // namespace branchy
