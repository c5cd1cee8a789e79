// The edge's live page: one HTML file, compiled in, that reads `/v2/edge/status`.
#pragma once

#include <string_view>

#include "infer/http_message.h"

namespace branchy {

/// The text of infer/edge_page.html.
[[nodiscard]] std::string_view edge_page_html();

/// The page with headers under which a browser runs nothing but its own script and style (known by
/// their SHA-256), loads nothing from elsewhere and shows it in no frame.
[[nodiscard]] HttpResponse edge_page_response();

}  // namespace branchy
