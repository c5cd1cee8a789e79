#include "infer/watched_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <set>
#include <thread>

#include "core/error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

namespace fs = std::filesystem;

class WatchedFolderTest : public testing::Test {
 protected:
  WatchedFolderTest() {
    EXPECT_EQ(::pipe(stop_.data()), 0);
    fs::create_directory(folder_);
  }
  ~WatchedFolderTest() override {
    for (const int end : stop_) ::close(end);
  }

  void put(const std::string& name, const std::string& text = "x") const {
    std::ofstream(folder_ / name) << text;
  }
  void stop() const { ASSERT_EQ(::write(stop_[1], "", 1), 1); }
  /// Names until the stop, which is asked for now: what came before is all known by then.
  std::vector<std::string> rest(WatchedFolder& folder) const {
    std::vector<std::string> names;
    put("zzz-last.png");
    for (;;) {
      const auto file = folder.next(stop_[0]);
      if (!file || file->filename() == "zzz-last.png") return names;
      names.push_back(file->filename().string());
    }
  }

  test::TemporaryDirectory directory_;
  fs::path folder_ = directory_ / "incoming";
  std::array<int, 2> stop_{-1, -1};
};

using Names = std::vector<std::string>;

TEST_F(WatchedFolderTest, GivesWhatLiesThereThenWhatComes) {
  put("b.jpg");
  put("a.PNG");
  put(".hidden.jpg");
  put("text.txt");
  fs::create_directory(folder_ / "folder.jpg");
  WatchedFolder folder(folder_);
  EXPECT_EQ(folder.next(stop_[0])->filename(), "a.PNG");
  EXPECT_EQ(*folder.next(stop_[0]), folder_ / "b.jpg");
  put("c.jpg");
  put(".d.jpg");
  std::ofstream(directory_ / "made elsewhere") << "x";
  fs::rename(directory_ / "made elsewhere", folder_ / "e.jpeg");
  fs::rename(folder_ / ".d.jpg", folder_ / "d.jpg");
  EXPECT_EQ(rest(folder), (Names{"c.jpg", "e.jpeg", "d.jpg"}));
}

TEST_F(WatchedFolderTest, WaitsForTheEndOfWriting) {
  std::ofstream before(folder_ / "before.jpg");
  before << "half" << std::flush;
  WatchedFolder folder(folder_);
  std::ofstream after(folder_ / "after.jpg");
  after << "half" << std::flush;
  put("whole.jpg");
  EXPECT_EQ(folder.next(stop_[0])->filename(), "whole.jpg");
  after << "other half";
  after.close();
  EXPECT_EQ(folder.next(stop_[0])->filename(), "after.jpg");
  before.close();
  EXPECT_EQ(rest(folder), Names{"before.jpg"});
}

TEST_F(WatchedFolderTest, GivesAFileOnceUntilItsContentChanges) {
  put("a.jpg");
  WatchedFolder folder(folder_);
  put("a.jpg", "written between the watch and the first look");
  EXPECT_EQ(rest(folder).size(), 2U);
  { std::ofstream untouched(folder_ / "a.jpg", std::ios::app); }
  EXPECT_EQ(rest(folder), Names{}) << "closed without a change";
  put("a.jpg", "new");
  EXPECT_EQ(rest(folder), Names{"a.jpg"});
  fs::remove(folder_ / "a.jpg");
  put("a.jpg", "new");
  EXPECT_EQ(rest(folder), Names{"a.jpg"});
}

TEST_F(WatchedFolderTest, StopsWhileItWaits) {
  WatchedFolder folder(folder_);
  std::thread later([this] { stop(); });
  EXPECT_FALSE(folder.next(stop_[0]));
  later.join();
  put("a.jpg");
  EXPECT_FALSE(folder.next(stop_[0])) << "a stop is for good";
}

TEST_F(WatchedFolderTest, SaysWhenTheFolderIsNotThereOrGoesAway) {
  EXPECT_THROW(WatchedFolder(directory_ / "none"), IoError);
  put("file");
  EXPECT_THROW(WatchedFolder(folder_ / "file"), IoError);
  WatchedFolder folder(folder_);
  fs::remove_all(folder_);
  EXPECT_THROW((void)folder.next(stop_[0]), IoError);
}

// More than the kernel queues (16,384 events unless it is configured otherwise).
TEST_F(WatchedFolderTest, ABurstThatOverflowsLosesNothing) {
  constexpr int kNumFiles = 9000;
  WatchedFolder folder(folder_);
  const auto name = [](int i) { return std::to_string(i) + ".jpg"; };
  for (int i = 0; i < kNumFiles; ++i) {
    const int file = ::open((folder_ / name(i)).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ASSERT_GE(file, 0);
    ::close(file);
  }
  // Events that say the same as the last one are merged, so two files take turns.
  for (int i = 0; i < 9000; ++i) {
    const int file = ::open((folder_ / name(i % 2)).c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(::write(file, "x", 1), 1);
    ::close(file);
  }
  put("last.jpg");  // its event is lost
  std::set<std::string> names;
  while (!names.contains("last.jpg") || names.size() < kNumFiles + 1)
    names.insert(folder.next(-1)->filename().string());
  EXPECT_EQ(names.size(), kNumFiles + 1U);
}

}  // namespace
}  // namespace branchy
