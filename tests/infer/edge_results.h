// Results of an edge as tests want them.
#pragma once

#include <cstdint>
#include <string>

#include "infer/edge_report.h"

namespace branchy::test {

struct ResultWish {
  std::int64_t exit = 1;
  bool from_cloud = false;
  std::string reason = {};  ///< not empty: degraded because of it
  double total_ms = 1;
};

[[nodiscard]] inline EdgeResult edge_result(const ResultWish& wish) {
  EdgeResult result;
  EdgeOutcome& outcome = result.outcome;
  outcome.prediction = {.exit = wish.exit, .label = 1, .confidence = 0.75F};
  outcome.last_exit = wish.exit;
  outcome.from_cloud = wish.from_cloud;
  outcome.degraded = !wish.reason.empty();
  outcome.reason = wish.reason;
  outcome.total_ms = wish.total_ms;
  return result;
}

}  // namespace branchy::test
