#include "experiments/metrics_text.h"

#include <cstdlib>

#include "infer/http_client.h"

namespace branchy {

std::string fetch_metrics(int port) {
  HttpClient client({.host = "127.0.0.1", .port = port});
  const auto answer = client.exchange({.target = "/metrics"}, std::chrono::seconds(5));
  return answer && answer->response.status == 200 ? answer->response.body : std::string();
}

double metric_sum(std::string_view text, std::string_view name, std::string_view labels) {
  double sum = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.starts_with(name)) continue;
    const std::string_view rest = line.substr(name.size());
    const std::size_t space = rest.rfind(' ');
    if (space == std::string_view::npos || (rest[0] != ' ' && rest[0] != '{')) continue;
    if (rest.substr(0, space).find(labels) == std::string_view::npos) continue;
    sum += std::strtod(std::string(rest.substr(space + 1)).c_str(), nullptr);
  }
  return sum;
}

}  // namespace branchy
