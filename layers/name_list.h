// A list of names for a message of one line.
#pragma once

#include <span>
#include <string>

namespace branchy {

/// The first four, separated by commas, "and 7 more".
[[nodiscard]] std::string name_list(std::span<const std::string> names);

}  // namespace branchy
