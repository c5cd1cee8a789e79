// CloudService: the routes of the Open Inference Protocol, from HTTP to a backend and back.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "infer/http_server.h"
#include "infer/protocol.h"
#include "infer/request_check.h"

namespace branchy {

/// A model that answers. Both functions may be called from several threads at once.
class InferBackend {
 public:
  virtual ~InferBackend() = default;
  [[nodiscard]] virtual ModelDescription describe() const = 0;
  /// The service has checked each input against `describe()`: name, datatype, shape, at least one
  /// row. Sets `parameters` and `outputs`; id and model name are the service's business. Throws
  /// HttpError for what it cannot accept (parameters); anything else becomes a 500.
  [[nodiscard]] virtual InferResponse infer(const InferRequest& request) = 0;
};

/// Serves one model. Its functions are an HttpServer's handlers:
/// `HttpServer(options, service.quick_handler(), service.handler())`.
class CloudService {
 public:
  /// One line per request that a backend has worked on, or that failed inside.
  using Log = std::function<void(const std::string&)>;

  explicit CloudService(Log log = {}) : log_(std::move(log)) {}

  /// Until then /v2/health/ready and the model's routes answer 503. Once only.
  void set_backend(std::shared_ptr<InferBackend> backend);

  [[nodiscard]] HttpServer::QuickHandler quick_handler();
  [[nodiscard]] HttpServer::Handler handler();

  /// Health and metadata, and refusals (404, 405, 415, 503); nothing for a request to compute.
  [[nodiscard]] std::optional<HttpResponse> quick(const HttpRequest& request) const;
  /// A POST .../infer. Every exception becomes a response.
  [[nodiscard]] HttpResponse infer(const HttpRequest& request);

 private:
  struct Served {
    std::shared_ptr<InferBackend> backend;
    ModelDescription model;
  };

  [[nodiscard]] HttpResponse run(const Served& served, const HttpRequest& request,
                                 std::uint64_t number);
  void log(const std::string& line) const {
    if (log_) log_(line);
  }

  Log log_;
  std::shared_ptr<const Served> served_;
  std::atomic<bool> ready_{false};  // set after served_, which never changes again
  std::atomic<std::uint64_t> num_requests_{0};
};

}  // namespace branchy
