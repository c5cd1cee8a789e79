// The folder of --out.
#pragma once

#include <filesystem>

namespace branchy {

/// Makes it, with those above it, unless it is there. Throws IoError when it cannot be made.
void make_out_folder(const std::filesystem::path& folder);

}  // namespace branchy
