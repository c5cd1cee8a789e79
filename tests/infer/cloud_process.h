// A real branchy-cloud on a small network with known answers, and clients that check each of them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/rng.h"
#include "core/threads.h"
#include "infer/http_client.h"
#include "infer/plan_backend.h"
#include "infer/protocol.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"

namespace branchy::test {

using std::chrono::seconds;

/// Patience with a program on a loaded machine; a hang is what the tests look for.
inline constexpr seconds kProcessPatience{90};

/// A whole small network and what it answers. Variants answer differently.
class KnownModel {
 public:
  static constexpr int kNumImages = 6;

  KnownModel(const std::filesystem::path& file, float scale) {
    set_num_threads(1);
    const auto network = lived_in_network(2);
    for (StateEntry& entry : network->state()) {
      if (entry.variable->shape().rank() != 2) continue;
      for (float& value : entry.variable->mutable_value().mutable_data()) value *= scale;
    }
    ModelInfo info;
    info.config = network->config();
    info.part = network->whole();
    info.mean = {0.5F, 0.4F, 0.3F};
    info.std = {0.25F, 0.3F, 0.2F};
    for (int i = 0; i < 10; ++i) info.class_names.push_back("class" + std::to_string(i));
    const auto partial = file.string() + ".part";
    save_model(partial, *network, info);
    PlanBackend backend(load_served_model(partial), 1);
    for (int i = 0; i < kNumImages; ++i)
      logits_.push_back(backend.infer(request(i)).outputs.at(0).bytes);
    std::filesystem::rename(partial, file);
  }

  [[nodiscard]] static InferRequest request(int image) {
    Rng rng(static_cast<std::uint64_t>(100 + image));
    std::vector<std::uint8_t> pixels(3 * 32 * 32);
    for (std::uint8_t& pixel : pixels) pixel = static_cast<std::uint8_t>(rng.below(256));
    InferRequest message;
    message.id = std::to_string(image);
    message.inputs.push_back(uint8_tensor("image", {1, 3, 32, 32}, pixels));
    message.binary_outputs = true;
    return message;
  }
  [[nodiscard]] bool answers(int image, const InferResponse& response) const {
    return response.id == std::to_string(image) &&
           response.outputs.at(0).bytes == logits_[static_cast<std::size_t>(image)];
  }

 private:
  std::vector<std::vector<std::byte>> logits_;
};

[[nodiscard]] inline HttpRequest infer_http_request(int image, const std::string& path) {
  const WireMessage wire = build_infer_request(KnownModel::request(image));
  return {.method = "POST",
          .target = path,
          .headers = {{"Content-Type", std::string(wire.content_type())},
                      {std::string(kInferenceHeader), std::to_string(*wire.json_bytes)}},
          .body = wire.body};
}

/// Kept-alive clients that ask without a pause until stopped, each answer checked.
class CheckedLoad {
 public:
  /// Whether a 200 is right for an image; may be called from several threads.
  using Check = std::function<bool(int image, const InferResponse&)>;

  CheckedLoad(const HttpUrl& url, const std::string& path, int num_clients, const Check& check,
              const HttpClientOptions& options = {}) {
    for (int client = 0; client < num_clients; ++client)
      threads_.emplace_back([=, this] { run(url, path, client, check, options); });
  }
  ~CheckedLoad() { stop(); }
  CheckedLoad(const CheckedLoad&) = delete;
  CheckedLoad& operator=(const CheckedLoad&) = delete;

  void stop() {
    stopped_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  /// Until this many more answers have come; false when the load has failed or time is up.
  [[nodiscard]] bool wait_for_more(int count) {
    const int goal = right_ + count;
    return wait_until([&] { return right_ >= goal || wrong_ > 0; }, kProcessPatience) &&
           wrong_ == 0;
  }
  [[nodiscard]] int right() const { return right_; }
  [[nodiscard]] int wrong() const { return wrong_; }
  [[nodiscard]] int lost() const { return lost_; }

 private:
  void run(const HttpUrl& url, const std::string& path, int client, const Check& check,
           const HttpClientOptions& options) {
    HttpClient http(url, options);
    for (int i = client; !stopped_; ++i) {
      const int image = i % KnownModel::kNumImages;
      const auto answer = http.exchange(infer_http_request(image, path), seconds(60));
      if (!answer.ok() || answer->response.status != 200) {
        ++lost_;
        continue;
      }
      const HttpResponse& response = answer->response;
      try {
        const bool good = check(
            image,
            parse_infer_response(response.body, find_header(response.headers, kInferenceHeader)));
        ++(good ? right_ : wrong_);
      } catch (const std::exception&) {
        ++wrong_;
      }
    }
  }

  std::atomic<bool> stopped_{false};
  std::atomic<int> right_{0}, wrong_{0}, lost_{0};
  std::vector<std::thread> threads_;
};

/// Starts clouds in a directory of its own.
class CloudProcessTest : public testing::Test {
 protected:
  struct Cloud {
    std::unique_ptr<ChildProcess> process;
    int port = 0;
    std::filesystem::path log;

    [[nodiscard]] HttpUrl url() const { return {"127.0.0.1", port}; }
  };

  /// `program` with `words` on `port`, 0 for a free one; ready when it returns.
  Cloud start_cloud(const std::string& program, std::vector<std::string> words, int port = 0) {
    const std::string number = std::to_string(++num_clouds_);
    Cloud cloud{.process = nullptr, .log = directory_ / ("cloud" + number + ".log")};
    const auto port_file = directory_ / ("port" + number);
    words.insert(words.begin(), program);
    for (const std::string& word :
         {std::string("--threads"), std::string("1"), std::string("--port"), std::to_string(port),
          std::string("--port-file"), port_file.string()})
      words.push_back(word);
    cloud.process = std::make_unique<ChildProcess>(words, cloud.log);
    const bool done =
        wait_until([&] { return std::filesystem::exists(port_file) || !cloud.process->running(); },
                   kProcessPatience);
    if (done && cloud.process->running()) cloud.port = std::stoi(read_text(port_file));
    EXPECT_NE(cloud.port, 0) << read_text(cloud.log);
    return cloud;
  }
  [[nodiscard]] static int status_of(const HttpUrl& url, const std::string& path) {
    HttpClient client(url);
    const auto answer = client.exchange({.target = path}, seconds(30));
    return answer.ok() ? answer->response.status : 0;
  }
  [[nodiscard]] static std::string body_of(const HttpUrl& url, const std::string& path) {
    HttpClient client(url);
    const auto answer = client.exchange({.target = path}, seconds(30));
    return answer.ok() ? answer->response.body : answer.failure().text;
  }

  TemporaryDirectory directory_;
  int num_clouds_ = 0;
};

}  // namespace branchy::test
