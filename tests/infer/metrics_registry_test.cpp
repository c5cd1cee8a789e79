#include "infer/metrics_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

#include "infer/process_metrics.h"
#include "tests/infer/metrics_text.h"

namespace branchy {
namespace {

using test::metric_value;
using testing::HasSubstr;

TEST(MetricsRegistry, WritesEachFamilyOnceWithItsLabels) {
  MetricsRegistry registry;
  registry.counter("branchy_requests_total", "Requests.", {{"result", "ok"}}).add();
  registry.counter("branchy_requests_total", "Requests.", {{"result", "late"}}).add(2);
  registry.gauge("branchy_queue_length", "Waiting.").set(3.5);
  const std::string text = registry.text();
  EXPECT_EQ(test::format_error(text), "");
  EXPECT_EQ(metric_value(text, "branchy_requests_total{result=\"ok\"}"), 1);
  EXPECT_EQ(metric_value(text, "branchy_requests_total{result=\"late\"}"), 2);
  EXPECT_EQ(metric_value(text, "branchy_queue_length"), 3.5);
  EXPECT_THAT(text, HasSubstr("# TYPE branchy_requests_total counter\n"));
}

TEST(MetricsRegistry, TheSameNameAndLabelsAreTheSameMetric) {
  MetricsRegistry registry;
  registry.counter("branchy_x_total", "X.", {{"a", "1"}, {"b", "2"}}).add();
  registry.counter("branchy_x_total", "X.", {{"b", "2"}, {"a", "1"}}).add();
  EXPECT_EQ(registry.counter("branchy_x_total", "X.", {{"a", "1"}, {"b", "2"}}).value(), 2);
  EXPECT_THROW(registry.counter("branchy x", "X."), std::invalid_argument);
  EXPECT_THROW(registry.counter("branchy_y_total", "Y.", {{"a-b", "1"}}), std::invalid_argument);
  EXPECT_THROW(registry.gauge("branchy_x_total", "X."), std::invalid_argument);
}

TEST(MetricsRegistry, HistogramsAreCumulative) {
  MetricsRegistry registry;
  const HistogramMetric sizes =
      registry.histogram("branchy_batch_rows", "Rows.", doubling_buckets(3), {{"model", "a\"b"}});
  for (const double rows : {1, 2, 2, 9}) sizes.observe(rows);
  const std::string text = registry.text();
  EXPECT_EQ(test::format_error(text), "") << text;
  const std::string labels = R"(model="a\"b")";
  EXPECT_EQ(metric_value(text, "branchy_batch_rows_bucket{" + labels + R"(,le="1"})"), 1);
  EXPECT_EQ(metric_value(text, "branchy_batch_rows_bucket{" + labels + R"(,le="4"})"), 3);
  EXPECT_EQ(metric_value(text, "branchy_batch_rows_bucket{" + labels + R"(,le="+Inf"})"), 4);
  EXPECT_EQ(metric_value(text, "branchy_batch_rows_sum{" + labels + "}"), 14);
  EXPECT_EQ(metric_value(text, "branchy_batch_rows_count{" + labels + "}"), 4);
}

TEST(MetricsRegistry, CountsOfSeveralThreadsAddUp) {
  MetricsRegistry registry;
  const CounterMetric counter = registry.counter("branchy_n_total", "N.");
  const HistogramMetric times = registry.histogram("branchy_t_seconds", "T.", seconds_buckets());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 1000; ++k) {
        counter.add();
        times.observe(0.001);
        if (k % 250 == 0) {
          EXPECT_EQ(test::format_error(registry.text()), "");
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 4000);
  EXPECT_EQ(metric_value(registry.text(), "branchy_t_seconds_count"), 4000);
}

TEST(MetricsRegistry, TotalsOfOthersAreReadForEachTextAndNeverFall) {
  MetricsRegistry registry;
  double total = 5;
  const CounterMetric counter = registry.counter("branchy_bytes_total", "Bytes.");
  registry.before_text([&] { counter.raise_to(total); });
  EXPECT_EQ(metric_value(registry.text(), "branchy_bytes_total"), 5);
  total = 3;
  EXPECT_EQ(metric_value(registry.text(), "branchy_bytes_total"), 5);
}

TEST(ProcessMetrics, TellMemoryTimeAndVersion) {
  MetricsRegistry registry;
  add_process_metrics(registry);
  const std::string text = registry.text();
  EXPECT_EQ(test::format_error(text), "");
  EXPECT_GT(metric_value(text, "branchy_process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(metric_value(text, "branchy_process_cpu_seconds_total"), 0);
  EXPECT_GT(metric_value(text, "branchy_process_start_time_seconds"), 1.6e9);
  EXPECT_THAT(text, HasSubstr("branchy_build_info{version=\""));
}

TEST(MetricsText, FindsWhatPrometheusWouldRefuse) {
  const std::string good = "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n";
  EXPECT_EQ(test::format_error(good), "");
  EXPECT_NE(test::format_error("a_total 1\n"), "") << "no type";
  EXPECT_NE(test::format_error(good + good), "") << "family twice";
  EXPECT_NE(test::format_error("# HELP a A.\n# TYPE a counter\na 1\n"), "") << "no _total";
  EXPECT_NE(test::format_error("# HELP a_total A.\n# TYPE a_total counter\na_total x\n"), "");
  EXPECT_NE(test::format_error(good.substr(0, good.size() - 1)), "") << "no last newline";
  const std::string histogram =
      "# HELP h H.\n# TYPE h histogram\nh_count 2\nh_sum 3\nh_bucket{le=\"1\"} 2\n";
  EXPECT_NE(test::format_error(histogram + "h_bucket{le=\"+Inf\"} 1\n"), "") << "falls";
  EXPECT_NE(test::format_error(histogram), "") << "no +Inf";
  EXPECT_EQ(test::format_error(histogram + "h_bucket{le=\"+Inf\"} 2\n"), "");
}

}  // namespace
}  // namespace branchy
