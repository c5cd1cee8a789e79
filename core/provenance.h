// Provenance: what every result file says about how it was made.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace branchy {

/// Key and value, in order: command line, version, commit the binary was built from, CPU model,
/// threads, compiler, oneDNN and OpenBLAS versions, date (UTC).
[[nodiscard]] std::vector<std::pair<std::string, std::string>> provenance();

/// "0.1.0 (commit abc123)".
[[nodiscard]] std::string version_string();

}  // namespace branchy
