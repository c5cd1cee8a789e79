// `branchy-experiments tables`: the papers' tables of counts, shapes and places beside branchy's.
#pragma once

namespace CLI {
class App;
}

namespace branchy {

void add_tables_command(CLI::App& app);

}  // namespace branchy
