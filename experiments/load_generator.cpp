#include "experiments/load_generator.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cmath>
#include <deque>
#include <thread>
#include <utility>

#include "core/error.h"
#include "infer/protocol.h"

namespace branchy {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kIdDigits = 10;

std::string padded_id(std::int64_t number) { return fmt::format("{:0{}}", number, kIdDigits); }

double ms_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double, std::milli>(end - begin).count();
}

const WireTensor* find_output(const InferResponse& response, std::string_view name) {
  for (const WireTensor& output : response.outputs)
    if (output.name == name) return &output;
  return nullptr;
}

std::string kind_of(error_code error) {
  if (error == beast::error::timeout) return "timeout";
  if (error == asio::error::connection_refused) return "refused";
  if (error == asio::error::connection_reset || error == asio::error::broken_pipe) return "reset";
  if (error == http::error::end_of_stream || error == http::error::partial_message ||
      error == asio::error::eof)
    return "closed";
  static const auto& http_category = http::make_error_code(http::error::bad_value).category();
  return error.category() == http_category ? "malformed" : error.message();
}

// A request on its way.
struct Job {
  std::int64_t number = 0;
  std::int64_t first = 0;  // row
  Clock::time_point due;
};

}  // namespace

std::string feature_request(const RecordedFeatures& recorded, const HttpUrl& url,
                            std::int64_t first, std::int64_t rows, const HttpHeaders& headers,
                            std::string_view id) {
  std::vector<std::int64_t> dims(recorded.features.shape().dims().begin(),
                                 recorded.features.shape().dims().end());
  const auto row_size = static_cast<std::size_t>(recorded.features.shape().size() / dims[0]);
  dims[0] = rows;
  InferRequest request;
  request.id = std::string(id);
  request.binary_outputs = true;
  request.inputs.push_back(
      fp32_tensor(fmt::format("feature@{}", recorded.cut), dims,
                  recorded.features.data().subspan(static_cast<std::size_t>(first) * row_size,
                                                   static_cast<std::size_t>(rows) * row_size)));
  const WireMessage wire = build_infer_request(request);
  std::string text = fmt::format(
      "POST /v2/models/{}/infer HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\n{}: {}\r\n"
      "Content-Length: {}\r\n",
      recorded.model, url.authority(), wire.content_type(), kInferenceHeader,
      wire.json_bytes.value_or(0), wire.body.size());
  for (const auto& [name, value] : headers) text += fmt::format("{}: {}\r\n", name, value);
  return text + "\r\n" + wire.body;
}

