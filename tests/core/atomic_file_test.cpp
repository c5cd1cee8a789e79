#include "core/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "core/error.h"
#include "core/rng.h"
#include "tests/support/expect_error.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using test::expect_error;
using test::TemporaryDirectory;

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::int64_t files_in(const std::filesystem::path& directory) {
  return std::distance(std::filesystem::directory_iterator(directory),
                       std::filesystem::directory_iterator());
}

TEST(AtomicFile, AppearsOnlyAtCommit) {
  const TemporaryDirectory directory;
  AtomicFile file(directory / "a.txt");
  file.write("one ");
  file.write("two");
  EXPECT_FALSE(std::filesystem::exists(directory / "a.txt"));
  file.commit();
  EXPECT_EQ(contents(directory / "a.txt"), "one two");
  EXPECT_EQ(files_in(directory.path()), 1);
}

TEST(AtomicFile, WithoutCommitTheOldFileStays) {
  const TemporaryDirectory directory;
  write_file_atomically(directory / "a.txt", "old");
  {
    AtomicFile file(directory / "a.txt");
    file.write("new");
  }
  EXPECT_EQ(contents(directory / "a.txt"), "old");
  EXPECT_EQ(files_in(directory.path()), 1);
}

TEST(AtomicFile, ReplacesAnOldFile) {
  const TemporaryDirectory directory;
  write_file_atomically(directory / "a.txt", "a long old text");
  write_file_atomically(directory / "a.txt", "new");
  EXPECT_EQ(contents(directory / "a.txt"), "new");
}

TEST(AtomicFile, NamesAMissingDirectory) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "absent" / "a.txt";
  expect_error<IoError>([&] { AtomicFile file(path); },
                        {path.string(), "No such file", "create the directory"});
}

/// While alive, a test that runs as root has the rights of nobody: root may write everywhere.
class WithoutRootRights {
 public:
  WithoutRootRights() { set(kNobody); }
  ~WithoutRootRights() { set(0); }
  WithoutRootRights(const WithoutRootRights&) = delete;
  WithoutRootRights& operator=(const WithoutRootRights&) = delete;

 private:
  static constexpr uid_t kNobody = 65534;
  void set(uid_t user) const {
    if (!was_root_) return;
    EXPECT_EQ(::seteuid(user), 0);
  }
  bool was_root_ = ::geteuid() == 0;
};

TEST(AtomicFile, NamesAMissingPermission) {
  const TemporaryDirectory directory;
  std::filesystem::permissions(
      directory.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  {
    const WithoutRootRights rights;
    expect_error<IoError>([&] { AtomicFile file(directory / "a.txt"); }, {"Permission denied"});
  }
  std::filesystem::permissions(directory.path(), std::filesystem::perms::owner_all);
}

TEST(AtomicFile, ADirectoryInItsPlaceIsNamed) {
  const TemporaryDirectory directory;
  std::filesystem::create_directory(directory / "a.txt");
  expect_error<IoError>([&] { write_file_atomically(directory / "a.txt", "x"); }, {"in place"});
  EXPECT_EQ(files_in(directory.path()), 1);
}

/// Writes 8 MiB over an old file and expects that the old file survives and nothing is left over.
void expect_old_file_survives(const std::filesystem::path& directory, const std::string& cause) {
  expect_error<IoError>(
      [&] { write_file_atomically(directory / "a.txt", std::string(8U << 20U, 'x')); },
      {(directory / "a.txt").string(), cause});
  EXPECT_EQ(contents(directory / "a.txt"), "old");
  EXPECT_EQ(files_in(directory), 1);
}

TEST(AtomicFile, DiskFullKeepsTheOldFile) {
  const TemporaryDirectory directory;
  if (::mount("tmpfs", directory.path().c_str(), "tmpfs", 0, "size=1m") != 0)
    GTEST_SKIP() << "mounting a tmpfs is not permitted; FileSizeLimitKeepsTheOldFile stands in";
  write_file_atomically(directory / "a.txt", "old");
  expect_old_file_survives(directory.path(), "free some space");
  ::umount2(directory.path().c_str(), MNT_DETACH);
}

TEST(AtomicFile, FileSizeLimitKeepsTheOldFile) {
  const TemporaryDirectory directory;
  write_file_atomically(directory / "a.txt", "old");
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1U << 20U, 1U << 20U};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    expect_old_file_survives(directory.path(), "File too large");
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(AtomicFile, KillDuringASaveLeavesAWholeFile) {
  const TemporaryDirectory directory;
  constexpr std::size_t kBytes = 300'000;
  write_file_atomically(directory / "a.txt", std::string(kBytes, 'a'));
  Rng rng(1);
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      for (int i = 0;; ++i)
        write_file_atomically(directory / "a.txt",
                              std::string(kBytes, static_cast<char>('a' + i % 26)));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(1000 + rng.below(20'000)));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    const std::string text = contents(directory / "a.txt");
    ASSERT_EQ(text.size(), kBytes);
    ASSERT_EQ(text.find_first_not_of(text.front()), std::string::npos);
  }
}

}  // namespace
}  // namespace branchy
