#include "core/threads.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "core/dnn/matmul.h"
#include "core/error.h"
#include "core/kernels/elementwise.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

TEST(Threads, RefusesCountsThatTheMachineDoesNotHave) {
  const std::int64_t available = num_available_cpus();
  ASSERT_GE(available, 1);
  const auto set = [](std::int64_t count) { return [count] { set_num_threads(count); }; };
  test::expect_error<ConfigError>(set(0), {"0", "1 to " + std::to_string(available)});
  test::expect_error<ConfigError>(set(available + 1), {std::to_string(available + 1)});
}

TEST(Threads, SetsTheCount) {
  const std::int64_t most = std::min<std::int64_t>(2, num_available_cpus());
  for (const std::int64_t count : {std::int64_t{1}, most}) {
    set_num_threads(count);
    EXPECT_EQ(num_threads(), count);
  }
}

TEST(Threads, GiveEqualElementwiseResultsWhateverTheCount) {
  const Shape shape{100003};
  Tensor a(shape);
  for (std::size_t i = 0; i < a.data().size(); ++i)
    a.mutable_data()[i] = static_cast<float>(i % 97) - 48.0F;
  set_num_threads(1);
  const Tensor expected = kernels::add(a, a);
  set_num_threads(std::min<std::int64_t>(2, num_available_cpus()));
  const Tensor actual = kernels::add(a, a);
  EXPECT_TRUE(std::equal(actual.data().begin(), actual.data().end(), expected.data().begin()));
}

TEST(Threads, FlushDenormalsToZero) {
  set_num_threads(1);
  volatile float small = 1e-38F;
  small = small / 1024.0F;
  EXPECT_EQ(small, 0.0F);
}

TEST(Threads, LoaderThreadsGetAllCpusBack) {
  set_num_threads(std::min<std::int64_t>(2, num_available_cpus()));
  int allowed = 0;
  std::thread([&allowed] {
    unpin_this_thread();
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof(set), &set) == 0) allowed = CPU_COUNT(&set);
  }).join();
  EXPECT_EQ(allowed, num_available_cpus());
}

TEST(Matmul, MultipliesAllFourTranspositions) {
  using dnn::Transpose;
  const Tensor a = Tensor::from(Shape{2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
  const Tensor b = Tensor::from(Shape{3, 2}, std::vector<float>{7, 8, 9, 10, 11, 12});
  const Tensor at = Tensor::from(Shape{3, 2}, std::vector<float>{1, 4, 2, 5, 3, 6});
  const Tensor bt = Tensor::from(Shape{2, 3}, std::vector<float>{7, 9, 11, 8, 10, 12});
  const std::vector<float> expected{58, 64, 139, 154};
  for (const Tensor& product : {dnn::matmul(a, Transpose::kNo, b, Transpose::kNo),
                                dnn::matmul(at, Transpose::kYes, b, Transpose::kNo),
                                dnn::matmul(a, Transpose::kNo, bt, Transpose::kYes),
                                dnn::matmul(at, Transpose::kYes, bt, Transpose::kYes)})
    EXPECT_TRUE(std::equal(expected.begin(), expected.end(), product.data().begin()));
  test::expect_error<ShapeError>(
      [&] { static_cast<void>(dnn::matmul(a, Transpose::kNo, at, Transpose::kYes)); },
      {"[2,3]", "[3,2]^T"});
}

}  // namespace
}  // namespace branchy
