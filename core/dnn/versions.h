// Versions of the math libraries, as loaded.
#pragma once

#include <string>

namespace branchy::dnn {

[[nodiscard]] std::string onednn_version();    ///< "2.6.3"
[[nodiscard]] std::string openblas_version();  ///< OpenBLAS's own configuration string

}  // namespace branchy::dnn
