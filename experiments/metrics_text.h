// Reads figures from what /metrics answers.
#pragma once

#include <string>
#include <string_view>

namespace branchy {

/// GET http://127.0.0.1:PORT/metrics; "" when there is none.
[[nodiscard]] std::string fetch_metrics(int port);

/// Sum over all label sets of the metric of this name whose labels hold `labels` (a part of their
/// text, such as `stage="compute"`); 0 when it is absent.
[[nodiscard]] double metric_sum(std::string_view text, std::string_view name,
                                std::string_view labels = {});

}  // namespace branchy
