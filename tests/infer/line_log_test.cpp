#include "infer/line_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include "core/error.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LineLogTest : public testing::Test {
 protected:
  LineLog::Warn warn() {
    return [this](const std::string& text) { warnings_.push_back(text); };
  }

  test::TemporaryDirectory directory_;
  std::vector<std::string> warnings_;
};

TEST_F(LineLogTest, AppendsToWhatIsThere) {
  const auto path = directory_ / "log.jsonl";
  for (const char* line : {"a", "b"}) {
    LineLog log(path, warn());
    log.write(line);
    EXPECT_EQ(test::read_text(path).back(), '\n') << "at once, not at the end";
  }
  EXPECT_EQ(test::read_text(path), "a\nb\n");
  EXPECT_TRUE(warnings_.empty());
  EXPECT_THROW(LineLog(directory_ / "no" / "log", warn()), IoError);
}

TEST_F(LineLogTest, AFullDeviceIsToldOnceAndStopsNothing) {
  LineLog log("/dev/full", warn());
  for (int i = 0; i < 5; ++i) log.write("lost");
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("No space left on device")));
  EXPECT_EQ(log.num_lost(), 5);
}

/// A limit on the size of files fails in the middle of a line, as a full disk does.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_limit_);
    const rlimit limit{bytes, old_limit_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_limit_);
    std::signal(SIGXFSZ, old_handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit old_limit_{};
  void (*old_handler_)(int);
};

TEST_F(LineLogTest, ResumesWithWholeLinesWhenThereIsRoomAgain) {
  const auto path = directory_ / "log.jsonl";
  LineLog log(path, warn());
  log.write("first");
  {
    const FileSizeLimit full(10);
    log.write("cut in the middle");
    log.write("lost");
  }
  log.write("second");
  log.write("third");
  EXPECT_EQ(test::read_text(path), "first\nsecond\nthird\n");
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("results are lost"), HasSubstr("2 results")));
  EXPECT_EQ(log.num_lost(), 2);
}

}  // namespace
}  // namespace branchy
