#include "train/codec_command.h"

#include <CLI/CLI.hpp>

namespace branchy {

void add_codec_command(CLI::App& app) {
  CLI::App* codec =
      app.add_subcommand("codec", "Send the feature at a cut in fewer bytes: a learned codec");
  codec->require_subcommand(1);
  add_codec_train_command(*codec);
  add_codec_eval_command(*codec);
}

}  // namespace branchy
