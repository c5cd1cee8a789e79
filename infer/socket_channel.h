// SocketChannel: bytes over a non-blocking socket, plain or TLS by the same calls.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "infer/tls_context.h"

struct ssl_st;

namespace branchy {

/// Never blocks and never raises SIGPIPE; one thread at a time. Waiting is the caller's business.
class SocketChannel {
 public:
  enum class Status {
    kDone,
    kWantRead,   ///< try again when the socket is readable
    kWantWrite,  ///< try again when it is writable
    kClosed,     ///< by the peer
    kFailed,     ///< failure() says why
  };
  struct Transfer {
    Status status = Status::kDone;
    std::size_t bytes = 0;
  };

  /// `descriptor` is a connected non-blocking socket that outlives the channel and is not owned.
  explicit SocketChannel(int descriptor) : descriptor_(descriptor) {}
  ~SocketChannel();
  SocketChannel(const SocketChannel&) = delete;
  SocketChannel& operator=(const SocketChannel&) = delete;

  /// Before any byte: this side is the server of a TLS connection.
  void begin_tls_server(const TlsContext& context);
  /// The client's side, for which the certificate must name `host`, a name or an IP address.
  void begin_tls_client(const TlsContext& context, const std::string& host);
  /// To be called until kDone, before the first byte; done at once without TLS.
  [[nodiscard]] Status handshake();

  /// At least one byte with kDone.
  [[nodiscard]] Transfer read(std::span<char> dst);
  /// The pieces in their order as one packet where possible; `bytes` of them are gone with kDone,
  /// at least one. After kWantRead or kWantWrite the same bytes must be offered again.
  [[nodiscard]] Transfer write(std::span<const std::string_view> pieces);
  /// Bytes wait in the channel itself: read() again before waiting for the socket.
  [[nodiscard]] bool has_pending() const;
  /// Says that no more bytes will be written.
  void finish_writing();
  /// One line; empty when nothing failed.
  [[nodiscard]] const std::string& failure() const { return failure_; }

 private:
  void attach(const TlsContext& context);
  Status after_tls(int result);

  int descriptor_;
  bool established_ = false;
  ssl_st* tls_ = nullptr;
  std::string failure_;
};

}  // namespace branchy
