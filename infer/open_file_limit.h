// The number of files, sockets included, that this process may have open.
#pragma once

#include <cstddef>

namespace branchy {

/// Raises the soft limit to the hard one, so that thousands of connections fit, and gives it.
std::size_t raise_open_file_limit();

}  // namespace branchy
