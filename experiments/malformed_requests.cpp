#include "experiments/malformed_requests.h"

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <charconv>
#include <chrono>
#include <thread>
#include <vector>

namespace branchy {
namespace {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t kNumNumbers = 12;
constexpr std::array<std::string_view, kNumNumbers> kNumbers{
    "0",          "-1",
    "1",          "65536",
    "4294967296", "18446744073709551615",
    "1e9",        "",
    "0x10",       "99999999999999999999999",
    "NaN",        "+5"};

std::size_t below(Rng& rng, std::size_t bound) {
  return static_cast<std::size_t>(
      rng.below(std::max<std::int64_t>(1, static_cast<std::int64_t>(bound))));
}

void replace_number(std::string& text, Rng& rng) {
  const std::size_t from = below(rng, std::min<std::size_t>(text.size(), 600));
  const std::size_t begin = text.find_first_of("0123456789", from);
  if (begin == std::string::npos) return;
  const std::size_t end = std::min(text.find_first_not_of("0123456789", begin), text.size());
  text.replace(begin, end - begin, kNumbers[below(rng, kNumNumbers)]);
}

void edit_line(std::string& text, Rng& rng) {
  const std::size_t head = text.find("\r\n\r\n");
  if (head == std::string::npos) return;
  std::vector<std::size_t> lines{0};
  for (std::size_t at = text.find("\r\n"); at < head; at = text.find("\r\n", at + 2))
    lines.push_back(at + 2);
  const std::size_t begin = lines[below(rng, lines.size())];
  const std::size_t end = std::min(text.find("\r\n", begin) + 2, text.size());
  const std::string line = text.substr(begin, end - begin);
  if (rng.below(2) == 0) {
    text.erase(begin, line.size());
  } else {
    text.insert(end, line);
  }
}

void edit(std::string& text, Rng& rng) {
  if (text.empty()) return;
  const std::size_t at =
      below(rng, rng.below(8) == 0 ? text.size() : std::min<std::size_t>(text.size(), 600));
  switch (rng.below(7)) {
    case 0:
      text[at] = static_cast<char>(static_cast<unsigned char>(text[at]) ^
                                   (1U << static_cast<unsigned>(rng.below(8))));
      break;
    case 1:
      text[at] = static_cast<char>(rng.below(256));
      break;
    case 2:
      text.resize(at);
      break;
    case 3:
      text.insert(at, 1 + below(rng, 40), static_cast<char>(rng.below(256)));
      break;
    case 4:
      text.insert(below(rng, text.size()), text.substr(at, 1 + below(rng, 64)));
      break;
    case 5:
      replace_number(text, rng);
      break;
    default:
      edit_line(text, rng);
  }
}

void count_answer(MalformedReport& report, std::string_view answer, bool closed) {
  if (answer.empty()) {
    closed ? ++report.by_status[0] : ++report.silent;
    return;
  }
  int status = 0;
  if (answer.size() >= 12 && (answer.starts_with("HTTP/1.1 ") || answer.starts_with("HTTP/1.0 ")))
    std::from_chars(answer.data() + 9, answer.data() + 12, status);
  if (status < 100 || status > 599) {
    ++report.no_http;
  } else {
    ++report.by_status[status];
  }
}

void send_one(const std::string& request, const tcp::endpoint& endpoint, MalformedReport& report) {
  asio::io_context io;
  boost::beast::tcp_stream stream(io);
  error_code error;
  stream.socket().connect(endpoint, error);
  ++report.sent;
  if (error) {
    ++report.refused;
    return;
  }
  std::string answer;
  std::array<char, 4096> chunk{};
  error_code ended;
  stream.expires_after(std::chrono::seconds(10));
  // Writing and reading at once: the server may answer before it has read all.
  asio::async_write(stream, asio::buffer(request), [&](error_code failed, std::size_t) {
    if (!failed) stream.socket().shutdown(tcp::socket::shutdown_send, failed);
  });
  const std::function<void(error_code, std::size_t)> got = [&](error_code failed,
                                                               std::size_t size) {
    answer.append(chunk.data(), size);
    ended = failed;
    if (!failed) stream.async_read_some(asio::buffer(chunk), got);
  };
  stream.async_read_some(asio::buffer(chunk), got);
  io.run();
  count_answer(report, answer, ended != boost::beast::error::timeout);
}

}  // namespace

std::string malformed(std::string_view request, Rng& rng) {
  std::string text(request);
  for (std::int64_t edits = 1 + rng.below(4); edits > 0; --edits) edit(text, rng);
  return text;
}

MalformedReport send_malformed(std::string_view request, int port, std::int64_t count, int threads,
                               std::uint64_t seed) {
  const tcp::endpoint endpoint(asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(port));
  std::vector<MalformedReport> parts(static_cast<std::size_t>(threads));
  std::vector<std::thread> senders;
  for (int t = 0; t < threads; ++t)
    senders.emplace_back([&, t] {
      for (std::int64_t i = t; i < count; i += threads) {
        Rng rng({seed, static_cast<std::uint64_t>(i)});
        send_one(malformed(request, rng), endpoint, parts[static_cast<std::size_t>(t)]);
      }
    });
  for (std::thread& sender : senders) sender.join();
  MalformedReport all;
  for (const MalformedReport& part : parts) {
    all.sent += part.sent;
    all.no_http += part.no_http;
    all.silent += part.silent;
    all.refused += part.refused;
    for (const auto& [status, number] : part.by_status) all.by_status[status] += number;
  }
  return all;
}

}  // namespace branchy
