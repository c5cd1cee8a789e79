// ResultOrder: hands on results of images in the order in which the images came.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>

#include "infer/edge_report.h"

namespace branchy {

/// Numbers images and brings their results, which come from several threads in any order, into that
/// of the numbers. Thread-safe.
class ResultOrder {
 public:
  using Sink = std::function<void(const EdgeResult&)>;

  /// `sink` is called by one thread at a time; `limit`: results that may be held back. Not
  /// `ordered`: results go on as they come.
  ResultOrder(bool ordered, std::size_t limit, Sink sink)
      : ordered_(ordered), limit_(limit), sink_(std::move(sink)) {}

  /// The next image's number. Blocks while `limit` results are held back. Throws what the sink has
  /// thrown.
  [[nodiscard]] std::int64_t begin();
  /// The result of an image that has begun; exactly one for each. Never throws.
  void add(std::int64_t number, EdgeResult result);
  /// Throws what the sink has thrown.
  void check() const;

 private:
  void hand_on(const EdgeResult& result);

  const bool ordered_;
  const std::size_t limit_;
  const Sink sink_;
  mutable std::mutex mutex_;
  std::condition_variable handed_on_;
  std::map<std::int64_t, EdgeResult> held_;  // results behind one that is not there yet
  std::int64_t num_begun_ = 0, num_handed_on_ = 0;
  std::exception_ptr failure_;
};

}  // namespace branchy
