#include "infer/metrics_registry.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <mutex>
#include <utility>

namespace branchy {
namespace {

prometheus::Labels to_labels(const MetricLabels& labels) { return {labels.begin(), labels.end()}; }

}  // namespace

struct MetricsRegistry::Impl {
  mutable std::mutex mutex;  // guards `bounds`; one text() at a time
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
  std::map<std::string, std::vector<double>> bounds;  // of histograms, by name
  std::vector<std::function<void()>> updates;
};

void CounterMetric::add(double amount) const { counter_->Increment(amount); }
double CounterMetric::value() const { return counter_->Value(); }
void CounterMetric::raise_to(double total) const {
  const double now = counter_->Value();
  if (total > now) counter_->Increment(total - now);
}

void GaugeMetric::set(double value) const { gauge_->Set(value); }
void GaugeMetric::add(double amount) const { gauge_->Increment(amount); }
double GaugeMetric::value() const { return gauge_->Value(); }

void HistogramMetric::observe(double value) const { histogram_->Observe(value); }

std::vector<double> seconds_buckets() {
  return {1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
}

std::vector<double> doubling_buckets(double largest) {
  std::vector<double> bounds{1};
  while (bounds.back() < largest) bounds.push_back(2 * bounds.back());
  return bounds;
}

MetricsRegistry::MetricsRegistry() : impl_(std::make_unique<Impl>()) {}
MetricsRegistry::~MetricsRegistry() = default;

CounterMetric MetricsRegistry::counter(const std::string& name, const std::string& help,
                                       const MetricLabels& labels) {
  auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry);
  return CounterMetric(family.Add(to_labels(labels)));
}

GaugeMetric MetricsRegistry::gauge(const std::string& name, const std::string& help,
                                   const MetricLabels& labels) {
  auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry);
  return GaugeMetric(family.Add(to_labels(labels)));
}

HistogramMetric MetricsRegistry::histogram(const std::string& name, const std::string& help,
                                           const std::vector<double>& bounds,
                                           const MetricLabels& labels) {
  auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(impl_->registry);
  const std::lock_guard lock(impl_->mutex);
  return HistogramMetric(
      family.Add(to_labels(labels), impl_->bounds.try_emplace(name, bounds).first->second));
}

void MetricsRegistry::before_text(std::function<void()> update) {
  const std::lock_guard lock(impl_->mutex);
  impl_->updates.push_back(std::move(update));
}

std::string MetricsRegistry::text() const {
  std::vector<prometheus::MetricFamily> families;
  {
    const std::lock_guard lock(impl_->mutex);
    for (const auto& update : impl_->updates) update();
    families = impl_->registry.Collect();
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace branchy
