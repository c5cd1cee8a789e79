// What the programs' mains share: parsing, and errors to one line and an exit code.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace branchy {

/// Parses `argv` into `app`, whose callbacks do the work of a program with verbs, then runs `body`
/// if there is one. Gives the exit code: the body's, else 0; 0 for --help and --version, 2 for
/// wrong usage, 1 for a failure, each error as one line on stderr; the own code of a
/// CLI::RuntimeError.
int run_command_line(CLI::App& app, int argc, char** argv,
                     const std::function<int()>& body = nullptr);

}  // namespace branchy
