#include "infer/io_loop.h"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "core/error.h"

namespace branchy {

namespace asio = boost::asio;
using boost::system::error_code;

struct IoLoop::Impl {
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard{context.get_executor()};
};

IoLoop::IoLoop() : impl_(std::make_unique<Impl>()) {}
IoLoop::~IoLoop() = default;
void IoLoop::run() { impl_->context.run(); }
void IoLoop::stop() { impl_->context.stop(); }
void IoLoop::post(std::function<void()> task) { asio::post(impl_->context, std::move(task)); }

struct IoSocket::Impl {
  asio::posix::basic_stream_descriptor<asio::io_context::executor_type> stream;
};

IoSocket::IoSocket(IoLoop& loop, int descriptor)
    : impl_(new Impl{decltype(Impl::stream)(loop.impl().context)}) {
  error_code error;
  impl_->stream.assign(descriptor, error);
  if (!error) return;
  ::close(descriptor);
  throw IoError(fmt::format("[server] cannot watch another socket: {}", error.message()));
}

IoSocket::~IoSocket() = default;

int IoSocket::descriptor() const {
  return impl_->stream.is_open() ? impl_->stream.native_handle() : -1;
}

void IoSocket::wait(Event event, std::function<void()> ready) {
  using Stream = asio::posix::descriptor_base;
  impl_->stream.async_wait(event == Event::kReadable ? Stream::wait_read : Stream::wait_write,
                           [task = std::move(ready)](error_code error) {
                             if (!error) task();
                           });
}

void IoSocket::close() {
  error_code ignored;
  impl_->stream.close(ignored);
}

struct IoTimer::Impl {
  asio::basic_waitable_timer<Clock, asio::wait_traits<Clock>, asio::io_context::executor_type>
      timer;
};

IoTimer::IoTimer(IoLoop& loop) : impl_(new Impl{decltype(Impl::timer)(loop.impl().context)}) {}
IoTimer::~IoTimer() = default;

void IoTimer::start(Clock::time_point when, std::function<void()> task) {
  impl_->timer.expires_at(when);  // cancels the wait before
  impl_->timer.async_wait([call = std::move(task)](error_code error) {
    if (!error) call();
  });
}

void IoTimer::cancel() { impl_->timer.cancel(); }

}  // namespace branchy
