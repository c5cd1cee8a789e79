#include "experiments/link_emulator.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/rng.h"

namespace branchy {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Ms = std::chrono::duration<double, std::milli>;

constexpr std::size_t kSegmentBytes = 1460;  // Ethernet's 1500 without the headers of IP and TCP
constexpr std::size_t kReadBytes = 64 << 10;
constexpr double kWindowBytes = 256 << 10;

enum Direction : std::size_t { kUp = 0, kDown = 1 };

Clock::duration as_duration(double ms) {
  return std::chrono::duration_cast<Clock::duration>(Ms(ms));
}

// A relayed connection. Socket 0 is that of who connected, 1 that of the target; bytes of a
// direction are read from the socket of that number and written to the other.
struct Connection {
  Connection(asio::io_context& io, tcp::socket accepted)
      : sockets{std::move(accepted), tcp::socket(io)}, handshake(io) {}

  struct Way {
    std::string read_buffer = {};
    std::string waiting = {}, writing = {};
    double bytes_inside = 0;  // read but not yet written
    bool reading = false, read_ended = false;
    bool finish = false, finished = false;  // an orderly end has arrived; has been passed on
  };
  std::array<tcp::socket, 2> sockets;
  std::array<Way, 2> ways;
  asio::steady_timer handshake;
  std::int64_t delivered = 0, answer_delivered = 0;
  bool connected = false, open = true;
  bool silent = false;  // lost bytes in a black hole
  bool reset_when_written = false, close_when_written = false;
};
using ConnectionPtr = std::shared_ptr<Connection>;

enum class End { kNone, kFinish, kReset };

struct Segment {
  ConnectionPtr connection;
  Clock::time_point arrival;
  std::string bytes;
  End end = End::kNone;
};

// One direction of the link.
struct Pipe {
  explicit Pipe(asio::io_context& io) : timer(io) {}

  std::deque<Segment> on_the_way;  // by arrival
  Clock::time_point free_at, last_arrival;
  asio::steady_timer timer;
};

}  // namespace

struct LinkEmulator::Impl {
  explicit Impl(const LinkOptions& link_options)
      : options(link_options), conditions(link_options.conditions), rng(link_options.seed) {}

  void listen();
  void accept();
  void open(tcp::socket accepted);
  void read(const ConnectionPtr& connection, Direction direction);
  void send(const ConnectionPtr& connection, Direction direction, std::string_view bytes, End end);
  void await_arrival(Direction direction);
  void deliver_arrived(Direction direction);
  void deliver(Segment& segment, Direction direction);
  void write(const ConnectionPtr& connection, Direction direction);
  void finish(const ConnectionPtr& connection, Direction direction);
  void close(const ConnectionPtr& connection, bool with_reset);
  void reset_all();
  void take(const LinkConditions& next);
  void run_script(std::size_t index, Clock::time_point begin);

  [[nodiscard]] double mbit(Direction direction) const {
    return direction == kUp ? conditions.up_mbit : conditions.down_mbit;
  }
  [[nodiscard]] double window_bytes(Direction direction) const {
    return kWindowBytes + mbit(direction) * 1e6 / 8 * conditions.round_trip_ms / 1e3;
  }

  LinkOptions options;
  LinkConditions conditions;
  Rng rng;
  asio::io_context io;
  tcp::acceptor acceptor{io};
  tcp::endpoint target;
  std::array<Pipe, 2> pipes{Pipe(io), Pipe(io)};
  std::set<ConnectionPtr> connections;
  asio::steady_timer script_timer{io}, accept_timer{io};
  Clock::time_point stalled_at;
  std::atomic<std::int64_t> num_connections{0}, num_open{0}, num_resets{0};
  std::array<std::atomic<std::int64_t>, 2> num_bytes{};
  std::thread thread;
};

