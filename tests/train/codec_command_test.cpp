// `branchy codec` as a user runs it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "data/synth.h"
#include "infer/device_digest.h"
#include "infer/feature_coder.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"
#include "train/checkpoint.h"
#include "train/coded_exits.h"
#include "train/logits_cache.h"
#include "train/validation.h"

namespace branchy {
namespace {

using test::expect_one_line;
using test::Outcome;
using test::tensors_of;
using Words = std::vector<std::string>;

class CodecCommandTest : public ::testing::Test {
 protected:
  CodecCommandTest() {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    write_synth_dataset(folder_.path(), {.num_train = 100, .num_test = 40, .seed = 5});
    const Outcome source = run({BRANCHY, "train", "--net", "cnn9", "--option", "exit-after=2,4",
                                "--data", data(), "--val", "40", "--batch", "20", "--threads", "1",
                                "--max-steps", "3", "--out", place("run")});
    EXPECT_EQ(source.code, 0) << source.error;
    LoadedModel model = load_trained(place("run"));
    model.info.temperatures = {1.5F, 1.25F, 2.0F};
    model.info.records = {{"policy.text", "max-probability:0.9"}, {"calibration.split", "val"}};
    save_model(place("source"), *model.network, model.info);
  }

  [[nodiscard]] std::string data() const { return "cifar10:" + folder_.path().string(); }
  [[nodiscard]] std::string place(const std::string& name) const {
    return (folder_ / name).string();
  }
  Outcome run(Words command) { return test::run_program(std::move(command), folder_ / "log"); }
  Outcome train(const std::string& name, const Words& flags) {
    Words command{BRANCHY,     "codec",   "train", place("source"), "--data", data(), "--out",
                  place(name), "--batch", "20",    "--threads",     "1"};
    command.insert(command.end(), flags.begin(), flags.end());
    return run(std::move(command));
  }
  void refuses(const Words& flags, int code, const std::string& text) {
    expect_one_line(train("never", flags), code, text);
    EXPECT_FALSE(std::filesystem::exists(place("never")));
  }

