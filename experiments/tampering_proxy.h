// TamperingProxy: stands before a real cloud and spoils its answers, each in another way.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace branchy {

enum class Tampering {
  kNone,
  kGarbage,         ///< bytes that are no HTTP
  kHalfHeader,      ///< the connection closes inside the header
  kHalfBody,        ///< and inside the body
  kLongLength,      ///< Content-Length says more than comes; then the connection closes
  kShortLength,     ///< and less
  kNoJson,          ///< a 200 whose body is noise
  kWrongId,         ///< the answer to another request
  kWrongJsonBytes,  ///< Inference-Header-Content-Length beyond the body
  kServerError,     ///< 500
  kOverload,        ///< 503
};

[[nodiscard]] std::string_view to_string(Tampering tampering);
/// All of them, in turn: what a proxy does by default.
[[nodiscard]] std::vector<Tampering> all_tamperings();

/// Passes requests on to 127.0.0.1:`target_port` and their answers back, infer requests' answers
/// tampered with as `sequence` says, over and over. A thread a connection.
class TamperingProxy {
 public:
  explicit TamperingProxy(int target_port, std::vector<Tampering> sequence = all_tamperings());
  ~TamperingProxy();
  TamperingProxy(const TamperingProxy&) = delete;
  TamperingProxy& operator=(const TamperingProxy&) = delete;

  [[nodiscard]] int port() const;
  /// Infer answers so far.
  [[nodiscard]] std::int64_t num_tampered() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