void LinkEmulator::Impl::listen() {
  check_link(conditions);
  error_code error;
  const auto host = asio::ip::make_address(options.target_host, error);
  if (error || options.target_port < 1 || options.target_port > 65535)
    throw ConfigError(fmt::format("[link] target {}:{}, expected a numeric address and a port",
                                  options.target_host, options.target_port));
  target = {host, static_cast<std::uint16_t>(options.target_port)};
  const auto address = asio::ip::make_address(options.listen_host, error);
  if (error || options.listen_port < 0 || options.listen_port > 65535)
    throw ConfigError(fmt::format("[link] listen on {}:{}, expected a numeric address and a port",
                                  options.listen_host, options.listen_port));
  try {
    const tcp::endpoint endpoint(address, static_cast<std::uint16_t>(options.listen_port));
    acceptor.open(endpoint.protocol());
    acceptor.set_option(tcp::acceptor::reuse_address(true));
    acceptor.bind(endpoint);
    acceptor.listen(4096);
  } catch (const boost::system::system_error& failed) {
    throw IoError(fmt::format("[link] cannot listen on {}:{}: {}; choose another port",
                              options.listen_host, options.listen_port, failed.what()));
  }
  accept();
  stalled_at = Clock::now();
  run_script(0, Clock::now());
}

void LinkEmulator::Impl::accept() {
  acceptor.async_accept([this](error_code error, tcp::socket accepted) {
    if (!acceptor.is_open()) return;
    if (error) {  // out of descriptors, as a rule: wait for some to come back
      accept_timer.expires_after(std::chrono::milliseconds(50));
      accept_timer.async_wait([this](error_code) { accept(); });
      return;
    }
    open(std::move(accepted));
    accept();
  });
}

void LinkEmulator::Impl::open(tcp::socket accepted) {
  ++num_connections;
  ++num_open;
  const auto connection = std::make_shared<Connection>(io, std::move(accepted));
  connections.insert(connection);
  error_code ignored;
  connection->sockets[0].set_option(tcp::no_delay(true), ignored);
  connection->sockets[1].async_connect(target, [this, connection](error_code error) {
    if (!connection->open) return;
    if (error) return send(connection, kDown, {}, End::kReset);
    error_code failed;
    connection->sockets[1].set_option(tcp::no_delay(true), failed);
    connection->connected = true;
    write(connection, kUp);
    read(connection, kDown);
  });
  connection->handshake.expires_after(as_duration(conditions.round_trip_ms));
  connection->handshake.async_wait([this, connection](error_code error) {
    if (!error) read(connection, kUp);
  });
}

void LinkEmulator::Impl::read(const ConnectionPtr& connection, Direction direction) {
  Connection::Way& way = connection->ways[direction];
  if (!connection->open || way.reading || way.read_ended) return;
  if (way.bytes_inside >= window_bytes(direction)) return;  // write() asks again
  if (direction == kDown && !connection->connected) return;
  way.reading = true;
  way.read_buffer.resize(kReadBytes);
  connection->sockets[direction].async_read_some(
      asio::buffer(way.read_buffer),
      [this, connection, direction, &way](error_code error, std::size_t count) {
        way.reading = false;
        if (!connection->open) return;
        if (error) {
          way.read_ended = true;
          return send(connection, direction, {},
                      error == asio::error::eof ? End::kFinish : End::kReset);
        }
        way.bytes_inside += static_cast<double>(count);
        std::string_view rest(way.read_buffer.data(), count);
        while (!rest.empty()) {
          const std::string_view segment = rest.substr(0, kSegmentBytes);
          send(connection, direction, segment, End::kNone);
          rest.remove_prefix(segment.size());
        }
        read(connection, direction);
      });
}

