#include "infer/tls_context.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "core/error.h"

namespace branchy {
namespace {

// The reason of OpenSSL's first error, and none left over for the next call.
std::string take_reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  if (reason != nullptr) return reason;
  return ERR_SYSTEM_ERROR(code) ? "no such file or not readable" : "unknown reason";
}

[[noreturn]] void fail(const std::string& file, const char* what, const char* remedy) {
  throw ConfigError(fmt::format("[tls {}] {}: {}; {}", file, what, take_reason(), remedy));
}

int no_passphrase(char*, int, int, void*) { return -1; }

SSL_CTX* new_context(const SSL_METHOD* method) {
  ERR_clear_error();
  SSL_CTX* context = SSL_CTX_new(method);
  if (context == nullptr) throw Error(fmt::format("[tls] OpenSSL: {}", take_reason()));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(
      context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // An idle connection must not keep buffers; writes are continued from another buffer.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_default_passwd_cb(context, no_passphrase);  // never ask on a terminal
  return context;
}

}  // namespace

std::shared_ptr<const TlsContext> TlsContext::for_server(const std::string& certificate_file,
                                                         const std::string& key_file) {
  std::shared_ptr<TlsContext> made(new TlsContext(new_context(TLS_server_method())));
  SSL_CTX* context = made->get();
  if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1) {
    fail(certificate_file, "cannot use the certificate", "give a PEM file, the server's own first");
  }
  if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    fail(key_file, "cannot use the key",
         "give the PEM file, without a passphrase, that belongs to the certificate");
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    fail(key_file, "key and certificate do not belong together", "give the key of the certificate");
  }
  // Resumption works by tickets, which cost the server no memory.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  return made;
}

std::shared_ptr<const TlsContext> TlsContext::for_client(const std::string& ca_file) {
  std::shared_ptr<TlsContext> made(new TlsContext(new_context(TLS_client_method())));
  SSL_CTX* context = made->get();
  if (ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) != 1) {
      fail("system", "cannot use the system's certificates", "name a file of certificates");
    }
  } else if (SSL_CTX_load_verify_file(context, ca_file.c_str()) != 1) {
    fail(ca_file, "cannot use the certificates", "give a PEM file of those to trust");
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  return made;
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

}  // namespace branchy
