#include "infer/socket_channel.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <system_error>

#include "core/error.h"

namespace branchy {
namespace {

using Status = SocketChannel::Status;
using Transfer = SocketChannel::Transfer;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

Transfer transferred(ssize_t count, Status blocked) {
  if (count > 0) return {Status::kDone, static_cast<std::size_t>(count)};
  if (count == 0) return {Status::kClosed};
  return {would_block(errno) ? blocked : Status::kClosed};
}

// OpenSSL's own socket BIO uses write(), which raises SIGPIPE when the peer is gone.
int descriptor_of(BIO* bio) { return *static_cast<const int*>(BIO_get_data(bio)); }

int bio_write(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent =
      ::send(descriptor_of(bio), data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (sent < 0 && would_block(errno)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int bio_read(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = ::recv(descriptor_of(bio), data, static_cast<std::size_t>(size), 0);
  if (got < 0 && would_block(errno)) BIO_set_retry_read(bio);
  if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(got);
}

long bio_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// `descriptor` outlives the BIO.
BIO* new_socket_bio(int& descriptor) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "branchy socket");
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  BIO* bio = BIO_new(method);
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, &descriptor);
  BIO_set_init(bio, 1);
  return bio;
}

std::string tls_reason(SSL* tls) {
  const long verified = SSL_get_verify_result(tls);
  const unsigned long code = ERR_peek_error();
  const int reason = ERR_GET_REASON(code);
  if (verified != X509_V_OK && reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    return fmt::format("certificate is not trusted: {}", X509_verify_cert_error_string(verified));
  }
  if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST) {
    return "peer does not speak TLS";
  }
  const char* text = ERR_reason_error_string(code);
  return fmt::format("TLS failed: {}", text != nullptr ? text : "connection lost");
}

}  // namespace

SocketChannel::~SocketChannel() { SSL_free(tls_); }

void SocketChannel::attach(const TlsContext& context) {
  BRANCHY_DCHECK(tls_ == nullptr);
  ERR_clear_error();
  tls_ = SSL_new(context.get());
  BIO* bio = tls_ != nullptr ? new_socket_bio(descriptor_) : nullptr;
  if (bio == nullptr) throw Error("[tls] out of memory for a connection");
  SSL_set_bio(tls_, bio, bio);
  SSL_set_read_ahead(tls_, 1);  // one system call a record instead of two
}

void SocketChannel::begin_tls_server(const TlsContext& context) {
  attach(context);
  SSL_set_accept_state(tls_);
}

void SocketChannel::begin_tls_client(const TlsContext& context, const std::string& host) {
  attach(context);
  SSL_set_connect_state(tls_);
  std::array<unsigned char, sizeof(in6_addr)> address{};
  const bool is_address = ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
                          ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
  if (is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls_), host.c_str());
    return;
  }
  SSL_set_hostflags(tls_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  SSL_set1_host(tls_, host.c_str());
  // What the macro SSL_set_tlsext_host_name does, without its old-style cast.
  SSL_ctrl(tls_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
           const_cast<char*>(host.c_str()));
}

Status SocketChannel::after_tls(int result) {
  switch (SSL_get_error(tls_, result)) {
    case SSL_ERROR_NONE:
      return Status::kDone;
    case SSL_ERROR_WANT_READ:
      return Status::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Status::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Status::kClosed;
    case SSL_ERROR_SYSCALL:
      established_ = false;
      return Status::kClosed;
    default:
      break;
  }
  established_ = false;  // OpenSSL forbids any further call, SSL_shutdown too
  const int reason = ERR_GET_REASON(ERR_peek_error());
  if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) return Status::kClosed;
  failure_ = tls_reason(tls_);
  return Status::kFailed;
}

Status SocketChannel::handshake() {
  if (tls_ == nullptr) return Status::kDone;
  ERR_clear_error();
  const Status status = after_tls(SSL_do_handshake(tls_));
  if (status == Status::kDone) established_ = true;
  return status;
}

Transfer SocketChannel::read(std::span<char> dst) {
  if (tls_ == nullptr) {
    return transferred(::recv(descriptor_, dst.data(), dst.size(), 0), Status::kWantRead);
  }
  // Record by record, until the buffer is full or the socket is empty.
  Transfer all;
  while (all.bytes < dst.size()) {
    ERR_clear_error();
    const std::span<char> rest =
        dst.subspan(all.bytes, std::min<std::size_t>(dst.size() - all.bytes, INT_MAX));
    const int got = SSL_read(tls_, rest.data(), static_cast<int>(rest.size()));
    all.status = after_tls(got);
    if (all.status != Status::kDone) break;
    all.bytes += static_cast<std::size_t>(got);
  }
  if (all.bytes > 0) all.status = Status::kDone;  // what stopped it comes again the next time
  return all;
}

Transfer SocketChannel::write(std::span<const std::string_view> pieces) {
  if (tls_ == nullptr) {
    std::array<iovec, 8> vectors{};
    const std::size_t count = std::min(pieces.size(), vectors.size());
    for (std::size_t i = 0; i < count; ++i) {
      vectors[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    return transferred(::sendmsg(descriptor_, &message, MSG_NOSIGNAL), Status::kWantWrite);
  }
  Transfer all;
  for (const std::string_view piece : pieces) {
    if (piece.empty()) continue;
    ERR_clear_error();
    const int size = static_cast<int>(std::min<std::size_t>(piece.size(), INT_MAX));
    const int sent = SSL_write(tls_, piece.data(), size);
    all.status = after_tls(sent);
    if (all.status != Status::kDone) break;
    all.bytes += static_cast<std::size_t>(sent);
    if (static_cast<std::size_t>(sent) < piece.size()) break;
  }
  if (all.bytes > 0) all.status = Status::kDone;
  return all;
}

bool SocketChannel::has_pending() const { return tls_ != nullptr && SSL_has_pending(tls_) == 1; }

void SocketChannel::finish_writing() {
  if (established_) {
    ERR_clear_error();
    SSL_shutdown(tls_);
  }
  ::shutdown(descriptor_, SHUT_WR);
}

}  // namespace branchy
