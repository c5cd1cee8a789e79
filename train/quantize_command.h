// branchy quantize: a model whose convolutions are computed in 8 bits.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_quantize_command(CLI::App& app);

}  // namespace branchy
