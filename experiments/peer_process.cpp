#include "experiments/peer_process.h"

#include <fmt/core.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>

#include "core/error.h"
#include "core/printable.h"
#include "core/threads.h"

namespace branchy {

namespace {

std::string output_of(const std::string& command) {
  unpin_this_thread();  // the child inherits the CPUs of this thread
  std::string output;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw IoError(fmt::format("[peer] cannot start: {}", command));
  std::array<char, 4096> buffer{};
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe))
    output.append(buffer.data(), count);
  if (::pclose(pipe) != 0)
    throw IoError(fmt::format("[peer] failed: {}; run it by hand to see why", command));
  return output;
}

}  // namespace

double peer_figure(const std::string& command, const std::string& unit) {
  const std::string output = output_of(command);
  const std::size_t unit_begin = output.find(unit);
  std::string_view text;  // that ends with the figure
  if (unit_begin != std::string::npos) text = std::string_view(output).substr(0, unit_begin);
  text = text.substr(0, text.find_last_not_of(' ') + 1);
  text = text.substr(text.find_last_not_of("0123456789.") + 1);
  double figure = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), figure);
  if (error != std::errc() || end != text.data() + text.size() || figure <= 0.0)
    throw DataError(fmt::format("[peer] '{}' printed no figure above 0 in {}: '{}'", command, unit,
                                printable(output)));
  return figure;
}

}  // namespace branchy
