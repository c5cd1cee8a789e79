// HttpClientPool: kept-alive connections to one server, leased to threads.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>

#include "infer/http_client.h"

namespace branchy {

/// Thread-safe. Connections open when they are first used; the one used last is leased first, so
/// that few stay open under little load. Must outlive its leases.
class HttpClientPool {
 public:
  using Clock = std::chrono::steady_clock;

  /// A client for one thread, given back at the end of its life. Empty when the deadline passed.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), client_(std::move(other.client_)) {}
    Lease& operator=(Lease&& other) noexcept {
      std::swap(pool_, other.pool_);
      std::swap(client_, other.client_);
      return *this;
    }
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    [[nodiscard]] explicit operator bool() const { return client_ != nullptr; }
    HttpClient* operator->() const { return client_.get(); }
    HttpClient& operator*() const { return *client_; }

   private:
    friend class HttpClientPool;
    Lease(HttpClientPool* pool, std::unique_ptr<HttpClient> client)
        : pool_(pool), client_(std::move(client)) {}

    HttpClientPool* pool_ = nullptr;
    std::unique_ptr<HttpClient> client_;
  };

  /// At most `size` >= 1 connections. Throws ConfigError as HttpClient does.
  HttpClientPool(const HttpUrl& url, const HttpClientOptions& options, std::size_t size);
  ~HttpClientPool();
  HttpClientPool(const HttpClientPool&) = delete;
  HttpClientPool& operator=(const HttpClientPool&) = delete;

  /// Waits for a client until the deadline.
  [[nodiscard]] Lease lease(Clock::time_point deadline);
  /// Clients leased now.
  [[nodiscard]] std::size_t num_leased() const;

 private:
  void give_back(std::unique_ptr<HttpClient> client);

  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace branchy
