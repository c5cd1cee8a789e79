// `branchy-experiments peers`: speed and memory beside PyTorch and ONNX Runtime.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_peers_command(CLI::App& app);

}  // namespace branchy
