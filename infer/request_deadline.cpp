#include "infer/request_deadline.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>

#include "core/printable.h"
#include "infer/wire_tensor.h"

namespace branchy {

std::optional<std::chrono::steady_clock::time_point> request_deadline(
    const HttpRequest& request, std::chrono::milliseconds fallback) {
  constexpr std::int64_t kMaxMs = 24LL * 3600 * 1000;
  const auto text = find_header(request.headers, kTimeoutHeader);
  if (!text) {
    if (fallback.count() == 0) return std::nullopt;
    return request.arrived + fallback;
  }
  std::int64_t ms = -1;
  const char* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, ms);
  if (error != std::errc() || stop != end || ms < 0 || ms > kMaxMs)
    throw HttpError(400, fmt::format("[header {}] is '{}', expected milliseconds 0..{}",
                                     kTimeoutHeader, printable(*text), kMaxMs));
  return request.arrived + std::chrono::milliseconds(ms);
}

}  // namespace branchy
