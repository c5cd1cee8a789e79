#include "infer/edge_page.h"

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base64.h"
#include "core/error.h"
#include "data/digest.h"

namespace branchy {
namespace {

// What stands between <name> and </name>: what a browser hashes.
std::string_view element_text(std::string_view page, std::string_view name) {
  const std::string open = fmt::format("<{}>", name);
  const std::size_t start = page.find(open);
  const std::size_t end = page.find(fmt::format("</{}>", name), start);
  BRANCHY_DCHECK(start != std::string_view::npos && end != std::string_view::npos);
  return page.substr(start + open.size(), end - start - open.size());
}

// 'sha256-...' as Content Security Policy Level 3 wants it.
std::string source_hash(std::string_view text) {
  Digest digest(DigestKind::kSha256);
  digest.update({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  const std::string hex = digest.finish();
  std::vector<std::uint8_t> bytes;
  for (std::size_t at = 0; at < hex.size(); at += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(at, 2), nullptr, 16)));
  }
  return fmt::format("'sha256-{}'", base64(bytes));
}

std::string content_security_policy(std::string_view page) {
  return fmt::format(
      "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src 'self'; "
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      source_hash(element_text(page, "script")), source_hash(element_text(page, "style")));
}

}  // namespace

HttpResponse edge_page_response() {
  static const std::string policy = content_security_policy(edge_page_html());
  return {.headers = {{"Content-Type", "text/html; charset=utf-8"},
                      {"Content-Security-Policy", policy},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cache-Control", "no-cache"}},
          .body = std::string(edge_page_html())};
}

}  // namespace branchy
