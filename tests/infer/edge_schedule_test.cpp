#include "infer/edge_schedule.h"

#include <gtest/gtest.h>

namespace branchy {
namespace {

using std::chrono::milliseconds;
using Kind = EdgeWork::Kind;

EdgeSchedule::Clock::time_point at(int ms) {
  return EdgeSchedule::Clock::time_point(milliseconds(ms));
}

EdgeJobPtr job(int arrived, std::optional<int> deadline = {}) {
  auto made = std::make_shared<EdgeJob>();
  made->arrived = at(arrived);
  if (deadline) made->task.deadline = at(*deadline);
  return made;
}

void expect_work(EdgeSchedule& schedule, int now, Kind kind, const EdgeJobPtr& job) {
  const auto work = schedule.take_work(at(now));
  ASSERT_TRUE(work);
  EXPECT_EQ(work->kind, kind);
  EXPECT_EQ(work->job, job);
}

TEST(EdgeSchedule, FreshImagesComeInTheirOrderWhileThereIsRoom) {
  EdgeSchedule schedule(2, {});
  EXPECT_FALSE(schedule.take_work(at(0)));
  const auto first = job(1), second = job(2);
  schedule.add_fresh(first);
  EXPECT_TRUE(schedule.has_room());
  schedule.add_fresh(second);
  EXPECT_FALSE(schedule.has_room());
  expect_work(schedule, 3, Kind::kFresh, first);
  expect_work(schedule, 3, Kind::kFresh, second);
}

TEST(EdgeSchedule, NoImageIsComputedWhileTooManyWaitForTheCloudButForItsDeadline) {
  EdgeSchedule schedule(1, {});
  const auto waiting = job(0), fresh = job(1, 100);
  schedule.add_question(waiting, at(5), milliseconds(10));
  schedule.add_fresh(fresh);
  EXPECT_FALSE(schedule.take_work(at(20)));
  EXPECT_EQ(schedule.next_time(), at(90)) << "the last computing took 10 ms";
  EXPECT_FALSE(schedule.take_work(at(89)));
  expect_work(schedule, 90, Kind::kFresh, fresh);
  schedule.add_fresh(fresh);
  EXPECT_EQ(schedule.take_question(), waiting);
  expect_work(schedule, 20, Kind::kFresh, fresh);
}

TEST(EdgeSchedule, WhatWaitsForTheCloudFailsAtItsDeadline) {
  EdgeSchedule schedule(4, {});
  const auto late = job(0, 50), early = job(1, 500);
  schedule.add_question(late, at(10), milliseconds(1));
  schedule.add_question(early, at(11), milliseconds(1));
  EXPECT_EQ(schedule.next_time(), at(50));
  EXPECT_FALSE(schedule.take_work(at(49)));
  schedule.add_fresh(job(12));
  expect_work(schedule, 50, Kind::kFailed, late);
  EXPECT_EQ(late->failure, "deadline");
  EXPECT_EQ(late->waited_ms, 40);
  EXPECT_EQ(schedule.take_question(), early);
  EXPECT_FALSE(schedule.has_questions());
}

TEST(EdgeSchedule, AHedgeComesWhenItIsDueAfterTheImagesThatCameBefore) {
  EdgeSchedule schedule(4, milliseconds(20));
  const auto slow = job(0), before = job(30), after = job(31);
  schedule.add_question(slow, at(10), milliseconds(1));
  EXPECT_EQ(schedule.next_time(), at(30));
  EXPECT_FALSE(schedule.take_work(at(29)));
  schedule.add_fresh(before);
  schedule.add_fresh(after);
  expect_work(schedule, 35, Kind::kFresh, before);
  expect_work(schedule, 35, Kind::kHedge, slow);
  EXPECT_TRUE(slow->is_hedged);
  schedule.add_failed(slow);
  expect_work(schedule, 35, Kind::kFresh, after);
  EXPECT_FALSE(schedule.take_work(at(35))) << "what is being hedged needs no other answer";
}

TEST(EdgeSchedule, FailedImagesGoFirstAndAnsweredOnesAreForgotten) {
  EdgeSchedule schedule(4, milliseconds(20));
  const auto failed = job(0), answered = job(1);
  schedule.add_question(failed, at(2), milliseconds(1));
  schedule.add_question(answered, at(3), milliseconds(1));
  answered->is_answered = true;
  schedule.remove(answered);
  schedule.add_fresh(job(4));
  EXPECT_EQ(schedule.take_question(), failed);
  EXPECT_FALSE(schedule.has_questions());
  schedule.add_failed(failed);
  expect_work(schedule, 100, Kind::kFailed, failed);
  schedule.remove(failed);
  EXPECT_EQ(schedule.take_work(at(100))->kind, Kind::kFresh);
  EXPECT_FALSE(schedule.take_work(at(100)));
  EXPECT_FALSE(schedule.next_time());
}

}  // namespace
}  // namespace branchy
