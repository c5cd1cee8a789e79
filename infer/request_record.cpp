#include "infer/request_record.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <exception>

#include "core/printable.h"

namespace branchy {
namespace {

constexpr std::size_t kMaxLoggedBytes = 64;  // of a client's text

std::string client_text(std::string_view text) {
  const bool cut = text.size() > kMaxLoggedBytes;
  return printable(text.substr(0, kMaxLoggedBytes)) + (cut ? "..." : "");
}

}  // namespace

std::string_view RequestRecord::result() const {
  if (status < 400) return "ok";
  if (status == 404) return "not_found";
  if (status == 503) return "overloaded";
  if (status == 504) return "late";
  return status < 500 ? "bad_request" : "error";
}

std::string log_line(const RequestRecord& record) {
  const StageSeconds& stages = record.stages;
  std::string line = fmt::format(
      "request {} id='{}' model={}/{} status={} rows={} bytes_in={} bytes_out={} read_ms={:.3f} "
      "batch_wait_ms={:.3f} queue_ms={:.3f} compute_ms={:.3f} write_ms={:.3f}",
      record.number, client_text(record.client_id), client_text(record.model),
      client_text(record.version), record.status, record.rows, record.bytes_in, record.bytes_out,
      1e3 * stages.read, 1e3 * stages.batch_wait, 1e3 * stages.queue, 1e3 * stages.compute,
      1e3 * stages.write);
  if (!record.failure.empty()) line += " failure: " + one_line(record.failure);
  return line;
}

void write_log_line(std::string_view program, std::string_view line) noexcept {
  try {
    const std::string text = fmt::format("{}: {}\n", program, line);
    std::string_view rest = text;
    while (!rest.empty()) {
      const ssize_t written = ::write(STDERR_FILENO, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return;
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
  } catch (const std::exception&) {
    return;  // no memory for a line: it is lost
  }
}

}  // namespace branchy
