#include "experiments/peer_process.h"

#include <fmt/core.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string>
#include <system_error>

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
  const std::size_t end = output.find_last_not_of(' ', output.find(unit) - 1);
  const bool found = output.find(unit) != std::string::npos && end != std::string::npos;
  const std::size_t before = found ? output.find_last_not_of("0123456789.", end) : 0;
  const std::size_t begin = before == std::string::npos ? 0 : before + 1;
  double figure = 0.0;
  if (!found ||
      std::from_chars(output.data() + begin, output.data() + end + 1, figure).ec != std::errc())
    throw DataError(fmt::format("[peer] '{}' printed no figure in {}: {}", command, unit,
                                output.substr(0, 200)));
  return figure;
}

}  // namespace branchy