void LinkEmulator::Impl::send(const ConnectionPtr& connection, Direction direction,
                              std::string_view bytes, End end) {
  Pipe& pipe = pipes[direction];
  pipe.free_at = std::max(pipe.free_at, Clock::now());
  if (mbit(direction) > 0)
    pipe.free_at += as_duration(static_cast<double>(bytes.size()) * 8 / mbit(direction) / 1e3);
  const double jitter_ms =
      conditions.jitter_ms > 0 ? conditions.jitter_ms * static_cast<double>(rng.uniform()) : 0.0;
  pipe.last_arrival = std::max(
      pipe.last_arrival, pipe.free_at + as_duration(conditions.round_trip_ms / 2 + jitter_ms));
  const bool idle = pipe.on_the_way.empty();
  pipe.on_the_way.push_back({connection, pipe.last_arrival, std::string(bytes), end});
  if (idle) await_arrival(direction);
}

void LinkEmulator::Impl::await_arrival(Direction direction) {
  Pipe& pipe = pipes[direction];
  if (pipe.on_the_way.empty() || conditions.stalled) return;
  pipe.timer.expires_at(pipe.on_the_way.front().arrival);
  pipe.timer.async_wait([this, direction](error_code error) {
    if (!error) deliver_arrived(direction);
  });
}

void LinkEmulator::Impl::deliver_arrived(Direction direction) {
  Pipe& pipe = pipes[direction];
  const Clock::time_point now = Clock::now();
  while (!conditions.stalled && !pipe.on_the_way.empty() &&
         pipe.on_the_way.front().arrival <= now) {
    Segment segment = std::move(pipe.on_the_way.front());
    pipe.on_the_way.pop_front();
    if (segment.connection->open) deliver(segment, direction);
  }
  await_arrival(direction);
}

void LinkEmulator::Impl::deliver(Segment& segment, Direction direction) {
  Connection& connection = *segment.connection;
  Connection::Way& way = connection.ways[direction];
  if (conditions.black_hole) connection.silent = true;
  if (connection.silent || connection.reset_when_written || connection.close_when_written) {
    way.bytes_inside -= static_cast<double>(segment.bytes.size());
    return read(segment.connection, direction);
  }
  if (segment.end == End::kReset) return close(segment.connection, true);
  if (segment.end == End::kFinish) {
    way.finish = true;
    return finish(segment.connection, direction);
  }
  if (conditions.reset_probability > 0 &&
      static_cast<double>(rng.uniform()) < conditions.reset_probability) {
    ++num_resets;
    return close(segment.connection, true);
  }
  // What may pass before the connection ends.
  const auto pass = [&](std::int64_t limit, std::int64_t passed, bool& ends) {
    if (limit <= 0 || passed + std::ssize(segment.bytes) < limit) return;
    segment.bytes.resize(static_cast<std::size_t>(std::max<std::int64_t>(0, limit - passed)));
    ends = true;
    ++num_resets;
  };
  pass(conditions.reset_after_bytes, connection.delivered, connection.reset_when_written);
  if (direction == kDown && !connection.reset_when_written)
    pass(conditions.cut_answer_after_bytes, connection.answer_delivered,
         connection.close_when_written);
  connection.delivered += std::ssize(segment.bytes);
  if (direction == kDown) connection.answer_delivered += std::ssize(segment.bytes);
  num_bytes[direction] += std::ssize(segment.bytes);
  way.waiting += segment.bytes;
  write(segment.connection, direction);
}

void LinkEmulator::Impl::write(const ConnectionPtr& connection, Direction direction) {
  Connection::Way& way = connection->ways[direction];
  if (!connection->open || !way.writing.empty()) return;
  if (direction == kUp && !connection->connected) return;
  if (way.waiting.empty()) {
    if (connection->reset_when_written) return close(connection, true);
    if (connection->close_when_written && direction == kDown) return close(connection, false);
    return finish(connection, direction);
  }
  way.writing.swap(way.waiting);
  asio::async_write(connection->sockets[1 - direction], asio::buffer(way.writing),
                    [this, connection, direction, &way](error_code error, std::size_t count) {
                      way.writing.clear();
                      way.bytes_inside -= static_cast<double>(count);
                      if (!connection->open) return;
                      if (error) return close(connection, true);
                      read(connection, direction);
                      write(connection, direction);
                    });
}

