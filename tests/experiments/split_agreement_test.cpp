// `branchy-experiments split-agreement` as a user runs it, on files written by hand.
#include <gtest/gtest.h>

#include <string>

#include "core/atomic_file.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

// Two early exits: with 0.8 the first image leaves at exit 1, the second at the last.
constexpr const char* kPredictions = R"({"classes": [4, 4, 4], "confidences": [0.9, 0.95, 0.99]})"
                                     "\n"
                                     R"({"classes": [1, 2, 3], "confidences": [0.2, 0.7, 0.6]})"
                                     "\n";

class SplitAgreementTest : public ::testing::Test {
 protected:
  static std::string answer(int exit, int label, bool degraded = false) {
    return R"({"exit": )" + std::to_string(exit) + R"(, "class": )" + std::to_string(label) +
           R"(, "confidence": 0.9, "degraded": )" + (degraded ? "true" : "false") + "}\n";
  }

  test::Outcome compare(const std::string& predictions, const std::string& answers,
                        const std::string& thresholds = "0.8") {
    write_file_atomically(folder_ / "predictions", predictions);
    write_file_atomically(folder_ / "answers", answers);
    return test::run_program({BRANCHY_EXPERIMENTS, "split-agreement", "--predictions",
                              (folder_ / "predictions").string(), "--answers",
                              (folder_ / "answers").string(), "--threshold", thresholds},
                             folder_ / "log");
  }

  test::TemporaryDirectory folder_;
};

TEST_F(SplitAgreementTest, AcceptsTheSameExitsAndClasses) {
  const test::Outcome outcome = compare(kPredictions, answer(1, 4) + answer(3, 3));
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_NE(outcome.out.find("2 images: 2 agree"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("at most 3.00e-01"), std::string::npos) << outcome.out;
  EXPECT_EQ(compare(kPredictions, answer(1, 4) + answer(2, 2), "0.8,0.7").code, 0);
}

TEST_F(SplitAgreementTest, TellsDifferentAndDegradedAnswers) {
  test::expect_one_line(compare(kPredictions, answer(1, 4) + answer(3, 1)), 1,
                        "1 answers differ and 0 are degraded");
  test::expect_one_line(compare(kPredictions, answer(1, 4) + answer(2, 2)), 1, "1 answers differ");
  test::expect_one_line(compare(kPredictions, answer(1, 4, true) + answer(3, 3)), 1,
                        "0 answers differ and 1 are degraded");
  const test::Outcome border = compare(kPredictions, answer(1, 4) + answer(3, 3), "0.8,0.7");
  EXPECT_EQ(border.code, 0) << "a confidence on the threshold may fall to either side";
  EXPECT_NE(border.out.find("1 within"), std::string::npos) << border.out;
}

TEST_F(SplitAgreementTest, RefusesDamagedFiles) {
  const std::string answers = answer(1, 4) + answer(3, 3);
  const auto refuses = [&](const std::string& predictions, const std::string& text) {
    test::expect_one_line(compare(predictions, answers), 1, text);
  };
  const std::string first = R"({"classes": [4, 4, 4], "confidences": [0.9, 0.95, 0.99]})"
                            "\n";
  refuses(first, "1 predictions and 2 answers");
  refuses(first + "{}\n", "line 2");
  refuses(first + "none\n", "line 2");
  refuses(first + R"({"classes": [4], "confidences": [0.1]})", "line 2 has 1 confidences");
  refuses(first + R"({"classes": [4, 4], "confidences": [0.1, 0.1, 0.1]})", "2 classes");
  refuses(R"({"classes": [], "confidences": []})", "line 1 has 0 confidences");
  refuses(first + R"({"classes": [4, 4, 4], "confidences": [0.1, null, 0.1]})", "line 2");
  test::expect_one_line(compare(kPredictions, "{}\n{}\n"), 1, "line 1");
  test::expect_one_line(compare(kPredictions, answers, "0.8,0.9,0.7"), 2, "3 values for 2");
}

}  // namespace
}  // namespace branchy
