#include "infer/bearer_token.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "core/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

class BearerTokenFile : public testing::Test {
 protected:
  std::string write(const std::string& text, mode_t mode = 0600) {
    std::ofstream(file_) << text;
    ::chmod(file_.c_str(), mode);
    return file_;
  }
  test::TemporaryDirectory directory_;
  std::string file_ = (directory_ / "tokens").string();
};

TEST_F(BearerTokenFile, HoldsOneTokenALineBesideComments) {
  write("# edge 1\nabc-._~+/==\n\n  t2\t\r\n#t3\n");
  EXPECT_EQ(read_bearer_tokens(file_), (std::vector<std::string>{"abc-._~+/==", "t2"}));
  write("only");
  EXPECT_EQ(read_bearer_token(file_), "only");
}

TEST_F(BearerTokenFile, BadFilesAreOneLineWithoutTheSecret) {
  test::expect_error<IoError>([&] { (void)read_bearer_tokens(file_ + "x"); }, {file_ + "x"});
  for (const std::string& bad :
       {std::string("two words"), std::string("\xC3\xA4"), std::string("="), std::string("a\"b"),
        std::string("a=b"), std::string(513, 'x')}) {
    write("good\n" + bad + "\n");
    try {
      (void)read_bearer_tokens(file_);
      ADD_FAILURE() << bad;
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find(file_ + ":2"), std::string::npos);
      EXPECT_EQ(std::string(error.what()).find(bad + " "), std::string::npos);
    }
  }
  write("# nothing\n\n");
  test::expect_error<ConfigError>([&] { (void)read_bearer_tokens(file_); }, {"holds no token"});
  write("a\nb\n");
  test::expect_error<ConfigError>([&] { (void)read_bearer_token(file_); }, {"holds 2 tokens"});
  EXPECT_EQ(read_bearer_tokens(write(std::string(512, 'x'))).front().size(), 512);
}

TEST_F(BearerTokenFile, OthersWhoMayReadItGetAWarning) {
  testing::internal::CaptureStderr();
  (void)read_bearer_tokens(write("a\n", 0600));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  (void)read_bearer_tokens(write("a\n", 0644));
  EXPECT_NE(testing::internal::GetCapturedStderr().find(file_), std::string::npos);
}

TEST(BearerTokens, AllowEachOfTheTokensAndNothingElse) {
  const BearerTokens tokens({"first", "second"});
  for (const char* good : {"Bearer first", "Bearer second", "bearer first", "BEARER  second "}) {
    EXPECT_TRUE(tokens.allow(good)) << good;
  }
  for (const char* bad : {"", "Bearer", "Bearer ", "first", "Bearer firs", "Bearer firstx",
                          "Bearer First", "Basic first", "Bearer first second", "Bearerfirst"}) {
    EXPECT_FALSE(tokens.allow(bad)) << bad;
  }
  EXPECT_TRUE(BearerTokens({}).empty());
  EXPECT_FALSE(BearerTokens({}).allow("Bearer "));
}

}  // namespace
}  // namespace branchy
