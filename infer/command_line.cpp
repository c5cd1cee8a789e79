#include "infer/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "core/error.h"
#include "core/provenance.h"

namespace branchy {
namespace {

constexpr int kFailure = 1;
constexpr int kUsage = 2;

int report(const CLI::App& app, std::string text, int code) {
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  // Not fmt::print: it throws when stderr's disk is full.
  std::fputs(fmt::format("{}: {}\n", app.get_name(), text).c_str(), stderr);
  return code;
}

}  // namespace

int run_command_line(CLI::App& app, int argc, char** argv, const std::function<int()>& body) {
  app.set_version_flag("--version", version_string());
  try {
    app.parse(argc, argv);
    return body ? body() : 0;
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::RuntimeError& error) {  // a verb's own exit code, as of an interruption
    return error.get_exit_code();
  } catch (const CLI::ParseError& error) {
    return report(app, fmt::format("{}; see {} --help", error.what(), app.get_name()), kUsage);
  } catch (const ConfigError& error) {
    return report(app, error.what(), kUsage);
  } catch (const std::exception& error) {
    return report(app, error.what(), kFailure);
  }
}

}  // namespace branchy
