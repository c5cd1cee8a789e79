// `branchy-experiments codec-curve`: accuracy against bytes, from the results of codec eval.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_codec_curve_command(CLI::App& app);

}  // namespace branchy
