// `branchy-experiments codec-curve` as a user runs it.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using nlohmann::json;

class CodecCurveTest : public ::testing::Test {
 protected:
  /// A result of codec eval: `accuracy` at the final exit, 0.01 more at the threshold.
  std::string result(const std::string& name, int code, int bits, double accuracy, bool baselines,
                     const std::string& checksum = "c") {
    const double bytes = 64.0 * code * bits / 8;
    const auto form = [](const std::string& what, double size, double acc) {
      return json{{"form", what},
                  {"mean_bytes", size},
                  {"acc_all", {0.5, acc}},
                  {"policies", {{{"thresholds", {0.9}}, {"accuracy", acc + 0.01}}}}};
    };
    json forms = json::array({form("codec", bytes, accuracy)});
    if (baselines) {
      forms.push_back(form("float32", 32768, 0.90));
      forms.push_back(form("8 bit", 8192, 0.899));
      forms.push_back(form("jpeg 50", 900, 0.8));
      forms.back()["mean_bytes_without_tables"] = 300;
    }
    const json whole{{"data", "cifar10:x"},
                     {"data_checksum", checksum},
                     {"split", "test"},
                     {"samples", 10},
                     {"codec",
                      {{"options", {{"code", std::to_string(code)}}},
                       {"bits", bits},
                       {"ratio", 32768 / bytes},
                       {"mean_bytes_by_stage",
                        {{"none", bytes}, {"zstd", 0.8 * bytes}, {"range", 0.7 * bytes}}}}},
                     {"forms", forms}};
    std::ofstream(folder_ / name) << whole.dump();
    return (folder_ / name).string();
  }
  test::Outcome run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {BRANCHY_EXPERIMENTS, "codec-curve"});
    arguments.insert(arguments.end(), {"--out", (folder_ / "out").string()});
    return test::run_program(std::move(arguments), folder_ / "log");
  }

  test::TemporaryDirectory folder_;
};

TEST_F(CodecCurveTest, NamesTheLargestRatioWithinTheLoss) {
  const auto outcome = run({result("a", 32, 8, 0.898, false), result("b", 16, 8, 0.895, true),
                            result("c", 8, 8, 0.88, false), result("d", 16, 4, 0.8951, false)});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const auto table = json::parse(test::read_text((folder_ / "out" / "table.json").string()));
  // 0.5 points are allowed: 16 channels of 4 bit lose 0.49, 8 channels 2.
  EXPECT_EQ(table["largest_ratio"]["final"]["form"], "codec 16 x 4 bit");
  EXPECT_EQ(table["largest_ratio"]["final"]["ratio"], 64.0);
  EXPECT_EQ(table["largest_ratio"]["0.9"]["form"], "codec 16 x 4 bit");
  ASSERT_EQ(table["rows"].size(), 7U);
  EXPECT_EQ(table["rows"][0]["form"], "codec 32 x 8 bit") << "from the most bytes to the fewest";
  EXPECT_EQ(table["rows"][6]["form"], "jpeg 50");
  EXPECT_EQ(table["rows"][6]["bytes_without_tables"], 300.0);
  EXPECT_NE(test::read_text((folder_ / "out" / "table.csv").string())
                .find("codec 16 x 8 bit,32,1024.0,819.2,716.8,1024.0,0.8950,0.9050\n"),
            std::string::npos);
  EXPECT_NE(test::read_text((folder_ / "out" / "curve.svg").string()).find("<svg"),
            std::string::npos);
  const auto strict =
      run({(folder_ / "a").string(), (folder_ / "b").string(), "--max-loss", "0.1"});
  ASSERT_EQ(strict.code, 0) << strict.error;
  EXPECT_TRUE(json::parse(test::read_text(
      (folder_ / "out" / "table.json").string()))["largest_ratio"]["final"]
                  .is_null());
}

TEST_F(CodecCurveTest, RefusesWhatCannotBeCompared) {
  test::expect_one_line(run({result("a", 32, 8, 0.898, false)}), 1, "no result has baselines");
  test::expect_one_line(
      run({result("b", 16, 8, 0.89, true), result("c", 8, 8, 0.8, false, "other")}), 1,
      "data_checksum");
  std::ofstream(folder_ / "text") << "no JSON";
  test::expect_one_line(run({(folder_ / "text").string()}), 1, "codec eval");
}

}  // namespace
}  // namespace branchy
