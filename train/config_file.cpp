#include "train/config_file.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <sstream>
#include <vector>

namespace branchy {

namespace {

std::string without_comment(const std::string& line) {
  char quote = '\0';  // the one that is open
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote == '\0' && c == '#') return line.substr(0, i);
    if (quote == '\0' && (c == '"' || c == '\''))
      quote = c;
    else if (c == quote)
      quote = '\0';
  }
  return line;
}

class TomlReader final : public CLI::ConfigTOML {
 public:
  TomlReader() { comment('\0'); }  // none is left when CLI11 reads

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::stringstream text;
    for (std::string line; std::getline(input, line);) text << without_comment(line) << '\n';
    return CLI::ConfigTOML::from_config(text);
  }
};

}  // namespace

void add_config_file(CLI::App& app, const std::string& file, const std::string& help) {
  app.set_config("--config", file, help);
  app.allow_config_extras(CLI::config_extras_mode::error);
  app.config_formatter(std::make_shared<TomlReader>());
}

}  // namespace branchy
