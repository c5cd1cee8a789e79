#include "infer/listen_address.h"

#include <fmt/format.h>

#include <charconv>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {

ListenAddress parse_listen_address(std::string_view text, std::string_view place) {
  const auto reject = [&] {
    throw ConfigError(
        fmt::format("[{}] '{}', expected HOST:PORT, e.g. 127.0.0.1:8080 or [::1]:8080", place,
                    printable(text)));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) reject();
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (in_brackets) host = host.substr(1, host.size() - 2);
  if (host.empty() || (!in_brackets && host.find_first_of(":[]") != std::string_view::npos))
    reject();
  ListenAddress address{.host = std::string(host)};
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, address.port);
  if (error != std::errc() || stop != end || address.port < 0 || address.port > 65535) reject();
  return address;
}

}  // namespace branchy
