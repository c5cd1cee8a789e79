// The verb `codec`: trains and evaluates feature codecs.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

/// Adds `codec` with `train` and `eval` to the command line.
void add_codec_command(CLI::App& app);

void add_codec_train_command(CLI::App& codec);
void add_codec_eval_command(CLI::App& codec);

}  // namespace branchy
