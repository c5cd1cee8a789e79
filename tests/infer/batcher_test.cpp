#include "infer/batcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "infer/padded_batch.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;
using Clock = Batcher::Clock;

/// Answers each request with its own id and the number of requests computed with it; computes when
/// the test lets it.
class EchoBackend final : public InferBackend {
 public:
  [[nodiscard]] ModelDescription describe() const override { return {}; }
  [[nodiscard]] InferResponse infer(const InferRequest& request) override {
    InferResponse response;
    response.id = request.id;
    return response;
  }
  [[nodiscard]] std::vector<InferResult> infer_batch(
      std::span<const InferRequest* const> requests) override {
    std::unique_lock lock(mutex_);
    batches_.emplace_back();
    for (const InferRequest* request : requests) batches_.back().push_back(request->id);
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
    if (fails_) throw std::runtime_error("broken");
    return InferBackend::infer_batch(requests);
  }

  void close() { set_open(false); }
  void open() { set_open(true); }
  void break_down() { fails_ = true; }
  void wait_for_batches(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return batches_.size() >= count; });
  }
  [[nodiscard]] std::vector<std::vector<std::string>> batches() {
    const std::lock_guard lock(mutex_);
    return batches_;
  }

 private:
  void set_open(bool open) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<std::string>> batches_;
  bool open_ = true;
  std::atomic<bool> fails_{false};
};

/// What became of the tasks, in the order of their ends.
class Outcomes {
 public:
  [[nodiscard]] BatchTask::Done done() {
    return [this](BatchTask& task, InferResult result, const BatchTimes& times) {
      std::string text = task.request.id + ":";
      try {
        if (auto* error = std::get_if<std::exception_ptr>(&result)) std::rethrow_exception(*error);
        text += std::get<InferResponse>(result).id;
      } catch (const HttpError& error) {
        text += std::to_string(error.status());
      } catch (const std::exception& error) {
        text += error.what();
      }
      const std::lock_guard lock(mutex_);
      texts_.push_back(std::move(text));
      last_ = times;
      changed_.notify_all();
    };
  }
  std::vector<std::string> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return texts_.size() >= count; });
    return texts_;
  }
  BatchTimes last() {
    const std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> texts_;
  BatchTimes last_;
};

class BatcherTest : public testing::Test {
 protected:
  ~BatcherTest() override { backend_->open(); }

  BatchTask task(const std::string& id, std::optional<std::string> key = "k",
                 std::int64_t rows = 1) {
    BatchTask one;
    one.backend = backend_;
    one.request.id = id;
    one.key = std::move(key);
    one.rows = rows;
    one.done = outcomes_.done();
    return one;
  }
  void submit(Batcher& batcher, BatchTask one) { ASSERT_TRUE(batcher.submit(one)); }
  /// The only worker computes "first" until the backend opens.
  void occupy(Batcher& batcher) {
    backend_->close();
    submit(batcher, task("first"));
    backend_->wait_for_batches(1);
  }

  std::shared_ptr<EchoBackend> backend_ = std::make_shared<EchoBackend>();
  Outcomes outcomes_;
};

using Ids = std::vector<std::string>;

TEST_F(BatcherTest, JoinsWhatWaitsForAWorkerByKeyUpToTheRows) {
  Batcher batcher({.max_rows = 3});
  occupy(batcher);
  submit(batcher, task("a"));
  submit(batcher, task("x", "other"));
  submit(batcher, task("b"));
  submit(batcher, task("alone", std::nullopt));
  submit(batcher, task("c"));
  submit(batcher, task("d", "k", 2));
  EXPECT_EQ(batcher.num_waiting(), 6U);
  backend_->open();
  outcomes_.wait_for(7);
  EXPECT_EQ(backend_->batches(),
            (std::vector<Ids>{{"first"}, {"a", "b", "c"}, {"x"}, {"alone"}, {"d"}}));
  EXPECT_EQ(batcher.num_waiting(), 0U);
}

TEST_F(BatcherTest, EachRequestGetsItsOwnAnswer) {
  Batcher batcher({.workers = 3, .queue_limit = 1000, .max_rows = 8});
  std::vector<std::thread> clients;
  for (int client = 0; client < 4; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 0; i < 50; ++i)
        submit(batcher, task(std::to_string(client) + "/" + std::to_string(i)));
    });
  }
  for (std::thread& client : clients) client.join();
  for (const std::string& text : outcomes_.wait_for(200)) {
    const std::size_t colon = text.find(':');
    EXPECT_EQ(text.substr(0, colon), text.substr(colon + 1));
  }
}

