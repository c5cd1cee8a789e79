#include "data/loader.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/step_profile.h"
#include "core/threads.h"

namespace branchy {

namespace {

constexpr std::int64_t kMaxThreads = 256;
constexpr std::int64_t kMaxBatch = std::int64_t{1} << 20;

void require_range(const char* name, std::int64_t value, std::int64_t max) {
  if (value < 1 || value > max)
    throw ConfigError(
        fmt::format("[loader] {} is {}, expected 1 to {}; correct the option", name, value, max));
}

using Order = std::shared_ptr<const std::vector<std::int64_t>>;

/// What a thread needs to make one batch.
struct Job {
  std::uint64_t generation = 0;
  std::int64_t epoch = 0, batch = 0;
  Order order;
};

struct Made {
  Batch batch;
  std::exception_ptr error;
};

}  // namespace

struct Loader::Impl {
  Impl(std::shared_ptr<const Dataset> images, LoaderOptions loader_options)
      : dataset(std::move(images)), options(loader_options) {
    require_range("batch size", options.batch, kMaxBatch);
    require_range("number of loader threads", options.threads, kMaxThreads);
    require_range("prefetch", options.prefetch, kMaxBatch);
    if (dataset == nullptr || dataset->size() == 0)
      throw ConfigError("[loader] the data set is empty; choose another one");
    const Shape shape = dataset->image_shape();
    if (shape.rank() != 3 || shape[0] != 3)
      throw ConfigError(fmt::format("[loader] images are {}, expected [3,H,W]; choose another set",
                                    shape.to_string()));
    const std::int64_t size = dataset->size();
    num_batches =
        options.drop_last ? size / options.batch : (size + options.batch - 1) / options.batch;
    workers.reserve(static_cast<std::size_t>(options.threads));
  }

  void start_threads() {
    for (std::int64_t i = 0; i < options.threads; ++i) workers.emplace_back([this] { work(); });
  }

  void stop_threads() noexcept {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    job_ready.notify_all();
    for (std::thread& worker : workers) worker.join();
    workers.clear();
  }

  void work() {
    unpin_this_thread();  // compute threads are pinned, and a new thread inherits that
    std::unique_lock lock(mutex);
    while (true) {
      job_ready.wait(lock, [this] {
        return stopping || (claimed < num_batches && claimed < consumed + options.prefetch);
      });
      if (stopping) return;
      const Job job{generation, epoch, claimed++, order};
      lock.unlock();
      Made made = make(job);
      lock.lock();
      if (job.generation != generation) continue;
      ready.insert_or_assign(job.batch, std::move(made));
      batch_ready.notify_one();
    }
  }

  [[nodiscard]] Made make(const Job& job) const noexcept {
    Made made;
    try {
      made.batch = make_batch(job);
    } catch (...) {
      made.error = std::current_exception();
    }
    return made;
  }

  [[nodiscard]] Batch make_batch(const Job& job) const {
    const std::int64_t begin = job.batch * options.batch;
    const std::int64_t count = std::min(options.batch, dataset->size() - begin);
    const Shape image = dataset->image_shape();
    const auto pixels = static_cast<std::size_t>(image.size());
    Batch batch;
    std::span<float> values;
    if (!options.labels_only) {
      batch.images = Tensor(Shape{count, image[0], image[1], image[2]});
      values = batch.images.mutable_data();
    }
    std::vector<std::uint8_t> augmented(options.labels_only ? 0 : pixels);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t index =
          job.order ? (*job.order)[static_cast<std::size_t>(begin + i)] : begin + i;
      batch.labels.push_back(dataset->label(index));
      batch.indices.push_back(index);
      if (options.labels_only) continue;
      Rng rng(
          {options.seed, static_cast<std::uint64_t>(job.epoch), static_cast<std::uint64_t>(index)});
      dataset->read_augmented(index, options.augmentation, rng, augmented);
      normalize(options.normalization, augmented,
                values.subspan(static_cast<std::size_t>(i) * pixels, pixels));
    }
    return batch;
  }

  const std::shared_ptr<const Dataset> dataset;
  const LoaderOptions options;
  std::int64_t num_batches = 0;

  std::mutex mutex;  // guards what follows
  std::condition_variable job_ready, batch_ready;
  bool stopping = false;
  std::uint64_t generation = 0;  // counts start_epoch(): results of an earlier epoch are dropped
  std::int64_t epoch = 0;
  std::int64_t claimed = 0, consumed = 0;  // both num_batches at the end of an epoch
  Order order;
  std::map<std::int64_t, Made> ready;
  double waited_seconds = 0.0;

  std::vector<std::thread> workers;
};

Loader::Loader(std::shared_ptr<const Dataset> dataset, LoaderOptions options)
    : impl_(std::make_unique<Impl>(std::move(dataset), options)) {
  impl_->claimed = impl_->consumed = impl_->num_batches;
  try {
    impl_->start_threads();
  } catch (const std::system_error&) {
    impl_->stop_threads();
    throw IoError(
        fmt::format("[loader] the system refuses {} loader threads; use fewer", options.threads));
  }
}

Loader::~Loader() { impl_->stop_threads(); }

void Loader::start_epoch(std::int64_t epoch, std::int64_t first_batch) {
  if (epoch < 0 || first_batch < 0 || first_batch > impl_->num_batches)
    throw ConfigError(
        fmt::format("[loader] epoch {} from batch {}, expected 0 or more from batch "
                    "0 to {}; resume with the batch size of the run",
                    epoch, first_batch, impl_->num_batches));
  Order order;
  if (impl_->options.shuffle)
    order = std::make_shared<const std::vector<std::int64_t>>(
        Rng({impl_->options.seed, static_cast<std::uint64_t>(epoch)})
            .permutation(impl_->dataset->size()));
  std::map<std::int64_t, Made> dropped;  // freed after the lock
  {
    const std::lock_guard lock(impl_->mutex);
    ++impl_->generation;
    impl_->epoch = epoch;
    impl_->order = std::move(order);
    impl_->claimed = impl_->consumed = first_batch;
    dropped.swap(impl_->ready);
  }
  impl_->job_ready.notify_all();
}

std::optional<Batch> Loader::next() {
  const TimedWork work(StepWork::kLoaderWait);
  std::unique_lock lock(impl_->mutex);
  if (impl_->consumed >= impl_->num_batches) return std::nullopt;
  const std::int64_t wanted = impl_->consumed;
  const auto begin = std::chrono::steady_clock::now();
  impl_->batch_ready.wait(lock, [&] { return impl_->ready.contains(wanted); });
  const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - begin;
  impl_->waited_seconds += waited.count();
  Made made = std::move(impl_->ready.extract(wanted).mapped());
  ++impl_->consumed;
  if (made.error) {
    ++impl_->generation;
    impl_->claimed = impl_->consumed = impl_->num_batches;
    impl_->ready.clear();
    std::rethrow_exception(made.error);
  }
  lock.unlock();
  impl_->job_ready.notify_one();
  return std::move(made.batch);
}

std::int64_t Loader::batches_per_epoch() const { return impl_->num_batches; }

double Loader::wait_seconds() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->waited_seconds;
}

}  // namespace branchy
