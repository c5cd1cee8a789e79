#include "infer/http_client_pool.h"

#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "core/error.h"

namespace branchy {

struct HttpClientPool::Impl {
  mutable std::mutex mutex;
  std::condition_variable returned;
  std::vector<std::unique_ptr<HttpClient>> free;  // used last: at the back
  std::size_t size = 0;
};

HttpClientPool::Lease::~Lease() {
  if (client_) pool_->give_back(std::move(client_));
}

HttpClientPool::HttpClientPool(const HttpUrl& url, const HttpClientOptions& options,
                               std::size_t size)
    : impl_(std::make_unique<Impl>()) {
  BRANCHY_DCHECK(size >= 1);
  impl_->size = size;
  impl_->free.reserve(size);
  for (std::size_t i = 0; i < size; ++i) {
    impl_->free.push_back(std::make_unique<HttpClient>(url, options));
  }
}

HttpClientPool::~HttpClientPool() = default;

HttpClientPool::Lease HttpClientPool::lease(Clock::time_point deadline) {
  std::unique_lock lock(impl_->mutex);
  if (!impl_->returned.wait_until(lock, deadline, [&] { return !impl_->free.empty(); })) return {};
  std::unique_ptr<HttpClient> client = std::move(impl_->free.back());
  impl_->free.pop_back();
  return {this, std::move(client)};
}

std::size_t HttpClientPool::num_leased() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->size - impl_->free.size();
}

void HttpClientPool::give_back(std::unique_ptr<HttpClient> client) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->free.push_back(std::move(client));
  }
  impl_->returned.notify_one();
}

}  // namespace branchy
