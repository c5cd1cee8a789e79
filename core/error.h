// Error types. A message names the place, what came, what was expected and the remedy, in one line.
#pragma once

#include <stdexcept>
#include <string>

namespace branchy {

/// Base of every exception the project throws on purpose. `what()` is one line for the user.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
};

/// A tensor or layer was given a shape that it cannot take.
class ShapeError : public Error {
 public:
  using Error::Error;
};

/// A flag, option or configuration value is absurd or inconsistent (exit code 2: usage).
class ConfigError : public Error {
 public:
  using Error::Error;
};

/// The operating system refused a file, directory, socket or lock.
class IoError : public Error {
 public:
  using Error::Error;
};

/// A file was read but its content breaks its format.
class DataError : public Error {
 public:
  using Error::Error;
};

/// A peer's message breaks the wire protocol.
class ProtocolError : public Error {
 public:
  using Error::Error;
};

/// A computation left the finite numbers (NaN or infinity).
class NumericError : public Error {
 public:
  using Error::Error;
};

namespace detail {
[[noreturn]] void dcheck_failed(const char* condition, const char* file, int line);
}  // namespace detail

/// Internal invariant; never for user input. Active in every build: the checks guard no hot loop.
#define BRANCHY_DCHECK(condition) \
  ((condition) ? void(0) : ::branchy::detail::dcheck_failed(#condition, __FILE__, __LINE__))

}  // namespace branchy
