// `branchy tune`: measures which method computes each convolution of a network fastest.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_tune_command(CLI::App& app);

}  // namespace branchy
