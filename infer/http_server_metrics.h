// What every HTTP server of ours tells about itself on /metrics.
#pragma once

namespace branchy {

class HttpServer;
class MetricsRegistry;

/// Connections, bytes, answers by status and requests that wait to be read, before each text.
/// `server` lives until the last one.
void add_http_server_metrics(MetricsRegistry& registry, const HttpServer& server);

}  // namespace branchy
