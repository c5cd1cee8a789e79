// The emulated link: time, order and the ways in which it fails, over real sockets.
#include "experiments/link_emulator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "experiments/link_calibration.h"
#include "tests/infer/loopback.h"
#include "tests/support/child_process.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;
using test::FakePeer;
using test::RawSocket;
using test::wait_until;
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// Sends back what it reads, until the other side has sent all.
void echo(RawSocket& socket) {
  for (std::string some = socket.read_some(); !some.empty(); some = socket.read_some())
    socket.send(some);
}

std::string counted(std::size_t size) {
  std::string text(size, ' ');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 26);
  return text;
}

TEST(LinkEmulator, TransfersTakeBytesOverBandwidthAndTheRoundTrip) {
  // The pilot link of Pacheco et al., and a slow one.
  const auto check = [](const LinkConditions& link, const std::vector<std::int64_t>& sizes) {
    for (const LinkCalibration& row : calibrate_link(link, sizes, 4)) {
      EXPECT_GE(row.least_ms, row.expected_ms - 0.05)
          << row.bytes << " bytes, new connection " << row.new_connection;
      EXPECT_LE(row.least_ms, 1.03 * row.expected_ms + 2)
          << row.bytes << " bytes, new connection " << row.new_connection;
    }
  };
  check({.up_mbit = 94, .down_mbit = 94, .round_trip_ms = 12.8}, {1'200, 30'000, 150'528});
  check({.up_mbit = 2, .down_mbit = 2, .round_trip_ms = 30}, {1'200, 30'000});
}

TEST(LinkEmulator, ConnectionsShareTheBandwidth) {
  FakePeer peer([](RawSocket& socket) { socket.send(socket.read_until("!")); });
  const LinkEmulator link({.target_port = peer.port(), .conditions = {.up_mbit = 8}});
  const auto begin = Clock::now();
  std::vector<std::thread> clients;
  std::atomic<int> whole = 0;
  for (int i = 0; i < 4; ++i)
    clients.emplace_back([&] {
      const RawSocket client = RawSocket::connect(link.port());
      client.send(std::string(25'000, 'x') + "!");
      if (client.read_all().size() == 25'001) ++whole;
    });
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(whole, 4);
  EXPECT_GE(ms_since(begin), 100.0) << "100,000 bytes at 8 Mbit/s";
}

TEST(LinkEmulator, KeepsBytesAndOrderUnderJitter) {
  FakePeer peer(echo);
  const LinkEmulator link(
      {.target_port = peer.port(), .conditions = {.round_trip_ms = 4, .jitter_ms = 5}});
  const RawSocket client = RawSocket::connect(link.port());
  const std::string text = counted(300'000) + "!";
  std::thread sender([&] { client.send(text); });
  EXPECT_EQ(client.read_until("!"), text);
  sender.join();
  EXPECT_EQ(link.stats().up_bytes, std::ssize(text));
  EXPECT_EQ(link.stats().down_bytes, std::ssize(text));
}

TEST(LinkEmulator, ResetsAfterBytes) {
  FakePeer peer(echo);
  const LinkEmulator link({.target_port = peer.port(), .conditions = {.reset_after_bytes = 1'500}});
  const RawSocket client = RawSocket::connect(link.port());
  client.send(counted(1'000));
  EXPECT_EQ(client.read_all(), counted(500)) << "1,000 bytes up and 500 down";
  EXPECT_EQ(link.stats().resets, 1);
  EXPECT_TRUE(wait_until([&] { return link.stats().open == 0; }, 5s));
}

TEST(LinkEmulator, ResetsByChanceRepeatably) {
  FakePeer peer(echo);
  std::vector<std::size_t> first, second;
  for (auto* passed : {&first, &second}) {
    const LinkEmulator link(
        {.target_port = peer.port(), .conditions = {.reset_probability = 0.3}, .seed = 7});
    for (int i = 0; i < 20; ++i) {
      const RawSocket client = RawSocket::connect(link.port());
      client.send("a");
      passed->push_back(client.read_until("a").size());
    }
  }
  EXPECT_EQ(first, second);
  EXPECT_GT(std::count(first.begin(), first.end(), 1U), 3);
  EXPECT_GT(std::count(first.begin(), first.end(), 0U), 3);
}

TEST(LinkEmulator, CutsAnswersOrderly) {
  FakePeer peer(echo);
  const LinkEmulator link(
      {.target_port = peer.port(), .conditions = {.cut_answer_after_bytes = 10}});
  const RawSocket client = RawSocket::connect(link.port());
  client.send(counted(100));
  EXPECT_EQ(client.read_all(), counted(10));
}

TEST(LinkEmulator, AStallDelaysAndLosesNothing) {
  FakePeer peer(echo);
  LinkEmulator link({.target_port = peer.port(), .conditions = {.stalled = true}});
  const RawSocket client = RawSocket::connect(link.port());
  const auto begin = Clock::now();
  client.send("hello!");
  std::thread later([&] {
    std::this_thread::sleep_for(200ms);
    link.set({});
  });
  EXPECT_EQ(client.read_until("!"), "hello!");
  EXPECT_GE(ms_since(begin), 195.0);
  later.join();
}

TEST(LinkEmulator, ABlackHoleSilencesItsConnectionsForGood) {
  FakePeer peer(echo);
  LinkEmulator link({.target_port = peer.port(), .conditions = {.black_hole = true}});
  const RawSocket lost = RawSocket::connect(link.port());
  lost.set_patience(100ms);
  lost.send("hello!");
  EXPECT_EQ(lost.read_until("!"), "");
  link.set({});
  lost.send("again!");
  EXPECT_EQ(lost.read_until("!"), "");
  EXPECT_EQ(link.stats().up_bytes, 0);
}

TEST(LinkEmulator, PassesOnOrderlyEndsAndRefusals) {
  FakePeer peer([](RawSocket& socket) {
    const std::string all = socket.read_all();
    socket.send(std::to_string(all.size()));
  });
  {
    const LinkEmulator link({.target_port = peer.port(), .conditions = {.round_trip_ms = 2}});
    const RawSocket client = RawSocket::connect(link.port());
    client.send(counted(5'000));
    client.finish();
    EXPECT_EQ(client.read_all(), "5000");
    EXPECT_TRUE(wait_until([&] { return link.stats().open == 0; }, 5s));
  }
  const LinkEmulator to_nobody({.target_port = 1});
  const RawSocket client = RawSocket::connect(to_nobody.port());
  EXPECT_EQ(client.read_all(), "");
  EXPECT_TRUE(wait_until([&] { return to_nobody.stats().open == 0; }, 5s));
}

TEST(LinkEmulator, FollowsItsScriptInALoop) {
  FakePeer peer(echo);
  const LinkScript script = parse_link_script(
      R"({"loop_ms": 120, "changes": [{"at_ms": 0, "stalled": true},
                                      {"at_ms": 60, "stalled": false, "reset": true}]})",
      "test");
  const LinkEmulator link({.target_port = peer.port(), .script = script});
  for (int round = 0; round < 3; ++round) {
    const std::int64_t resets = link.stats().resets;
    const RawSocket client = RawSocket::connect(link.port());
    client.send("x");
    ASSERT_TRUE(wait_until([&] { return link.stats().resets > resets; }, 5s));
  }
}

TEST(LinkScript, RefusesWhatItDoesNotKnow) {
  const auto refused = [](const char* text, const char* expected) {
    test::expect_error<DataError>([&] { (void)parse_link_script(text, "here"); }, {expected});
  };
  refused("{", "[here] no link script");
  refused(R"({"steps": []})", "unknown key 'steps'");
  refused(R"({"changes": [{"stalled": true}]})", "at_ms");
  refused(R"({"changes": [{"at_ms": 0, "speed": 1}]})", "unknown condition 'speed'");
  refused(R"({"changes": [{"at_ms": 0, "mbit": -1}]})", "mbit is -1");
  refused(R"({"changes": [{"at_ms": 9}, {"at_ms": 1}]})", "rising");
  refused(R"({"loop_ms": 1, "changes": [{"at_ms": 9}]})", "loop_ms 1");
}

TEST(LinkScript, ChangesOnlyWhatItNames) {
  const LinkScript script = parse_link_script(
      R"({"changes": [{"at_ms": 5, "mbit": 3, "round_trip_ms": 1.5, "black_hole": true}]})", "t");
  const LinkConditions before{.jitter_ms = 2};
  EXPECT_EQ(
      changed(before, script.changes.at(0)),
      (LinkConditions{
          .up_mbit = 3, .down_mbit = 3, .round_trip_ms = 1.5, .jitter_ms = 2, .black_hole = true}));
}

}  // namespace
}  // namespace branchy
