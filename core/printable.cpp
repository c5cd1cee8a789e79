#include "core/printable.h"

namespace branchy {

std::string printable(std::string_view text) {
  constexpr std::size_t kMaxShown = 80;
  std::string shown(text.substr(0, kMaxShown));
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return text.size() > kMaxShown ? shown + "..." : shown;
}

}  // namespace branchy
