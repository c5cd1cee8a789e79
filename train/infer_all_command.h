// `branchy infer-all`: the logits of every exit over a data set, into a file.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_infer_all_command(CLI::App& app);

}  // namespace branchy
