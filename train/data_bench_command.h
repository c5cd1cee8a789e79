// `branchy data bench`: how many images a second the loader delivers, and what takes the time.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

/// Adds `bench` to the verb `data`.
void add_data_bench_command(CLI::App& data);

}  // namespace branchy
