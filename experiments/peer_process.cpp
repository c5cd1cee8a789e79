#include "experiments/peer_process.h"

#include <fmt/core.h>

#include <array>
#include <cstdio>
#include <memory>
#include <regex>

#include "core/error.h"
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
  const std::regex pattern("([0-9]+(\\.[0-9]+)?) *" + unit);
  std::smatch match;
  if (!std::regex_search(output, match, pattern))
    throw DataError(fmt::format("[peer] '{}' printed no figure in {}: {}", command, unit,
                                output.substr(0, 200)));
  return std::stod(match[1]);
}

}  // namespace branchy
