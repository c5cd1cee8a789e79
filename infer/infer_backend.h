// InferBackend: a model that answers requests, alone or several computed together.
#pragma once

#include <exception>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "infer/protocol.h"

namespace branchy {

/// What became of one request of a batch: an HttpError for what it did wrong, anything else for
/// what went wrong here.
using InferResult = std::variant<InferResponse, std::exception_ptr>;

/// All functions may be called from several threads at once. Requests have been checked against
/// `describe()`: names, datatypes, shapes, at least one row.
class InferBackend {
 public:
  virtual ~InferBackend() = default;
  [[nodiscard]] virtual ModelDescription describe() const = 0;
  /// Sets `parameters` and `outputs`; id and model name are the service's business. Throws
  /// HttpError for what it cannot accept (parameters); anything else becomes a 500.
  [[nodiscard]] virtual InferResponse infer(const InferRequest& request) = 0;

  /// Requests with equal keys may be given to one `infer_batch`; without a key a request is
  /// computed alone. Throws HttpError for what `infer` would refuse at once.
  [[nodiscard]] virtual std::optional<std::string> batch_key(const InferRequest&) const {
    return std::nullopt;
  }
  /// One result a request, in their order: what each would get alone. By default one by one.
  [[nodiscard]] virtual std::vector<InferResult> infer_batch(
      std::span<const InferRequest* const> requests) {
    std::vector<InferResult> results;
    for (const InferRequest* request : requests) {
      try {
        results.emplace_back(infer(*request));
      } catch (...) {
        results.emplace_back(std::current_exception());
      }
    }
    return results;
  }
};

}  // namespace branchy
