#include "infer/edge_status.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "infer/wire_tensor.h"
#include "tests/infer/edge_results.h"

namespace branchy {
namespace {

using nlohmann::json;

TEST(EdgeStatus, QueryTellsWhatIsKnown) {
  const EdgeStatusQuery query =
      parse_status_query("/v2/edge/status?since=7&x=y&image=12&started=5");
  EXPECT_EQ(query.since, 7);
  EXPECT_EQ(query.after_image, 12);
  EXPECT_EQ(query.started, 5);
  EXPECT_EQ(parse_status_query("/v2/edge/status").since, 0);
  EXPECT_EQ(parse_status_query("/v2/edge/status?").since, 0);
  for (const char* target : {"/?since=", "/?since=-1", "/?image=1.5",
                             "/?since=99999999999999999999", "/?since", "/?image=<script>"})
    EXPECT_THROW((void)parse_status_query(target), HttpError) << target;
}

TEST(EdgeStatus, SaysWhatTheStatisticsAndThePipelineSay) {
  const auto start = EdgeStatistics::Clock::now();
  EdgeStatistics statistics(3, start);
  EdgeStatus status;
  status.bits_per_second = 5e6;
  status.has_cloud = true;
  status.cloud_paused = true;
  status.queued = 4;
  status.policy = "max-probability:0.8";
  EdgeResult result = test::edge_result({.exit = 2, .reason = "timeout", .total_ms = 12.3456});
  result.class_name = "<b>rose</b>\xff";  // untrusted: a folder's name
  result.file = "a/b.jpg";
  const std::vector<std::uint8_t> pixels(3 * 8 * 8, 100);
  statistics.add(result,
                 std::make_shared<const Thumbnail>(make_thumbnail(pixels, Shape{1, 3, 8, 8})),
                 status, start);
  const json root =
      json::parse(edge_status_json({.model = "net", .num_exits = 3, .edge_exits = 2, .started = 77},
                                   status, statistics.snapshot(0, 0, status, start), 1.5));
  EXPECT_EQ(
      root.at("model"),
      (json{{"name", "net"}, {"exits", 3}, {"edge_exits", 2}, {"policy", "max-probability:0.8"}}));
  EXPECT_EQ(root.at("started"), 77);
  EXPECT_EQ(root.at("images"), 1);
  EXPECT_EQ(root.at("degraded"), 1);
  EXPECT_EQ(root.at("exits").at(1),
            (json{{"exit", 2}, {"is_here", true}, {"edge", 0}, {"cloud", 0}, {"degraded", 1}}));
  EXPECT_EQ(root.at("exits").at(2).at("is_here"), false);
  EXPECT_EQ(root.at("link"), (json{{"bits_per_second", 5e6}, {"round_trip_ms", nullptr}}));
  EXPECT_EQ(root.at("cloud").at("state"), "paused");
  EXPECT_EQ(root.at("cloud").at("failures"), (json{{"timeout", 1}}));
  EXPECT_EQ(root.at("queue").at("images"), 4);
  EXPECT_GT(root.at("memory_bytes").at("resident").get<std::int64_t>(), 1 << 20);
  EXPECT_EQ(
      root.at("stages").at(6),
      (json{
          {"stage", "total"}, {"answers", 1}, {"p50", 12.346}, {"p95", 12.346}, {"p99", 12.346}}));
  EXPECT_EQ(root.at("history").at(0).at("stages").at("total"), (json{12.346, 12.346, 12.346}));
  const json& image = root.at("last_images").at(0);
  EXPECT_EQ(image.at("label"), "<b>rose</b>\uFFFD");
  EXPECT_EQ(image.at("source"), "a/b.jpg");
  EXPECT_EQ(image.at("width"), 8);
  EXPECT_TRUE(image.at("thumbnail").get<std::string>().starts_with("data:image/jpeg;base64,/9j/"));
}

}  // namespace
}  // namespace branchy
