// Until when a request is worth computing.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "infer/http_message.h"

namespace branchy {

/// Request header: milliseconds within which the client wants the answer, counted from the arrival
/// of the request's header; an integer 0..86400000.
inline constexpr std::string_view kTimeoutHeader = "Branchy-Timeout-Ms";

/// `request.arrived` plus what the header says, without it plus `fallback`; nothing when that is 0.
/// On the steady clock. Throws HttpError 400 for another value.
[[nodiscard]] std::optional<std::chrono::steady_clock::time_point> request_deadline(
    const HttpRequest& request, std::chrono::milliseconds fallback);

}  // namespace branchy
