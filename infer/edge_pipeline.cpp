#include "infer/edge_pipeline.h"

#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/threads.h"

namespace branchy {

struct EdgePipeline::Impl {
  using Clock = std::chrono::steady_clock;
  struct Job {
    EdgeImage image;
    Done done;
    Clock::time_point arrived;
  };

  Impl(ServedModel model, std::unique_ptr<CloudClient> cloud, EdgePipelineOptions the_options,
       EdgeEngine::Warn warn)
      : options(std::move(the_options)),
        has_cloud(cloud != nullptr),
        engine(std::move(model), std::move(cloud), options.engine, std::move(warn)) {}

  void run() {
    set_num_threads(options.threads);
    for (;;) {
      Job job;
      {
        std::unique_lock lock(mutex);
        arrived.wait(lock, [this] { return stopped || !queue.empty(); });
        if (queue.empty()) return;
        job = std::move(queue.front());
        queue.pop_front();
        busy = true;
      }
      left.notify_all();
      EdgeOutcome outcome = engine.classify(job.image.pixels);
      outcome.decode_ms = job.image.decode_ms;
      job.done(outcome);
      {
        const std::lock_guard lock(mutex);
        busy = false;
      }
      left.notify_all();
    }
  }
  void require(const EdgeImage& image) const {
    const std::int64_t expected = engine.model().image_shape->size();
    if (std::ssize(image.pixels) != expected)
      throw ShapeError(fmt::format("[edge] image of {} bytes, the model takes {}",
                                   image.pixels.size(), expected));
  }

  EdgePipelineOptions options;
  bool has_cloud;
  EdgeEngine engine;
  mutable std::mutex mutex;
  std::condition_variable arrived, left;
  std::deque<Job> queue;
  bool busy = false, stopped = false;
  std::thread computing;
};

EdgePipeline::EdgePipeline(ServedModel model, std::unique_ptr<CloudClient> cloud,
                           EdgePipelineOptions options, EdgeEngine::Warn warn)
    : impl_(std::make_unique<Impl>(std::move(model), std::move(cloud), std::move(options),
                                   std::move(warn))) {
  impl_->computing = std::thread([impl = impl_.get()] { impl->run(); });
}

EdgePipeline::~EdgePipeline() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopped = true;
  }
  impl_->arrived.notify_all();
  impl_->computing.join();
}

const ServedModel& EdgePipeline::model() const { return impl_->engine.model(); }

void EdgePipeline::submit(EdgeImage image, Done done) {
  impl_->require(image);
  {
    std::unique_lock lock(impl_->mutex);
    impl_->left.wait(lock, [this] { return impl_->queue.size() < impl_->options.queue; });
    impl_->queue.push_back({std::move(image), std::move(done), Impl::Clock::now()});
  }
  impl_->arrived.notify_one();
}

bool EdgePipeline::try_submit(EdgeImage& image, Done& done) {
  impl_->require(image);
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->queue.size() >= impl_->options.queue) return false;
    impl_->queue.push_back({std::move(image), std::move(done), Impl::Clock::now()});
  }
  impl_->arrived.notify_one();
  return true;
}

void EdgePipeline::drain() {
  std::unique_lock lock(impl_->mutex);
  impl_->left.wait(lock, [this] { return impl_->queue.empty() && !impl_->busy; });
}

EdgeOutcome EdgePipeline::classify(EdgeImage image) {
  std::promise<EdgeOutcome> outcome;
  submit(std::move(image), [&](const EdgeOutcome& found) { outcome.set_value(found); });
  return outcome.get_future().get();
}

EdgeStatus EdgePipeline::status() const {
  const std::lock_guard lock(impl_->mutex);
  return {.has_cloud = impl_->has_cloud, .queued = impl_->queue.size()};
}

}  // namespace branchy
