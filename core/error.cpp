#include "core/error.h"

#include <fmt/core.h>

namespace branchy::detail {

void dcheck_failed(const char* condition, const char* file, int line) {
  throw std::logic_error(fmt::format("[{}:{}] internal invariant broken: {}; please report this",
                                     file, line, condition));
}

}  // namespace branchy::detail
