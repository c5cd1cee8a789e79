// EdgeAnswer: the results of an infer request's rows, collected as they come and sent to its
// client.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "infer/edge_report.h"
#include "infer/http_server.h"
#include "infer/protocol.h"

namespace branchy {

/// The rows of one answer as the protocol's tensors (PROTOCOL.md, "The edge's own endpoint");
/// parameters hold bytes and times by stage, summed over the rows.
[[nodiscard]] InferResponse edge_response(const std::vector<EdgeResult>& results);

/// Answers when the last row has come or, as a stream, row by row. Thread-safe.
class EdgeAnswer {
 public:
  /// Is told the status once, when all is known and before the last byte is sent.
  using Finished = std::function<void(int status)>;

  /// `message` says what the client wants to get.
  EdgeAnswer(Responder respond, InferRequest message, const ModelDescription& model,
             std::size_t num_rows, bool is_streamed, Finished finished);

  /// The result of a row; each row has one, or a `fail_row`.
  void set_row(std::size_t row, EdgeResult result);
  /// Of a stream: the row's line is its error.
  void fail_row(std::size_t row, std::string_view text);
  /// Whether nobody reads the stream any more.
  [[nodiscard]] bool is_gone() const { return is_gone_.load(); }

 private:
  void send_line(std::string line);
  void row_done();
  [[nodiscard]] HttpResponse response_with_tensors();

  Responder respond_;
  InferRequest message_;
  std::string model_name_, model_version_;
  bool is_streamed_;
  Finished finished_;
  std::atomic<bool> is_gone_{false};
  std::mutex mutex_;                 // guards what follows; lines are sent under it
  bool has_begun_ = false;           // the head of the stream is sent
  std::vector<EdgeResult> results_;  // by row
  std::size_t num_open_;             // rows without a result
};

}  // namespace branchy