TEST_F(BatcherTest, WaitsForOthersUntilFullOrSoLong) {
  Batcher batcher({.max_rows = 2, .wait = 10min});
  submit(batcher, task("a"));
  submit(batcher, task("b"));  // full: the ten minutes are over
  outcomes_.wait_for(2);
  EXPECT_EQ(backend_->batches(), (std::vector<Ids>{{"a", "b"}}));

  Batcher brief({.max_rows = 2, .wait = 20ms});
  submit(brief, task("c"));
  outcomes_.wait_for(3);
  EXPECT_GE(outcomes_.last().batch_wait, 20ms);
  EXPECT_GT(outcomes_.last().compute, 0ns);
}

TEST_F(BatcherTest, ABatchThatWaitsHoldsUpNoOther) {
  Batcher batcher({.max_rows = 2, .wait = 10min});
  submit(batcher, task("waits"));
  submit(batcher, task("alone", std::nullopt));
  submit(batcher, task("x", "other"));
  submit(batcher, task("y", "other"));
  outcomes_.wait_for(3);
  EXPECT_EQ(batcher.num_waiting(), 1U);
  batcher.hurry();
  EXPECT_EQ(outcomes_.wait_for(4).back(), "waits:waits");
}

TEST_F(BatcherTest, NeverSpendsMoreThanHalfOfADeadlineOnWaiting) {
  Batcher batcher({.max_rows = 2, .wait = 10min});
  BatchTask hasty = task("hasty");
  hasty.deadline = Clock::now() + 2s;
  submit(batcher, std::move(hasty));
  EXPECT_EQ(outcomes_.wait_for(1).front(), "hasty:hasty");
  EXPECT_LE(outcomes_.last().batch_wait, 1s);
}

TEST_F(BatcherTest, LateRequestsAreNotComputed) {
  Batcher batcher({});
  occupy(batcher);
  BatchTask late = task("late");
  late.deadline = Clock::now();
  submit(batcher, std::move(late));
  submit(batcher, task("in time"));
  backend_->open();
  EXPECT_THAT(outcomes_.wait_for(3),
              testing::UnorderedElementsAre("first:first", "late:504", "in time:in time"));
  EXPECT_EQ(backend_->batches(), (std::vector<Ids>{{"first"}, {"in time"}}));
}

TEST_F(BatcherTest, AFullQueueAcceptsNothingAndLeavesTheTaskAlone) {
  Batcher batcher({.queue_limit = 1});
  occupy(batcher);
  submit(batcher, task("waits"));
  BatchTask refused = task("refused");
  EXPECT_FALSE(batcher.submit(refused));
  EXPECT_EQ(refused.request.id, "refused");
  backend_->open();
  outcomes_.wait_for(2);
  EXPECT_TRUE(batcher.submit(refused));
}

TEST_F(BatcherTest, ABackendThatThrowsFailsItsWholeBatch) {
  Batcher batcher({});
  occupy(batcher);
  submit(batcher, task("a"));
  submit(batcher, task("b"));
  backend_->break_down();
  backend_->open();
  EXPECT_THAT(outcomes_.wait_for(3), testing::Contains("b:broken"));
}

TEST_F(BatcherTest, StopAnswersWhatWaitsAndFinishesWhatRuns) {
  Batcher batcher({});
  occupy(batcher);
  submit(batcher, task("waits"));
  std::thread stopping([&] { batcher.stop(); });
  backend_->open();
  stopping.join();
  EXPECT_EQ(outcomes_.wait_for(2).size(), 2U);
  EXPECT_THAT(outcomes_.wait_for(2), testing::Contains("first:first"));
  BatchTask after = task("after");
  EXPECT_FALSE(batcher.submit(after));
}

TEST(PaddedBatch, HasFewSizesAndLittlePadding) {
  std::set<std::int64_t> sizes;
  for (std::int64_t rows = 1; rows <= 64; ++rows) {
    const std::int64_t padded = padded_batch(rows, 64);
    EXPECT_GE(padded, rows);
    EXPECT_LE(3 * (padded - rows), padded) << rows;
    sizes.insert(padded);
  }
  EXPECT_THAT(sizes, testing::ElementsAre(1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64));
  EXPECT_EQ(padded_batch(33, 40), 40);
  EXPECT_EQ(padded_batch(50, 40), 50) << "larger requests are the caller's business";
}

}  // namespace
}  // namespace branchy