  test::TemporaryDirectory folder_;
};

TEST_F(CodecCommandTest, TrainsBehindTheCutAndKeepsWhatLiesBefore) {
  const Outcome trained = train("coded", {"--code", "4", "--lossless", "zstd"});
  ASSERT_EQ(trained.code, 0) << trained.error;
  EXPECT_NE(trained.out.find("unchanged bit by bit"), std::string::npos) << trained.out;
  EXPECT_NE(trained.error.find("temperatures"), std::string::npos) << trained.error;
  EXPECT_NE(trained.error.find("policy"), std::string::npos) << trained.error;
  const LoadedModel before = load_trained(place("source"));
  const LoadedModel after = load_trained(place("coded"));
  EXPECT_EQ(device_digest(before), device_digest(after));
  EXPECT_EQ(after.info.temperatures, (std::vector<float>{1.5F, 1.25F, 1.0F}));
  EXPECT_FALSE(after.info.records.contains("policy.text"));
  EXPECT_TRUE(after.info.records.contains("calibration.split"));
  require_codec_weights(after);

  const auto old_tensors = tensors_of(place("source"));
  const auto new_tensors = tensors_of(place("coded"));
  const NetworkPart device = device_part(*before.network);
  std::size_t frozen = 0;
  for (const StateEntry& entry : before.network->state(device)) {
    EXPECT_EQ(old_tensors.at(entry.name), new_tensors.at(entry.name)) << entry.name;
    ++frozen;
  }
  std::size_t changed = 0;
  for (const auto& [name, bytes] : old_tensors) changed += new_tensors.at(name) != bytes ? 1 : 0;
  EXPECT_EQ(changed + frozen, old_tensors.size()) << "all that lies behind the cut was trained";
  // The same command gives the same bytes.
  ASSERT_EQ(train("again", {"--code", "4", "--lossless", "zstd"}).code, 0);
  EXPECT_EQ(tensors_of(place("again")), new_tensors);
}

TEST_F(CodecCommandTest, GoesOnWithACodecInOtherBits) {
  ASSERT_EQ(train("coded", {"--code", "4", "--images", "40", "--lossless", "none"}).code, 0);
  const Outcome again = run({BRANCHY, "codec", "train", place("coded"), "--data", data(), "--out",
                             place("four"), "--continue", "--bits", "4", "--reconstruction-epochs",
                             "0", "--epochs", "0", "--batch", "20", "--threads", "1"});
  ASSERT_EQ(again.code, 0) << again.error;
  const LoadedModel model = load_trained(place("four"));
  EXPECT_EQ(read_codec_record(model.info).bits, 4);
  const auto before = tensors_of(place("coded"));
  std::size_t same = 0;
  for (const auto& [name, bytes] : tensors_of(place("four"))) {
    if (name.starts_with("codec.encoder.")) {
      EXPECT_EQ(bytes, before.at(name)) << "the third step leaves the encoder: " << name;
      ++same;
    } else if (name.starts_with("codec.decoder.conv")) {
      EXPECT_NE(bytes, before.at(name)) << name;
    }
  }
  EXPECT_EQ(same, 5U);
  refuses({"--continue"}, 2, "no codec to go on with");
}

TEST_F(CodecCommandTest, EvaluatesBesideTheBaselines) {
  ASSERT_EQ(train("coded", {"--code", "4", "--bits", "4", "--kernel", "3", "--augment", "crop-flip",
                            "--max-steps", "2"})
                .code,
            0);
  const Outcome eval = run(
      {BRANCHY,  "codec",     "eval",   place("coded"),     "--base", place("source"),  "--data",
       data(),   "--threads", "1",      "--threshold",      "0.9",    "--threshold",    "0,0",
       "--jpeg", "100,5",     "--json", place("eval.json"), "--csv",  place("eval.csv")});
  ASSERT_EQ(eval.code, 0) << eval.error;
  const auto json = nlohmann::json::parse(test::read_text(place("eval.json")));
  ASSERT_EQ(json["forms"].size(), 5U);
  const auto& codec = json["forms"][0];
  const auto& floats = json["forms"][1];
  const auto& coarse = json["forms"][2];
  // cnn9 after block 4: 32x16x16 values; 4 channels of 8x8 in half a byte each.
  EXPECT_EQ(floats["mean_bytes"], 4 * 32 * 16 * 16);
  EXPECT_EQ(coarse["mean_bytes"], 32 * 16 * 16);
  EXPECT_EQ(json["codec"]["mean_bytes_by_stage"]["none"], 4 * 8 * 8 / 2);
  EXPECT_LE(codec["mean_bytes"], 4 * 8 * 8 / 2);
  EXPECT_EQ(floats["relative_error"], 0.0);
  EXPECT_LT(coarse["relative_error"], 0.02);
  EXPECT_GT(codec["relative_error"], coarse["relative_error"]);
  EXPECT_GT(json["forms"][3]["mean_bytes"], json["forms"][4]["mean_bytes"]);
  // Without the codec the base answers as `branchy eval` says; the exits before the cut always do.
  const Outcome plain =
      run({BRANCHY, "eval", place("source"), "--data", data(), "--threads", "1", "--json"});
  const auto plain_accuracy = nlohmann::json::parse(plain.out)["acc_all"];
  EXPECT_EQ(floats["acc_all"], plain_accuracy);
  for (const auto& form : json["forms"]) {
    EXPECT_EQ(form["acc_all"][0], plain_accuracy[0]);
    EXPECT_EQ(form["policies"][1]["sent_share"], 0.0) << "threshold 0 takes everything at once";
    EXPECT_EQ(form["policies"][1]["accuracy"], plain_accuracy[0]);
  }
  EXPECT_NE(test::read_text(place("eval.csv")).find("jpeg 5"), std::string::npos);
  // On other weights before the cut the codec is refused.
  LoadedModel other = load_trained(place("coded"));
  other.network->state()[0].variable->mutable_value().mutable_data()[0] += 1.0F;
  save_model(place("other"), *other.network, other.info, other.attachments);
  expect_one_line(run({BRANCHY, "codec", "eval", place("other"), "--data", data()}), 1,
                  "not those that the codec was trained for");
  expect_one_line(run({BRANCHY, "codec", "eval", place("source"), "--data", data()}), 2,
                  "no codec");
}

TEST_F(CodecCommandTest, InferAllSendsTheFeatureThroughTheCodec) {
  ASSERT_EQ(train("coded", {"--code", "4", "--max-steps", "2", "--lossless", "zstd"}).code, 0);
  ASSERT_EQ(run({BRANCHY, "codec", "eval", place("coded"), "--data", data(), "--threads", "1",
                 "--no-baselines", "--json", place("eval.json")})
                .code,
            0);
  const auto form = nlohmann::json::parse(test::read_text(place("eval.json")))["forms"][0];
  const auto infer = [&](const std::string& out, const Words& more) {
    Words command{BRANCHY,     "infer-all", place("coded"), "--data",  data(),
                  "--threads", "1",         "--out",        place(out)};
    command.insert(command.end(), more.begin(), more.end());
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.code, 0) << outcome.error;
    return load_logits(place(out));
  };
  const LogitsCache coded = infer("coded.logits", {"--batch", "7"});
  const LogitsCache plain = infer("plain.logits", {"--batch", "7", "--no-codec"});
  EXPECT_FLOAT_EQ(static_cast<float>(coded.coded_bytes), form["mean_bytes"].get<float>());
  EXPECT_EQ(coded.codec_digest, codec_digest(load_trained(place("coded"))));
  EXPECT_EQ(plain.codec_digest, "");
  for (std::size_t exit = 0; exit < 3; ++exit) {
    const double correct = static_cast<double>(count_correct(coded.logits[exit], coded.labels));
    EXPECT_DOUBLE_EQ(correct / 40.0, form["acc_all"][exit].get<double>()) << exit + 1;
    const auto a = coded.logits[exit].data(), b = plain.logits[exit].data();
    EXPECT_EQ(std::equal(a.begin(), a.end(), b.begin()), exit < 2) << exit + 1;
  }
  // Accuracy of plain features says nothing of coded ones.
  expect_one_line(run({BRANCHY, "adapt", place("plain.logits"), "--model", place("coded"),
                       "--select-on", "test"}),
                  1, "of plain features, the model sends coded ones");
  const Outcome adapted = run({BRANCHY, "adapt", place("coded.logits"), "--model", place("coded"),
                               "--select-on", "test", "--bandwidths", "1"});
  EXPECT_EQ(adapted.code, 0) << adapted.error;
  EXPECT_NE(adapted.out.find("coded, the mean over"), std::string::npos) << adapted.out;
}

TEST_F(CodecCommandTest, RefusesWhatCannotBe) {
  refuses({}, 2, "--code");
  refuses({"--code", "0"}, 2, "--code");
  refuses({"--code", "4", "--bits", "5"}, 2, "--bits");
  refuses({"--code", "4", "--cut", "3"}, 2, "1 to 2");
  refuses({"--code", "4", "--cut-after", "block9"}, 2, "last block");
  refuses({"--code", "4", "--cut-after", "nowhere"}, 2, "no block named");
  refuses({"--code", "4", "--stride", "1", "--kernel", "2"}, 2, "1 or 3");
  const Outcome wild = train("never", {"--code", "4", "--lr", "1e6", "--server-lr-factor", "1000"});
  EXPECT_EQ(wild.code, 1);
  EXPECT_FALSE(std::filesystem::exists(place("never"))) << "a diverged model is not written";
}

}  // namespace
}  // namespace branchy
