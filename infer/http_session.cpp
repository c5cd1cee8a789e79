#include "infer/http_session.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <exception>
#include <utility>

#include "infer/http_admission.h"
#include "infer/http_response_head.h"

namespace branchy::detail {
namespace {

constexpr std::chrono::milliseconds kLingerTimeout{2000};
constexpr std::size_t kJoinedBytes = 16 << 10;        // up to here a copy is cheaper than a packet
constexpr std::size_t kQuickEncodeBytes = 256 << 10;  // some milliseconds of the I/O thread
using Status = SocketChannel::Status;

}  // namespace

HttpSession::HttpSession(HttpServerState& server, int descriptor)
    : server_(server), socket_(server.loop, descriptor), channel_(descriptor) {
  server_.session_began(this);
}

HttpSession::~HttpSession() {
  if (gauge_) gauge_->gone = true;
  server_.session_ended(this);
}

void HttpSession::wait(IoSocket::Event event, void (HttpSession::*next)()) {
  socket_.wait(event, [self = shared_from_this(), next] { self->run(next); });
}

void HttpSession::later(void (HttpSession::*next)()) {
  server_.loop.post([self = shared_from_this(), next] { self->run(next); });
}

void HttpSession::set_deadline(Clock::time_point deadline) {
  deadline_ = deadline;
  server_.watch(deadline);
}

void HttpSession::close() {
  if (gauge_) gauge_->gone = true;
  deadline_ = Clock::time_point::max();
  socket_.close();
}

void HttpSession::start() {
  if (const auto tls = server_.tls()) {
    channel_.begin_tls_server(*tls);
    set_deadline(server_.options.handshake_timeout);
    idle_ = true;
    return shake_hands();
  }
  await_request(server_.options.header_timeout);
}

void HttpSession::shake_hands() {
  if (socket_.descriptor() < 0) return;
  switch (channel_.handshake()) {
    case Status::kDone:
      return await_request(server_.options.header_timeout);
    case Status::kWantRead:
      return wait(IoSocket::Event::kReadable, &HttpSession::shake_hands);
    case Status::kWantWrite:
      return wait(IoSocket::Event::kWritable, &HttpSession::shake_hands);
    default:
      // Not TLS, or no version in common. Unread bytes would turn the close into a reset.
      channel_.finish_writing();
      set_deadline(kLingerTimeout);
      return linger();
  }
}

void HttpSession::await_request(std::chrono::milliseconds timeout) {
  if (server_.stopping) return close();
  idle_ = true;
  set_deadline(timeout);
  // By way of the loop, so that a thousand requests in one packet do not nest.
  if (!pending_.empty()) return later(&HttpSession::receive);
  await_more();
}

void HttpSession::await_more() {
  if (channel_.has_pending()) return later(&HttpSession::receive);
  wait(IoSocket::Event::kReadable, &HttpSession::receive);
}

void HttpSession::receive() {
  if (socket_.descriptor() < 0) return;
  if (idle_ && !pending_.empty()) return consume({});
  const auto [status, bytes] = channel_.read(server_.scratch);
  switch (status) {
    case Status::kDone:
      server_.counters.bytes_in += bytes;
      return consume({server_.scratch.data(), bytes});
    case Status::kWantRead:
      return wait(IoSocket::Event::kReadable, &HttpSession::receive);
    case Status::kWantWrite:
      return wait(IoSocket::Event::kWritable, &HttpSession::receive);
    default:
      return close();
  }
}

void HttpSession::consume(std::string_view bytes) {
  std::string joined;
  if (!pending_.empty()) {
    joined = std::exchange(pending_, {});
    joined += bytes;
    bytes = joined;
  }
  if (!reader_) {
    // RFC 9112 section 2.2: empty lines before a request are ignored.
    bytes.remove_prefix(std::min(bytes.find_first_not_of("\r\n"), bytes.size()));
    if (bytes.empty()) return await_more();
    idle_ = false;
    admitted_ = false;
    const HttpServerOptions& options = server_.options;
    reader_ = std::make_unique<HttpRequestReader>(
        HttpRequestLimits{.header_bytes = options.header_limit_bytes,
                          .header_fields = options.header_limit_fields,
                          .body_bytes = options.body_limit_bytes});
    reader_->request().arrived = Clock::now();
    set_deadline(reader_->request().arrived + options.header_timeout);
  }
  bytes.remove_prefix(reader_->read(bytes));
  if (!admitted_ && reader_->has_header() && !reader_->refusal()) {
    admitted_ = true;
    if (!admit()) return;
    bytes.remove_prefix(reader_->read(bytes));
  }
  pending_ = bytes;
  if (reader_->refusal()) {
    return refuse(error_response(reader_->refusal()->status, reader_->refusal()->text));
  }
  if (reader_->complete()) return on_request();
  if (admitted_) watch_body();
  await_more();
}

// Decides by the header whether the body is worth reading; false when it answered instead.
bool HttpSession::admit() {
  HttpRequest& request = reader_->request();
  ++server_.counters.requests;
  keep_alive_ = reader_->keep_alive();
  http_1_0_ = reader_->is_http_1_0();
  head_ = request.method == "HEAD";
  body_began_ = Clock::now();
  const HttpServerOptions& options = server_.options;
  const bool open = options.open_path && options.open_path(request.path());
  HttpAdmission admission = admit_request(request, *server_.tokens(), open);
  if (admission.refusal) {
    refuse(std::move(*admission.refusal));
    return false;
  }
  coding_ = admission.coding;
  accepted_ = admission.accepted;
  if (reader_->expects_continue() && !reader_->complete()) {
    send("HTTP/1.1 100 Continue\r\n\r\n");
  }
  return true;
}

// The whole body in time, and never slower than the least rate.
void HttpSession::watch_body() {
  const HttpServerOptions& options = server_.options;
  const auto rate = std::max<std::uint64_t>(options.min_bytes_per_second, 1);
  const auto earned = std::chrono::milliseconds(reader_->body_bytes() * 1000 / rate);
  set_deadline(std::min({body_began_ + options.read_timeout,
                         reader_->request().arrived + options.request_timeout,
                         body_began_ + options.body_grace + earned}));
}

void HttpSession::on_request() {
  HttpRequest request = std::move(reader_->request());
  reader_.reset();
  deadline_ = Clock::time_point::max();
  try {
    if (server_.quick) {
      if (std::optional<HttpResponse> response = server_.quick(request)) {
        if (response->body.size() <= kQuickEncodeBytes) encode_answer(accepted_, *response);
        return respond(std::move(*response));
      }
    }
  } catch (const std::exception&) {
    return respond(error_response(500, "internal error"));
  }
  server_.dispatch(std::move(request), coding_,
                   Responder(std::make_shared<Responder::State>(shared_from_this())));
}

void HttpSession::refuse(HttpResponse response) {
  keep_alive_ = false;
  lingers_ = true;
  idle_ = false;
  pending_.clear();
  reader_.reset();
  respond(std::move(response));
}

void HttpSession::send_head(const HttpResponse& response,
                            std::optional<std::uint64_t> content_length) {
  if (server_.stopping) keep_alive_ = false;
  const auto hundreds = static_cast<std::size_t>(response.status / 100);
  if (hundreds < server_.counters.responses.size()) ++server_.counters.responses[hundreds];
  set_deadline(server_.options.write_timeout);
  outgoing_.push_back(http_response_head(
      response,
      {.http_1_0 = http_1_0_, .keep_alive = keep_alive_, .content_length = content_length}));
}

void HttpSession::respond(HttpResponse response) {
  if (socket_.descriptor() < 0) return;
  send_head(response, response.body.size());
  answer_complete_ = true;
  if (head_) response.body.clear();  // HEAD: told how long, but not sent
  if (response.body.size() <= kJoinedBytes) {
    outgoing_.back() += response.body;
  } else {
    outgoing_.push_back(std::move(response.body));
  }
  flush();
}

void HttpSession::begin_stream(HttpResponse head, std::shared_ptr<StreamGauge> gauge) {
  gauge_ = std::move(gauge);
  if (socket_.descriptor() < 0) {
    gauge_->gone = true;
    return;
  }
  chunked_ = !http_1_0_;
  if (http_1_0_) keep_alive_ = false;
  const std::string first = std::move(head.body);
  send_head(head, std::nullopt);
  gauge_->unsent_bytes += outgoing_.back().size();
  flush();
  if (!first.empty()) {
    gauge_->unsent_bytes += first.size();
    stream_part(first);
  }
}

void HttpSession::stream_part(std::string bytes) {
  if (socket_.descriptor() < 0 || !gauge_) return;
  if (head_) {
    gauge_->unsent_bytes -= bytes.size();
    return;
  }
  if (!chunked_) return send(std::move(bytes));
  // The gauge counts what the Responder counted, so the frame goes into it.
  std::string frame = fmt::format("{:x}\r\n", bytes.size());
  gauge_->unsent_bytes += frame.size() + 2;
  frame += bytes;
  frame += "\r\n";
  send(std::move(frame));
}

void HttpSession::end_stream() {
  if (socket_.descriptor() < 0) return;
  answer_complete_ = true;
  if (chunked_ && !head_) {
    gauge_->unsent_bytes += 5;
    outgoing_.emplace_back("0\r\n\r\n");
  }
  set_deadline(server_.options.write_timeout);
  flush();
}

void HttpSession::send(std::string bytes) {
  if (outgoing_.empty() && gauge_) set_deadline(server_.options.write_timeout);
  outgoing_.push_back(std::move(bytes));
  flush();
}

void HttpSession::flush() {
  if (waits_to_send_) return;
  while (!outgoing_.empty()) {
    std::array<std::string_view, 8> pieces;
    const std::size_t count = std::min(outgoing_.size(), pieces.size());
    std::copy_n(outgoing_.begin(), count, pieces.begin());
    pieces[0].remove_prefix(front_sent_);
    const auto [status, bytes] = channel_.write({pieces.data(), count});
    if (status == Status::kDone) {
      sent(bytes);
    } else if (status == Status::kWantRead || status == Status::kWantWrite) {
      waits_to_send_ = true;
      const auto event =
          status == Status::kWantRead ? IoSocket::Event::kReadable : IoSocket::Event::kWritable;
      return wait(event, &HttpSession::flush_again);
    } else {
      return close();
    }
  }
  on_sent_all();
}

void HttpSession::flush_again() {
  waits_to_send_ = false;
  flush();
}

void HttpSession::sent(std::size_t bytes) {
  server_.counters.bytes_out += bytes;
  if (gauge_) gauge_->unsent_bytes -= std::min<std::uint64_t>(bytes, gauge_->unsent_bytes);
  bytes += front_sent_;
  while (!outgoing_.empty() && bytes >= outgoing_.front().size()) {
    bytes -= outgoing_.front().size();
    outgoing_.pop_front();
    if (gauge_) set_deadline(server_.options.write_timeout);  // a part of a stream got through
  }
  front_sent_ = bytes;
}

void HttpSession::on_sent_all() {
  if (!answer_complete_) {  // 100 Continue, or a stream that will go on
    if (gauge_) deadline_ = Clock::time_point::max();
    return;
  }
  answer_complete_ = false;
  gauge_.reset();
  outgoing_.shrink_to_fit();
  if (keep_alive_) return await_request(server_.options.idle_timeout);
  channel_.finish_writing();
  if (server_.stopping && !lingers_) return close();
  set_deadline(kLingerTimeout);
  linger();
}

// A close with unread bytes resets the connection, and the peer may lose the answer: so what it
// still sends is read and dropped for a while.
void HttpSession::linger() {
  if (socket_.descriptor() < 0) return;
  // Once a turn of the loop: a peer that sends fast must not keep it from the others.
  const ssize_t got =
      ::recv(socket_.descriptor(), server_.scratch.data(), server_.scratch.size(), MSG_DONTWAIT);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) return close();
  wait(IoSocket::Event::kReadable, &HttpSession::linger);
}

}  // namespace branchy::detail
