// The files of experiments/reference, compiled into the program.
#pragma once

#include <span>
#include <string_view>

namespace branchy {

[[nodiscard]] std::span<const std::string_view> reference_texts();

}  // namespace branchy
