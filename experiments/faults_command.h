// `branchy-experiments faults`: what edges and clients get while something goes wrong.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_faults_command(CLI::App& app);

}  // namespace branchy
