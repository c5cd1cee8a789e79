// EdgeIntake: brings infer requests from HTTP to the pipeline, and the answers back.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "infer/edge_answer.h"
#include "infer/edge_pipeline.h"
#include "infer/edge_request.h"
#include "infer/http_server.h"
#include "infer/thumbnail.h"
#include "infer/work_queue.h"

namespace branchy {

struct EdgeIntakeOptions {
  std::int64_t max_rows = 64;        ///< of a request; beyond: 400
  std::int64_t max_megapixels = 16;  ///< of an image file; beyond: 400
  std::size_t decoders = 2;          ///< requests read and decoded at the same time
  std::size_t queue = 64;            ///< requests that wait for a decoder; beyond: 503
  /// Of a request that brings none (header Branchy-Timeout-Ms), from its arrival; 0: none.
  std::chrono::milliseconds deadline{2000};
};

/// Threads of its own read and decode, so that neither HTTP nor the pipeline waits for a file.
///
/// A request is taken whole or not at all: a bad row is a 400, a full pipeline a 503, and a
/// deadline that has passed a 504 before anything is computed. Of a stream a bad row is that row's
/// line. Rows beyond the first wait for their place in the pipeline.
class EdgeIntake {
 public:
  /// Called from any thread.
  struct Observer {
    /// A row has its answer.
    std::function<void(const EdgeResult&, std::shared_ptr<const Thumbnail>)> row;
    /// A request has been answered with `status`, `ms` after its first byte; `text` says more.
    std::function<void(int status, double ms, const std::string& text)> request;
  };

  /// `pipeline` outlives the intake and is drained after `stop`, before the observer's objects end.
  EdgeIntake(EdgePipeline& pipeline, ModelDescription model, EdgeIntakeOptions options,
             Observer observer);

  /// A POST .../infer; never blocks. Every exception becomes a response.
  void take(HttpRequest request, const Responder& respond);
  /// Waits for the requests that are being read; those that still wait for it get a 500.
  void stop() { decoders_.stop(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Request;

  void read(Request& request);
  void submit_rows(Request& request);
  [[nodiscard]] EdgeImage decode(RequestedImage& row, std::size_t number,
                                 std::optional<Clock::time_point> deadline);
  [[nodiscard]] bool submit(const std::shared_ptr<EdgeAnswer>& answer, EdgeImage image,
                            std::size_t row, bool may_wait);
  void refuse(const Request& request, int status, std::string_view text);
  [[nodiscard]] EdgeResult result_of(std::size_t row, const EdgeOutcome& outcome) const;

  EdgePipeline& pipeline_;
  ModelDescription model_;
  EdgeIntakeOptions options_;
  Observer observer_;
  WorkQueue decoders_;  // last: its threads use the others
};

}  // namespace branchy
