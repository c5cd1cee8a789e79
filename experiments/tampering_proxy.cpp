#include "experiments/tampering_proxy.h"

#include <fmt/format.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace branchy {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using boost::system::error_code;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

std::string serialized(const Response& response, std::optional<std::size_t> length = {}) {
  std::string text =
      fmt::format("HTTP/1.1 {} {}\r\n", response.result_int(), std::string(response.reason()));
  for (const auto& field : response) {
    if (field.name() == http::field::content_length) continue;
    text += fmt::format("{}: {}\r\n", std::string(field.name_string()), std::string(field.value()));
  }
  return text + fmt::format("Content-Length: {}\r\n\r\n", length.value_or(response.body().size())) +
         response.body();
}

// What goes out instead of the answer, and whether the connection lives on.
std::pair<std::string, bool> tampered(Response response, Tampering tampering) {
  const std::size_t size = response.body().size();
  const std::string whole = serialized(response);
  switch (tampering) {
    case Tampering::kNone:
      return {whole, true};
    case Tampering::kGarbage:
      return {"\x16\x03\x01 this is no HTTP at all\r\n\r\n", false};
    case Tampering::kHalfHeader:
      return {whole.substr(0, (whole.size() - size) / 2), false};
    case Tampering::kHalfBody:
      return {whole.substr(0, whole.size() - size / 2), false};
    case Tampering::kLongLength:
      return {serialized(response, size + 1000), false};
    case Tampering::kShortLength:
      return {serialized(response, size / 2), false};
    case Tampering::kNoJson:
      response.body().assign(size, '\x7f');
      return {serialized(response), true};
    case Tampering::kWrongId: {
      const std::size_t id = response.body().find("\"id\":\"");
      if (id != std::string::npos) response.body()[id + 6] = 'x';
      return {serialized(response), true};
    }
    case Tampering::kWrongJsonBytes:
      response.set("Inference-Header-Content-Length", std::to_string(size + 1));
      return {serialized(response), true};
    case Tampering::kServerError:
      return {"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", true};
    case Tampering::kOverload:
      return {"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
              true};
  }
  return {whole, true};
}

}  // namespace

std::string_view to_string(Tampering tampering) {
  switch (tampering) {
    case Tampering::kNone:
      return "none";
    case Tampering::kGarbage:
      return "garbage";
    case Tampering::kHalfHeader:
      return "half header";
    case Tampering::kHalfBody:
      return "half body";
    case Tampering::kLongLength:
      return "Content-Length too long";
    case Tampering::kShortLength:
      return "Content-Length too short";
    case Tampering::kNoJson:
      return "no JSON";
    case Tampering::kWrongId:
      return "wrong id";
    case Tampering::kWrongJsonBytes:
      return "wrong Inference-Header-Content-Length";
    case Tampering::kServerError:
      return "500";
    case Tampering::kOverload:
      return "503";
  }
  return "unknown";
}

std::vector<Tampering> all_tamperings() {
  std::vector<Tampering> all;
  for (int i = 0; i <= static_cast<int>(Tampering::kOverload); ++i)
    all.push_back(static_cast<Tampering>(i));
  return all;
}

struct TamperingProxy::Impl {
  explicit Impl(std::vector<Tampering> tamperings)
      : sequence(std::move(tamperings)),
        acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {}

  void accept_all() {
    for (;;) {
      error_code error;
      auto client = std::make_shared<tcp::socket>(acceptor.accept(error));
      const std::lock_guard lock(mutex);
      if (stopping) return;
      if (error) continue;
      open.push_back(client);
      threads.emplace_back([this, client] { serve(*client); });
    }
  }
  void serve(tcp::socket& client) {
    error_code error;
    tcp::socket cloud(io);
    cloud.connect(target, error);
    client.set_option(tcp::no_delay(true), error);
    beast::flat_buffer from_client, from_cloud;
    for (bool alive = true; alive && !error;) {
      http::request_parser<http::string_body> request;
      request.body_limit(1ULL << 30);
      http::read(client, from_client, request, error);
      if (error) break;
      http::write(cloud, request.get(), error);
      http::response_parser<http::string_body> answer;
      answer.body_limit(1ULL << 30);
      if (!error) http::read(cloud, from_cloud, answer, error);
      if (error) break;
      const bool infers = request.get().method() == http::verb::post;
      const Tampering tampering =
          infers ? sequence[static_cast<std::size_t>(count++) % sequence.size()] : Tampering::kNone;
      const auto [text, lives] = tampered(answer.release(), tampering);
      asio::write(client, asio::buffer(text), error);
      alive = lives;
    }
    client.shutdown(tcp::socket::shutdown_both, error);
  }

  std::vector<Tampering> sequence;
  asio::io_context io;
  tcp::acceptor acceptor;
  tcp::endpoint target;
  std::atomic<std::int64_t> count = 0;
  std::mutex mutex;
  bool stopping = false;  // with `open` and `threads`, by `mutex`
  std::vector<std::shared_ptr<tcp::socket>> open;
  std::list<std::thread> threads;
  std::thread acceptor_thread;
};

TamperingProxy::TamperingProxy(int target_port, std::vector<Tampering> sequence)
    : impl_(new Impl(std::move(sequence))) {
  impl_->target = {asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(target_port)};
  impl_->acceptor_thread = std::thread([this] { impl_->accept_all(); });
}

TamperingProxy::~TamperingProxy() {
  error_code ignored;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    for (const auto& client : impl_->open) client->shutdown(tcp::socket::shutdown_both, ignored);
  }
  tcp::socket wake(impl_->io);
  wake.connect({asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(port())}, ignored);
  impl_->acceptor_thread.join();
  for (std::thread& thread : impl_->threads) thread.join();
}

int TamperingProxy::port() const { return impl_->acceptor.local_endpoint().port(); }
std::int64_t TamperingProxy::num_tampered() const { return impl_->count; }

}  // namespace branchy
