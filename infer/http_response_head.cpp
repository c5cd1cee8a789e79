#include "infer/http_response_head.h"

#include <fmt/format.h>

#include <array>
#include <boost/beast/http/status.hpp>
#include <ctime>
#include <iterator>
#include <string_view>

namespace branchy {
namespace {

void append_field_text(std::string& head, std::string_view text) {
  for (const char c : text) head += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
}

// RFC 9110 section 5.6.7; the names of the C locale, whatever the process's is.
void append_date(std::string& head) {
  constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  if (::gmtime_r(&now, &utc) == nullptr) return;
  fmt::format_to(std::back_inserter(head), "Date: {}, {:02} {} {:04} {:02}:{:02}:{:02} GMT\r\n",
                 kDays[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                 kMonths[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour,
                 utc.tm_min, utc.tm_sec);
}

}  // namespace

std::string http_response_head(const HttpResponse& response, const HttpFraming& framing) {
  namespace http = boost::beast::http;
  const auto reason = http::obsolete_reason(static_cast<http::status>(response.status));
  std::string head;
  head.reserve(512);
  auto out = std::back_inserter(head);
  fmt::format_to(out, "HTTP/1.1 {} {}\r\nServer: branchy\r\n", response.status,
                 std::string_view(reason.data(), reason.size()));
  append_date(head);
  for (const auto& [name, value] : response.headers) {
    append_field_text(head, name);
    head += ": ";
    append_field_text(head, value);
    head += "\r\n";
  }
  if (framing.content_length) {
    fmt::format_to(out, "Content-Length: {}\r\n", *framing.content_length);
  } else if (!framing.http_1_0) {
    head += "Transfer-Encoding: chunked\r\n";
  }
  if (!framing.keep_alive) {
    head += "Connection: close\r\n";
  } else if (framing.http_1_0) {
    head += "Connection: keep-alive\r\n";
  }
  head += "\r\n";
  return head;
}

}  // namespace branchy
