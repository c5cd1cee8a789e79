#include "infer/http_server_metrics.h"

#include <fmt/format.h>

#include <vector>

#include "infer/http_server.h"
#include "infer/metrics_registry.h"

namespace branchy {

void add_http_server_metrics(MetricsRegistry& registry, const HttpServer& server) {
  const auto total = [&](const char* name, const char* help, const MetricLabels& labels = {}) {
    return registry.counter(name, help, labels);
  };
  const GaugeMetric unread =
      registry.gauge("branchy_unread_requests", "Requests that wait to be read and checked.");
  const GaugeMetric open = registry.gauge("branchy_connections", "Connections open now.");
  const CounterMetric accepted =
      total("branchy_connections_accepted_total", "Connections accepted.");
  const CounterMetric refused =
      total("branchy_connections_refused_total", "Connections refused, too many were open.");
  const CounterMetric in =
      total("branchy_http_bytes_total", "HTTP, without TLS.", {{"direction", "in"}});
  const CounterMetric out =
      total("branchy_http_bytes_total", "HTTP, without TLS.", {{"direction", "out"}});
  std::vector<CounterMetric> responses;
  for (int hundred = 1; hundred <= 5; ++hundred)
    responses.push_back(total("branchy_http_responses_total", "Answers of any kind by status.",
                              {{"status", fmt::format("{}xx", hundred)}}));
  registry.before_text([=, &server] {
    const HttpServer::Stats stats = server.stats();
    unread.set(static_cast<double>(stats.queue_length));
    open.set(static_cast<double>(stats.connections_open));
    accepted.raise_to(static_cast<double>(stats.connections_accepted));
    refused.raise_to(static_cast<double>(stats.connections_refused));
    in.raise_to(static_cast<double>(stats.bytes_in));
    out.raise_to(static_cast<double>(stats.bytes_out));
    for (std::size_t i = 0; i < responses.size(); ++i)
      responses[i].raise_to(static_cast<double>(stats.responses[i + 1]));
  });
}

}  // namespace branchy
