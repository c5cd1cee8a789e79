#include "infer/json_bounds.h"

#include <fmt/format.h>

#include "infer/wire_tensor.h"

namespace branchy {

void check_json_bounds(std::string_view text) {
  if (text.size() > kMaxJsonBytes) {
    throw HttpError(400, fmt::format("JSON part has {} bytes, at most {} are accepted; send "
                                     "tensors as binary data",
                                     text.size(), kMaxJsonBytes));
  }
  std::size_t depth = 0;
  std::size_t containers = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      ++containers;
      if (++depth > kMaxJsonDepth)
        throw HttpError(400, fmt::format("JSON is nested deeper than {}", kMaxJsonDepth));
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  if (containers > kMaxJsonContainers) {
    throw HttpError(400, fmt::format("JSON has {} arrays and objects, at most {} are accepted; "
                                     "send tensors as binary data",
                                     containers, kMaxJsonContainers));
  }
}

}  // namespace branchy
