#include "train/out_folder.h"

#include <fmt/core.h>

#include <system_error>

#include "core/error.h"

namespace branchy {

void make_out_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    throw IoError(fmt::format("[{}] cannot create the folder: {}; choose another --out",
                              folder.string(), error.message()));
}

}  // namespace branchy
