// The verb `branchy adapt`: thresholds that keep a mean-latency limit at every bandwidth.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_adapt_command(CLI::App& app);

}  // namespace branchy
