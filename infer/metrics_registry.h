// MetricsRegistry: counters, gauges and histograms, and their text in Prometheus's format 0.0.4.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace branchy {

/// Of the body that `MetricsRegistry::text()` gives.
inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

/// Few values each: an exit, a model, a result; never an id or a path.
using MetricLabels = std::vector<std::pair<std::string, std::string>>;

/// A number that only grows. Handles of all three kinds are pointers: cheap to copy and valid while
/// the registry lives; their functions are thread-safe and cost an atomic addition (a histogram an
/// uncontended lock), so resolve them once and keep them.
class CounterMetric {
 public:
  explicit CounterMetric(prometheus::Counter& counter) : counter_(&counter) {}
  void add(double amount = 1) const;
  [[nodiscard]] double value() const;
  /// For a total that is counted elsewhere; call from `MetricsRegistry::before_text` alone.
  void raise_to(double total) const;

 private:
  prometheus::Counter* counter_;
};

/// A number that goes up and down.
class GaugeMetric {
 public:
  explicit GaugeMetric(prometheus::Gauge& gauge) : gauge_(&gauge) {}
  void set(double value) const;
  void add(double amount) const;
  [[nodiscard]] double value() const;

 private:
  prometheus::Gauge* gauge_;
};

/// How often a number fell into which range.
class HistogramMetric {
 public:
  explicit HistogramMetric(prometheus::Histogram& histogram) : histogram_(&histogram) {}
  void observe(double value) const;

 private:
  prometheus::Histogram* histogram_;
};

/// Upper bounds of buckets for times in seconds: 0.1 ms to 10 s, three a decade.
[[nodiscard]] std::vector<double> seconds_buckets();
/// 1, 2, 4 ... up to at least `largest` (>= 1).
[[nodiscard]] std::vector<double> doubling_buckets(double largest);

/// Thread-safe. Names and labels are as Prometheus wants them: `branchy_` in front, base units
/// (`_seconds`, `_bytes`), `_total` behind counters. The first call with a name makes the family;
/// one more with the same name and labels gives the same metric. Throws std::invalid_argument for
/// a malformed name or label, or a name that already has another type.
class MetricsRegistry {
 public:
  MetricsRegistry();
  ~MetricsRegistry();
  MetricsRegistry(const MetricsRegistry&) = delete;
  MetricsRegistry& operator=(const MetricsRegistry&) = delete;

  CounterMetric counter(const std::string& name, const std::string& help,
                        const MetricLabels& labels = {});
  GaugeMetric gauge(const std::string& name, const std::string& help,
                    const MetricLabels& labels = {});
  /// `bounds`: upper bounds of the buckets, rising; those of the first call with `name` hold.
  HistogramMetric histogram(const std::string& name, const std::string& help,
                            const std::vector<double>& bounds, const MetricLabels& labels = {});

  /// `update` is called at the start of each `text()`, one call at a time: for what others count.
  /// It must not call `text()`, and what it refers to must live until the last `text()`.
  void before_text(std::function<void()> update);
  /// The body of GET /metrics.
  [[nodiscard]] std::string text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
