#include "core/dnn/versions.h"

#include <cblas.h>
#include <fmt/core.h>

#include <dnnl.hpp>

namespace branchy::dnn {

std::string onednn_version() {
  const dnnl_version_t* version = dnnl_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

std::string openblas_version() {
  std::string text = openblas_get_config();
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

}  // namespace branchy::dnn
