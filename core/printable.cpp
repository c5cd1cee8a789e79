#include "core/printable.h"

namespace branchy {

std::string printable(std::string_view text) {
  constexpr std::size_t kMaxShown = 80;
  const std::string shown = one_line(text.substr(0, kMaxShown));
  return text.size() > kMaxShown ? shown + "..." : shown;
}

std::string one_line(std::string_view text) {
  std::string shown(text);
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return shown;
}

}  // namespace branchy