void LinkEmulator::Impl::finish(const ConnectionPtr& connection, Direction direction) {
  Connection::Way& way = connection->ways[direction];
  if (!way.finish || way.finished || !way.waiting.empty() || !way.writing.empty()) return;
  if (direction == kUp && !connection->connected) return;
  way.finished = true;
  error_code ignored;
  connection->sockets[1 - direction].shutdown(tcp::socket::shutdown_send, ignored);
  if (connection->ways[1 - direction].finished) close(connection, false);
}

void LinkEmulator::Impl::close(const ConnectionPtr& connection, bool with_reset) {
  if (!connection->open) return;
  connection->open = false;
  connection->handshake.cancel();
  error_code ignored;
  for (tcp::socket& socket : connection->sockets) {
    if (with_reset) socket.set_option(asio::socket_base::linger(true, 0), ignored);
    socket.close(ignored);
  }
  connections.erase(connection);
  --num_open;
}

void LinkEmulator::Impl::reset_all() {
  for (const ConnectionPtr& connection : std::set<ConnectionPtr>(connections)) {
    ++num_resets;
    close(connection, true);
  }
}

void LinkEmulator::Impl::take(const LinkConditions& next) {
  const bool was_stalled = conditions.stalled;
  conditions = next;
  if (next.stalled == was_stalled) return;
  if (next.stalled) {
    stalled_at = Clock::now();
    for (Pipe& pipe : pipes) pipe.timer.cancel();
    return;
  }
  // What was on the way has stood still; what came meanwhile starts behind it.
  const Clock::duration pause = Clock::now() - stalled_at;
  for (const Direction direction : {kUp, kDown}) {
    Pipe& pipe = pipes[direction];
    for (Segment& segment : pipe.on_the_way) segment.arrival += pause;
    if (!pipe.on_the_way.empty()) {
      pipe.last_arrival = pipe.on_the_way.back().arrival;
      pipe.free_at += pause;
    }
    await_arrival(direction);
  }
}

void LinkEmulator::Impl::run_script(std::size_t index, Clock::time_point begin) {
  const LinkScript& script = options.script;
  if (script.changes.empty()) return;
  const bool ends = index == script.changes.size();
  if (ends && script.loop_ms <= 0) return;
  script_timer.expires_at(begin + as_duration(ends ? script.loop_ms : script.changes[index].at_ms));
  script_timer.async_wait([this, index, begin, ends](error_code error) {
    if (error) return;
    if (ends) return run_script(0, begin + as_duration(options.script.loop_ms));
    const LinkChange& change = options.script.changes[index];
    take(changed(conditions, change));
    if (change.reset) reset_all();
    run_script(index + 1, begin);
  });
}

LinkEmulator::LinkEmulator(const LinkOptions& options) : impl_(new Impl(options)) {
  impl_->listen();
  impl_->thread = std::thread([this] { impl_->io.run(); });
}

LinkEmulator::~LinkEmulator() {
  impl_->io.stop();
  impl_->thread.join();
}

int LinkEmulator::port() const { return impl_->acceptor.local_endpoint().port(); }

void LinkEmulator::set(const LinkConditions& conditions) {
  check_link(conditions);
  asio::post(impl_->io, [this, conditions] { impl_->take(conditions); });
}

void LinkEmulator::reset_connections() {
  asio::post(impl_->io, [this] { impl_->reset_all(); });
}

LinkStats LinkEmulator::stats() const {
  return {.connections = impl_->num_connections,
          .open = impl_->num_open,
          .resets = impl_->num_resets,
          .up_bytes = impl_->num_bytes[kUp],
          .down_bytes = impl_->num_bytes[kDown]};
}

}  // namespace branchy
