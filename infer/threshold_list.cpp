#include "infer/threshold_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <locale>
#include <sstream>
#include <string>

#include "core/error.h"
#include "core/printable.h"

namespace branchy {

std::vector<float> parse_thresholds(std::string_view text) {
  std::vector<float> thresholds;
  std::size_t start = 0;
  for (;;) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    const std::string one(text.substr(start, comma - start));
    // Always the point, whatever the user's locale; operator>> refuses nan and inf.
    std::istringstream stream(one);
    stream.imbue(std::locale::classic());
    float value = 0;
    const bool read = static_cast<bool>(stream >> value) && stream.peek() == EOF;
    if (!read || !(value >= 0.0F && value <= 1.0F)) {
      throw ConfigError(fmt::format("[threshold] '{}' is no number within 0..1", printable(one)));
    }
    thresholds.push_back(value);
    if (comma == text.size()) return thresholds;
    start = comma + 1;
  }
}

}  // namespace branchy
