// LoadGenerator: many kept-alive connections that send recorded features and check every answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/recorded_features.h"
#include "infer/http_message.h"

namespace branchy {

struct LoadOptions {
  HttpUrl url;  ///< numeric host, no TLS
  std::int64_t connections = 256;
  std::int64_t rows = 1;  ///< features of a request
  double rate = 0;  ///< requests a second, equally spaced; 0: each connection as fast as it can
  std::chrono::milliseconds duration{60'000};  ///< of sending
  std::int64_t limit = 0;                      ///< requests in all; 0: by duration alone
  std::chrono::milliseconds timeout{10'000};   ///< of an attempt
  /// A request that met an error is sent again until it is so old; then it is lost.
  std::chrono::milliseconds patience{0};
  HttpHeaders headers = {};  ///< sent with each request, e.g. a token
  /// Largest difference of a logit from the recorded one, relative to the largest of its row.
  double tolerance = 1e-3;
};

struct LoadReport {
  std::int64_t sent = 0;  ///< requests, repeated ones once
  std::int64_t right = 0, wrong = 0, lost = 0;
  std::int64_t retries = 0;
  std::map<std::string, std::int64_t> errors;  ///< of attempts, by kind
  std::string first_wrong;                     ///< says what was wrong, for people
  std::vector<double> latencies_ms;            ///< of right answers, from when the request was due
  double seconds = 0;                          ///< from the first request to the last answer
};

/// Runs on one thread of its own from the constructor on.
///
/// 1. An answer is right when it carries the request's unique id and, for each row, the recorded
///    exit, class and logits (within the tolerance: a batch rounds differently). Features differ,
///    so another client's answer is never right.
/// 2. With a rate, a request is due whether or not the one before is answered (open loop); it waits
///    for a free connection, and its latency counts from when it was due.
class LoadGenerator {
 public:
  /// `recorded` is not changed while this lives. Throws ConfigError for options out of range.
  LoadGenerator(const RecordedFeatures& recorded, LoadOptions options);
  /// Stops at once.
  ~LoadGenerator();
  LoadGenerator(const LoadGenerator&) = delete;
  LoadGenerator& operator=(const LoadGenerator&) = delete;

  /// Right answers so far; from any thread.
  [[nodiscard]] std::int64_t answered() const;
  /// No new requests; those under way are still answered or lost.
  void stop();
  /// Waits until everything is answered or lost.
  [[nodiscard]] LoadReport finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The body and head of an infer request for rows [first, first + rows), without an id's digits.
[[nodiscard]] std::string feature_request(const RecordedFeatures& recorded, const HttpUrl& url,
                                          std::int64_t first, std::int64_t rows,
                                          const HttpHeaders& headers, std::string_view id);

/// "" when `body` answers the request for those rows rightly, else what is wrong.
[[nodiscard]] std::string wrong_with(const RecordedFeatures& recorded, std::int64_t first,
                                     std::int64_t rows, std::string_view id, double tolerance,
                                     std::string_view body,
                                     std::optional<std::string_view> json_bytes);

}  // namespace branchy
