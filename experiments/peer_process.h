// Runs a peer program (PyTorch, ONNX Runtime) and reads a figure from what it prints.
#pragma once

#include <string>

namespace branchy {

/// Runs `command` in a shell on all CPUs and gives the number before `unit` in its standard output
/// ("... 457.33 ms/step, ..." with unit "ms/step"), which is above 0. Throws IoError when the
/// command fails, DataError when it prints no such figure.
[[nodiscard]] double peer_figure(const std::string& command, const std::string& unit);

}  // namespace branchy