std::string wrong_with(const RecordedFeatures& recorded, std::int64_t first, std::int64_t rows,
                       std::string_view id, double tolerance, std::string_view body,
                       std::optional<std::string_view> json_bytes) {
  try {
    const InferResponse answer = parse_infer_response(body, json_bytes);
    if (answer.id != id) return fmt::format("answer to '{}', asked '{}'", answer.id, id);
    const WireTensor* logits = find_output(answer, "logits");
    const WireTensor* exits = find_output(answer, "exit_index");
    const std::int64_t classes = recorded.logits.dim(1);
    if (logits == nullptr || exits == nullptr || exits->shape != std::vector{rows} ||
        logits->shape != std::vector{rows, classes})
      return "outputs are missing or of another shape";
    const std::vector<float> got = fp32_values(*logits);
    const std::vector<std::int32_t> answering = int32_values(*exits);
    for (std::int64_t row = 0; row < rows; ++row) {
      if (answering[static_cast<std::size_t>(row)] != recorded.exit)
        return fmt::format("row {}: exit {}, expected {}", first + row,
                           answering[static_cast<std::size_t>(row)], recorded.exit);
      const auto mine = std::span(got).subspan(static_cast<std::size_t>(row * classes),
                                               static_cast<std::size_t>(classes));
      const auto right = recorded.logits.data().subspan(
          static_cast<std::size_t>((first + row) * classes), static_cast<std::size_t>(classes));
      if (std::max_element(mine.begin(), mine.end()) - mine.begin() !=
          std::max_element(right.begin(), right.end()) - right.begin())
        return fmt::format("row {}: another class", first + row);
      float largest = 1.0F;
      for (const float value : right) largest = std::max(largest, std::abs(value));
      for (std::size_t i = 0; i < mine.size(); ++i)
        if (std::abs(mine[i] - right[i]) > tolerance * static_cast<double>(largest))
          return fmt::format("row {}: logit {} is {}, expected {}", first + row, i, mine[i],
                             right[i]);
    }
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

struct LoadGenerator::Impl {
  // A kept-alive connection and the request that it carries.
  struct Client {
    explicit Client(asio::io_context& io) : stream(io), pause(io) {}

    beast::tcp_stream stream;
    beast::flat_buffer buffer;
    std::optional<http::response_parser<http::string_body>> parser;
    asio::steady_timer pause;
    std::string message;
    Job job;
    bool connected = false;
  };

  Impl(const RecordedFeatures& features, LoadOptions load_options)
      : recorded(features), options(std::move(load_options)) {}

  void start();
  void make_due();
  void next(Client& client);
  void attempt(Client& client);
  void send(Client& client);
  void receive(Client& client);
  void take(Client& client);
  void failed(Client& client, const std::string& kind);
  void disconnect(Client& client);
  void end_if_done();
  [[nodiscard]] bool may_send() const {
    return !stopping && Clock::now() < end && (options.limit == 0 || report.sent < options.limit);
  }

  const RecordedFeatures& recorded;
  LoadOptions options;
  asio::io_context io;
  tcp::endpoint endpoint;
  std::vector<std::string> messages;  // by first row / rows
  std::vector<std::size_t> id_places;
  std::vector<std::unique_ptr<Client>> clients;
  std::deque<Client*> idle;
  std::deque<Job> due;  // open loop: waiting for a connection
  asio::steady_timer clock{io};
  Clock::time_point begin, end, last_answer, next_due;
  std::int64_t busy = 0;
  bool stopping = false;
  LoadReport report;
  std::atomic<std::int64_t> num_right{0};
  std::thread thread;
};

void LoadGenerator::Impl::start() {
  error_code error;
  const auto address = asio::ip::make_address(options.url.host, error);
  if (error || options.connections < 1 || options.rows < 1 || options.rows > recorded.size() ||
      options.rate < 0)
    throw ConfigError(fmt::format(
        "[load] {} with {} connections, {} rows and rate {}, expected a numeric host, "
        "connections >= 1, rows 1..{} and a rate >= 0",
        options.url.to_string(), options.connections, options.rows, options.rate, recorded.size()));
  endpoint = {address, static_cast<std::uint16_t>(options.url.port)};
  const std::string placeholder(kIdDigits, '#');
  for (std::int64_t first = 0; first + options.rows <= recorded.size(); first += options.rows) {
    messages.push_back(
        feature_request(recorded, options.url, first, options.rows, options.headers, placeholder));
    id_places.push_back(messages.back().find(placeholder));
  }
  begin = last_answer = next_due = Clock::now();
  end = begin + options.duration;
  for (std::int64_t i = 0; i < options.connections; ++i) {
    clients.push_back(std::make_unique<Client>(io));
    idle.push_back(clients.back().get());
  }
  if (options.rate > 0) return make_due();
  idle.clear();
  for (const auto& client : clients) next(*client);  // idles again when there is nothing to send
}

// Open loop: puts in what is due by now, and comes again for the next.
void LoadGenerator::Impl::make_due() {
  while (may_send() && next_due <= Clock::now()) {
    const std::int64_t number = report.sent++;
    const std::int64_t first = number % std::ssize(messages) * options.rows;
    due.push_back({number, first, next_due});
    next_due += std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(1 / options.rate));
  }
  while (!due.empty() && !idle.empty()) {
    Client* client = idle.front();
    idle.pop_front();
    next(*client);
  }
  if (!may_send()) return end_if_done();
  clock.expires_at(next_due);
  clock.async_wait([this](error_code error) {
    if (!error) make_due();
  });
}

// Gives a connection its next request, or lets it idle.
void LoadGenerator::Impl::next(Client& client) {
  if (options.rate > 0) {
    if (due.empty()) {
      idle.push_back(&client);
      return end_if_done();
    }
    client.job = due.front();
    due.pop_front();
  } else {
    if (!may_send()) {
      idle.push_back(&client);
      return end_if_done();
    }
    const std::int64_t number = report.sent++;
    client.job = {number, number % std::ssize(messages) * options.rows, Clock::now()};
  }
  ++busy;
  const auto index = static_cast<std::size_t>(client.job.first / options.rows);
  client.message = messages[index];
  client.message.replace(id_places[index], kIdDigits, padded_id(client.job.number));
  attempt(client);
}

void LoadGenerator::Impl::attempt(Client& client) {
  client.stream.expires_after(options.timeout);
  if (client.connected) return send(client);
  client.stream.async_connect(endpoint, [this, &client](error_code error) {
    if (error) return failed(client, kind_of(error));
    client.connected = true;
    error_code ignored;
    client.stream.socket().set_option(tcp::no_delay(true), ignored);
    send(client);
  });
}

void LoadGenerator::Impl::send(Client& client) {
  asio::async_write(client.stream, asio::buffer(client.message),
                    [this, &client](error_code error, std::size_t) {
                      if (error) return failed(client, kind_of(error));
                      receive(client);
                    });
}

void LoadGenerator::Impl::receive(Client& client) {
  client.parser.emplace();
  client.parser->body_limit(64 << 20);
  http::async_read(client.stream, client.buffer, *client.parser,
                   [this, &client](error_code error, std::size_t) {
                     if (error) return failed(client, kind_of(error));
                     take(client);
                   });
}

void LoadGenerator::Impl::take(Client& client) {
  const http::response<http::string_body> response = client.parser->release();
  if (!response.keep_alive()) disconnect(client);
  if (response.result_int() != 200)
    return failed(client, fmt::format("status {}", response.result_int()));
  const auto header = response.find(std::string(kInferenceHeader));
  std::optional<std::string_view> json_bytes;
  if (header != response.end())
    json_bytes = std::string_view(header->value().data(), header->value().size());
  const std::string wrong =
      wrong_with(recorded, client.job.first, options.rows, padded_id(client.job.number),
                 options.tolerance, response.body(), json_bytes);
  last_answer = Clock::now();
  --busy;
  if (wrong.empty()) {
    ++report.right;
    ++num_right;
    report.latencies_ms.push_back(ms_between(client.job.due, last_answer));
  } else {
    ++report.wrong;
    if (report.first_wrong.empty()) report.first_wrong = wrong;
  }
  next(client);
}

// Tries again after a short pause while the request is young enough.
void LoadGenerator::Impl::failed(Client& client, const std::string& kind) {
  ++report.errors[kind];
  if (!kind.starts_with("status")) disconnect(client);
  const auto age = Clock::now() - client.job.due;
  if (age >= options.patience) {
    ++report.lost;
    --busy;
    last_answer = Clock::now();
  } else {
    ++report.retries;
  }
  const bool again = age < options.patience;
  client.pause.expires_after(std::chrono::milliseconds(20));
  client.pause.async_wait([this, &client, again](error_code error) {
    if (error) return;
    if (again) return attempt(client);
    next(client);
  });
}

void LoadGenerator::Impl::disconnect(Client& client) {
  client.stream.close();
  client.buffer.clear();
  client.connected = false;
}

void LoadGenerator::Impl::end_if_done() {
  if (busy > 0 || !due.empty() || may_send()) return;
  for (const auto& client : clients) client->stream.close();
  clock.cancel();
}

LoadGenerator::LoadGenerator(const RecordedFeatures& recorded, LoadOptions options)
    : impl_(new Impl(recorded, std::move(options))) {
  impl_->start();
  impl_->thread = std::thread([this] { impl_->io.run(); });
}

LoadGenerator::~LoadGenerator() {
  impl_->io.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
}

std::int64_t LoadGenerator::answered() const { return impl_->num_right; }

void LoadGenerator::stop() {
  asio::post(impl_->io, [this] {
    impl_->stopping = true;
    impl_->clock.cancel();
    impl_->end_if_done();
  });
}

LoadReport LoadGenerator::finish() {
  impl_->thread.join();
  LoadReport report = impl_->report;
  report.seconds = ms_between(impl_->begin, impl_->last_answer) / 1e3;
  return report;
}

}  // namespace branchy
