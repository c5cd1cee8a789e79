// A small network split between an EdgePipeline and a cloud in this process that does as told.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/threads.h"
#include "infer/cloud_service.h"
#include "infer/edge_pipeline.h"
#include "infer/pixel_input.h"
#include "infer/plan_backend.h"
#include "infer/policies/max_probability.h"
#include "tests/infer/plan_fixtures.h"
#include "tests/support/temporary_directory.h"

namespace branchy::test {

/// Holds back whoever passes until it is opened.
class Gate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    ++num_came_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return is_open_; });
  }
  /// Blocks until so many have come.
  void wait_for(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return num_came_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_open_ = false;
  int num_came_ = 0;
};

/// ResNet44 with two early exits, cut at the second.
class SplitFixture : public testing::Test {
 protected:
  using Pixels = std::vector<std::uint8_t>;
  /// Looks at a request before the model; gives an answer instead of the model's, or nothing.
  using Script = std::function<std::optional<HttpResponse>(const HttpRequest&)>;

  static constexpr int kNumImages = 12;

  SplitFixture() : network_(lived_in_network(2)) {
    set_num_threads(1);  // edge and cloud share this process
    cut_ = network_->exit(2).after_block;
    // Smaller scores, so that no exit is sure to the last bit and threshold 1 holds all back.
    for (StateEntry& entry : network_->state()) {
      if (entry.variable->shape().rank() != 2) continue;
      for (float& value : entry.variable->mutable_value().mutable_data()) value *= 0.05F;
    }
    Rng rng(3);
    for (int i = 0; i < kNumImages; ++i) {
      Pixels image(3 * 32 * 32);
      for (std::uint8_t& pixel : image) pixel = static_cast<std::uint8_t>(rng.below(256));
      images_.push_back(std::move(image));
    }
  }

  ServedModel served(const NetworkPart& part, bool cut = true) {
    ModelInfo info;
    info.config = network_->config();
    info.part = part;
    info.mean = {0.5F, 0.4F, 0.3F};
    info.std = {0.25F, 0.3F, 0.2F};
    if (cut) info.cut = network_->blocks()[static_cast<std::size_t>(cut_ - 1)].name;
    const auto path = directory_ / "model.safetensors";
    save_model(path, *network_, info);
    return load_served_model(path);
  }
  ServedModel edge_model() { return served({0, cut_, 1, 2}); }
  /// As `branchy export --full-edge` makes it.
  ServedModel full_edge_model() { return served(network_->whole()); }
  ServedModel cloud_model(bool suffix_only) {
    return served({suffix_only ? cut_ : 0, std::ssize(network_->blocks()), 3, 3});
  }

  void serve(ServedModel model, Script script = {}, HttpServerOptions options = {}) {
    service_.set_backend(std::make_shared<PlanBackend>(std::move(model), 4));
    options.workers = 4;  // those that a script may hold back
    server_ = std::make_unique<HttpServer>(options, service_.quick_handler(),
                                           [inner = service_.handler(), script = std::move(script)](
                                               HttpRequest request, Responder respond) {
                                             std::optional<HttpResponse> scripted;
                                             if (script) scripted = script(request);
                                             if (scripted) return respond(*std::move(scripted));
                                             inner(std::move(request), std::move(respond));
                                           });
    server_->start();
  }

  /// To a cloud for `edge_model()`.
  std::unique_ptr<CloudLink> link(int port, std::size_t connections = 4, std::int64_t retries = 0,
                                  std::chrono::milliseconds timeout = std::chrono::seconds(10),
                                  HttpClientOptions http = {}) {
    CloudLinkOptions options;
    options.client.url = {.host = "127.0.0.1", .port = port, .tls = !http.ca_file.empty()};
    options.client.http = std::move(http);
    options.client.model = cloud_model_for(edge_model());
    options.client.timeout = timeout;
    options.client.connections = connections;
    options.retries = retries;
    return std::make_unique<CloudLink>(std::move(options), [this](const std::string& text) {
      const std::lock_guard lock(warnings_mutex_);
      warnings_.push_back(text);
    });
  }
  static EdgePipelineOptions by(std::vector<float> thresholds) {
    return {.engine = {.policy = std::make_shared<MaxProbabilityPolicy>(
                           ExitThresholds(std::move(thresholds), 2))}};
  }
  /// No exit here lets an image leave.
  static EdgePipelineOptions all_to_the_cloud() { return by({1, 1}); }

  /// Predictions of all exits of the unsplit plan.
  std::vector<std::vector<Prediction>> reference() {
    const ServedModel whole = served(network_->whole(), false);
    ExitRunner runner(whole.plan);
    std::vector<std::vector<Prediction>> all;
    for (const Pixels& image : images_) {
      runner.start(normalize_pixels(image, *whole.image_shape, whole.info));
      std::vector<Prediction> exits;
      while (runner.has_next()) {
        const ExitOutput output = runner.next_exit();
        exits.push_back(predict(output.exit, output.logits.data()));
      }
      all.push_back(std::move(exits));
    }
    return all;
  }
  static float median_confidence(const std::vector<std::vector<Prediction>>& all,
                                 std::size_t exit) {
    std::vector<float> confidences;
    for (const auto& exits : all) confidences.push_back(exits[exit].confidence);
    std::sort(confidences.begin(), confidences.end());
    return confidences[confidences.size() / 2];
  }
  /// Of the first two exits.
  static const Prediction& most_confident_early(const std::vector<Prediction>& exits) {
    return exits[exits[1].confidence > exits[0].confidence ? 1 : 0];
  }
  static void expect_same(const Prediction& found, const Prediction& expected) {
    EXPECT_EQ(found.exit, expected.exit);
    EXPECT_EQ(found.label, expected.label);
    EXPECT_EQ(found.confidence, expected.confidence);
  }
  /// All images at once, their outcomes by image.
  std::vector<EdgeOutcome> submit_all(EdgePipeline& edge) {
    std::vector<EdgeOutcome> outcomes(images_.size());
    for (std::size_t i = 0; i < images_.size(); ++i) {
      edge.submit({.pixels = images_[i]},
                  [&outcomes, i](const EdgeOutcome& outcome) { outcomes[i] = outcome; });
    }
    edge.drain();
    return outcomes;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<MultiExitNetwork> network_;
  std::int64_t cut_ = 0;
  std::vector<Pixels> images_;
  std::mutex warnings_mutex_;
  std::vector<std::string> warnings_;
  CloudService service_{{.batching = {.on_worker_start = [] { set_num_threads(1); }}}};
  std::unique_ptr<HttpServer> server_;
};

}  // namespace branchy::test
