// TlsContext: certificates and rules that TLS connections share (OpenSSL's SSL_CTX).
#pragma once

#include <memory>
#include <string>

struct ssl_ctx_st;

namespace branchy {

/// Immutable once made; thread-safe. TLS 1.2 or newer, without renegotiation or compression.
class TlsContext {
 public:
  /// For a server: PEM files of its certificate chain, its own first, and of the key, without a
  /// passphrase. Throws ConfigError when they cannot be read or do not belong together.
  [[nodiscard]] static std::shared_ptr<const TlsContext> for_server(
      const std::string& certificate_file, const std::string& key_file);
  /// For a client that verifies its server: against the certificates of a PEM file, or those of
  /// the system when `ca_file` is empty. Throws ConfigError when the file is no good.
  [[nodiscard]] static std::shared_ptr<const TlsContext> for_client(const std::string& ca_file);

  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  /// Belongs to this object; connections keep it alive by themselves.
  [[nodiscard]] ssl_ctx_st* get() const { return context_; }

 private:
  explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
};

}  // namespace branchy
