// Result<T>: a value, or the reason why an ordinary outcome (a peer away, late or wrong) gave none.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "core/error.h"

namespace branchy {

/// What went wrong, coarse enough to act on.
enum class FailureKind {
  kRefused,   ///< no connection: refused, unreachable, name unknown, or an overloaded peer's 503
  kTimeout,   ///< the deadline passed
  kClosed,    ///< the peer closed before its answer was whole
  kProtocol,  ///< an answer came but breaks the protocol or does not fit the question
};

/// `refused`, `timeout`, `closed` or `protocol`.
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
  }
  return "unknown";
}

/// A kind and one line of text for the user.
struct Failure {
  FailureKind kind = FailureKind::kProtocol;
  std::string text;
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
