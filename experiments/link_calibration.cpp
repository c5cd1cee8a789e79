#include "experiments/link_calibration.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <thread>

#include "experiments/link_emulator.h"
#include "infer/percentile.h"

namespace branchy {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kAnswerBytes = 16;

// Reads a length and so many bytes, answers, and again; a connection after another.
class Acknowledger {
 public:
  Acknowledger() : acceptor_(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    thread_ = std::thread([this] { serve(); });
  }
  ~Acknowledger() {
    error_code ignored;
    tcp::socket wake(io_);
    stop_ = true;
    wake.connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }
  Acknowledger(const Acknowledger&) = delete;
  Acknowledger& operator=(const Acknowledger&) = delete;

  [[nodiscard]] int port() const { return acceptor_.local_endpoint().port(); }

 private:
  void serve() {
    std::string body;
    const std::string answer(kAnswerBytes, 'a');
    for (;;) {
      error_code error;
      tcp::socket socket = acceptor_.accept(error);
      if (stop_) return;
      socket.set_option(tcp::no_delay(true), error);
      std::uint64_t length = 0;
      while (asio::read(socket, asio::buffer(&length, sizeof length), error) == sizeof length) {
        body.resize(static_cast<std::size_t>(length));
        asio::read(socket, asio::buffer(body), error);
        asio::write(socket, asio::buffer(answer), error);
      }
    }
  }

  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

void exchange(tcp::socket& socket, std::int64_t bytes) {
  // The length is part of what is sent.
  std::string message(static_cast<std::size_t>(bytes), 'q');
  const std::uint64_t length = message.size() - sizeof length;
  std::memcpy(message.data(), &length, sizeof length);
  std::array<char, kAnswerBytes> answer{};
  asio::write(socket, asio::buffer(message));
  asio::read(socket, asio::buffer(answer));
}

tcp::socket connected(asio::io_context& io, int port) {
  tcp::socket socket(io);
  socket.connect({asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(port)});
  socket.set_option(tcp::no_delay(true));
  return socket;
}

double transfer_ms(std::int64_t bytes, double mbit) {
  return mbit > 0 ? static_cast<double>(bytes) * 8 / mbit / 1e3 : 0;
}

}  // namespace

std::vector<LinkCalibration> calibrate_link(const LinkConditions& conditions,
                                            const std::vector<std::int64_t>& sizes, int repeats) {
  const Acknowledger peer;
  const LinkEmulator link({.target_port = peer.port(), .conditions = conditions});
  asio::io_context io;
  std::vector<LinkCalibration> results;
  for (const bool new_connection : {false, true}) {
    for (const std::int64_t size : sizes) {
      LinkCalibration result{.conditions = conditions,
                             .bytes = std::max<std::int64_t>(size, 8),
                             .new_connection = new_connection};
      result.expected_ms = transfer_ms(result.bytes, conditions.up_mbit) +
                           transfer_ms(kAnswerBytes, conditions.down_mbit) +
                           conditions.round_trip_ms * (new_connection ? 2 : 1);
      std::vector<double> times;
      std::optional<tcp::socket> kept;
      for (int i = 0; i < repeats; ++i) {
        if (!new_connection && !kept) {
          kept = connected(io, link.port());
          exchange(*kept, 8);
        }
        const Clock::time_point begin = Clock::now();
        if (new_connection) kept = connected(io, link.port());
        exchange(*kept, result.bytes);
        times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
        if (new_connection) kept.reset();  // the peer serves one connection after another
      }
      result.least_ms = *std::min_element(times.begin(), times.end());
      result.median_ms = percentile(times, 0.5);
      results.push_back(result);
    }
  }
  return results;
}

}  // namespace branchy
