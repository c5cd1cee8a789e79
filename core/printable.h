// Text from a file or a peer, made fit for a message.
#pragma once

#include <string>
#include <string_view>

namespace branchy {

/// At most 80 bytes of `text`, then "..."; control characters are shown as '?', so that a message
/// stays one line and a terminal is safe.
[[nodiscard]] std::string printable(std::string_view text);
/// The same without a limit, for a message that is already one of ours.
[[nodiscard]] std::string one_line(std::string_view text);

}  // namespace branchy
