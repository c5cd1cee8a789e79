// CloudMetrics: what a cloud counts, resolved once so that a request costs a few atomic additions.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "infer/batcher.h"
#include "infer/edge_exit_report.h"
#include "infer/http_server.h"
#include "infer/metrics_registry.h"
#include "infer/request_record.h"

namespace branchy {

/// Those of one model; cheap to copy.
struct ModelMetrics {
  std::map<std::string, CounterMetric, std::less<>> requests;  ///< by RequestRecord::result()
  std::vector<CounterMetric> exits;                            ///< rows, by exit from 1
};

/// Thread-safe. The names are in README.md.
class CloudMetrics {
 public:
  /// `max_rows` of a batch, for its histogram. `registry` outlives this object.
  CloudMetrics(MetricsRegistry& registry, std::int64_t max_rows);

  /// The same for the same model, at any time.
  [[nodiscard]] std::shared_ptr<const ModelMetrics> model(const std::string& name,
                                                          std::int64_t num_exits);
  /// A request of an unknown model is counted under the model `""`.
  void count(const RequestRecord& record, const ModelMetrics& model) const;
  [[nodiscard]] std::shared_ptr<const ModelMetrics> unknown_model() const { return unknown_; }
  /// On the worker that computed it, whose number of threads it asks for.
  void count_batch(const BatchReport& batch) const;
  /// Each row's exit.
  static void count_exits(const std::vector<std::int32_t>& exits, const ModelMetrics& model);
  void count_edge_exits(const EdgeExitCounts& counts);
  void count_reload(bool good) const;

  /// Before each text: length of the queue, and what the server counts. `waiting` and `server` live
  /// until the last text.
  void watch(const HttpServer& server, std::function<std::size_t()> waiting);

 private:
  MetricsRegistry& registry_;
  std::shared_ptr<const ModelMetrics> unknown_;
  HistogramMetric read_, batch_wait_, queue_, compute_, write_, total_, batch_rows_,
      batch_requests_;
  CounterMetric body_in_, body_out_, compute_cpu_, reloads_, failed_reloads_;
};

}  // namespace branchy
