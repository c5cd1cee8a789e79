// Unpacking of a gzipped tar archive that is not trusted.
#pragma once

#include <filesystem>
#include <string_view>

namespace branchy {

/// Unpacks the regular files of `archive` below `out_dir`. Every entry must be a regular file or a
/// directory inside `folder` (relative, no "..", no links or devices), 4 GiB in all; anything else
/// throws DataError before it is written. Throws IoError when reading or writing fails.
void unpack_tar_gz(const std::filesystem::path& archive, std::string_view folder,
                   const std::filesystem::path& out_dir);

}  // namespace branchy
