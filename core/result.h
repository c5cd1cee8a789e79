// Result<T>: a value, or the reason why an ordinary outcome (a peer away, late or wrong) gave none.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "core/error.h"

namespace branchy {

/// What went wrong, coarse enough to act on.
enum class FailureKind {
  kRefused,     ///< no connection: refused, unreachable, name unknown
  kTimeout,     ///< the deadline passed
  kClosed,      ///< the peer closed before its answer was whole
  kProtocol,    ///< an answer came but breaks the protocol or does not fit the question
  kOverloaded,  ///< HTTP 503: the peer has too much to do, or is not ready yet
  kGateway,     ///< HTTP 502: a proxy reached nobody behind it
  kLate,        ///< HTTP 504: the peer gave up because of the time
  kDenied,      ///< HTTP 401 or 403
  kRejected,    ///< another HTTP 4xx: asking again would not help
  kFailed,      ///< any other HTTP status
};

/// `refused`, `timeout` and so on: the enumerator's name in lower case.
[[nodiscard]] constexpr std::string_view to_string(FailureKind kind) {
  switch (kind) {
    case FailureKind::kRefused:
      return "refused";
    case FailureKind::kTimeout:
      return "timeout";
    case FailureKind::kClosed:
      return "closed";
    case FailureKind::kProtocol:
      return "protocol";
    case FailureKind::kOverloaded:
      return "overloaded";
    case FailureKind::kGateway:
      return "gateway";
    case FailureKind::kLate:
      return "late";
    case FailureKind::kDenied:
      return "denied";
    case FailureKind::kRejected:
      return "rejected";
    case FailureKind::kFailed:
      return "failed";
  }
  return "unknown";
}

/// A kind and one line of text for the user.
struct Failure {
  FailureKind kind = FailureKind::kProtocol;
  std::string text;
  /// When the peer said (HTTP Retry-After, in seconds) how long to leave it alone.
  std::optional<std::chrono::seconds> retry_after = {};
};

/// Holds a T or a Failure. `value()` without one throws Error with the failure's text.
template <class T>
class [[nodiscard]] Result {
 public:
  // Implicit on purpose: `return value;` and `return Failure{...};` both read as what they mean.
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Failure failure) : content_(std::in_place_index<1>, std::move(failure)) {}

  [[nodiscard]] bool ok() const { return content_.index() == 0; }
  [[nodiscard]] explicit operator bool() const { return ok(); }

  [[nodiscard]] const T& value() const& {
    require_value();
    return std::get<0>(content_);
  }
  [[nodiscard]] T&& value() && {
    require_value();
    return std::get<0>(std::move(content_));
  }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] const T* operator->() const { return &value(); }
  /// Only when `!ok()`.
  [[nodiscard]] const Failure& failure() const { return std::get<1>(content_); }

 private:
  void require_value() const {
    if (!ok()) throw Error(failure().text);
  }

  std::variant<T, Failure> content_;
};

}  // namespace branchy
