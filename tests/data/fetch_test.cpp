#include "data/fetch.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "core/error.h"
#include "core/rng.h"
#include "data/digest.h"
#include "tests/data/cifar_files.h"
#include "tests/support/expect_error.h"
#include "tests/support/file_server.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using test::expect_error;
using test::FileServer;

struct Entry {
  std::string path;
  std::string text = {};
  unsigned type = AE_IFREG;
  std::string link = {};
};

std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string noise(std::size_t size) {
  Rng rng(size);
  std::string text(size, ' ');
  for (char& c : text) c = static_cast<char>(rng.below(256));
  return text;
}

class Fetch : public testing::Test {
 protected:
  /// A gzipped tar archive of `entries`.
  std::string pack(const std::vector<Entry>& entries) const {
    const auto path = scratch_ / "pack.tar.gz";
    archive* writer = archive_write_new();
    archive_write_add_filter_gzip(writer);
    archive_write_set_format_pax_restricted(writer);
    EXPECT_EQ(archive_write_open_filename(writer, path.c_str()), ARCHIVE_OK);
    for (const Entry& entry : entries) {
      archive_entry* header = archive_entry_new();
      archive_entry_set_pathname(header, entry.path.c_str());
      archive_entry_set_filetype(header, entry.type);
      archive_entry_set_perm(header, 0644);
      archive_entry_set_size(header, std::ssize(entry.text));
      if (entry.type == AE_IFLNK)
        archive_entry_set_symlink(header, entry.link.c_str());
      else if (!entry.link.empty())
        archive_entry_set_hardlink(header, entry.link.c_str());
      EXPECT_EQ(archive_write_header(writer, header), ARCHIVE_OK);
      archive_write_data(writer, entry.text.data(), entry.text.size());
      archive_entry_free(header);
    }
    archive_write_free(writer);
    return contents(path);
  }

  static DatasetArchive described(const std::string& bytes) {
    Digest digest(DigestKind::kMd5);
    digest.update({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    return {.file = "set.tar.gz", .folder = "set", .md5 = digest.finish()};
  }

  FetchResult fetch(const FileServer& server, const std::string& bytes) const {
    return fetch_archive(described(bytes), out_, {.base_url = server.url()});
  }

  /// The archive is refused with `text`, and nothing of it stays but the download.
  void expect_refused(const std::vector<Entry>& entries, const std::string& text) const {
    const std::string bytes = pack(entries);
    const FileServer server({.body = bytes});
    expect_error<DataError>([&] { fetch(server, bytes); }, {"set.tar.gz", text});
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(out_), {}), 1);
    EXPECT_FALSE(std::filesystem::exists(scratch_ / "evil"));
    std::filesystem::remove(part_);
  }

  test::TemporaryDirectory scratch_;
  std::filesystem::path out_ = scratch_ / "out";
  std::filesystem::path part_ = out_ / "set.tar.gz.part";
  std::string large_ = noise(300'000);
  std::string valid_ =
      pack({{"set/", "", AE_IFDIR, ""}, {"set/a.bin", large_}, {"set/n/b", "bee"}});
};

TEST_F(Fetch, DownloadsChecksAndUnpacks) {
  const FileServer server({.body = valid_});
  std::int64_t last = 0;
  const FetchResult result = fetch_archive(
      described(valid_), out_,
      {.base_url = server.url(), .progress = [&](std::int64_t done, std::int64_t total) {
         EXPECT_TRUE(total == 0 || total == std::ssize(valid_));
         last = std::max(last, done);
       }});
  EXPECT_EQ(result.folder, out_ / "set");
  EXPECT_FALSE(result.already_present);
  EXPECT_EQ(last, std::ssize(valid_));
  EXPECT_EQ(contents(out_ / "set" / "a.bin"), large_);
  EXPECT_EQ(contents(out_ / "set" / "n" / "b"), "bee");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(out_), {}), 1);
}

TEST_F(Fetch, DoesNothingWhenTheFolderIsThere) {
  std::filesystem::create_directories(out_ / "set");
  const FileServer server({.body = valid_});
  EXPECT_TRUE(fetch(server, valid_).already_present);
  EXPECT_TRUE(server.range_starts().empty());
}

TEST_F(Fetch, ResumesWhereAConnectionBrokeOff) {
  const FileServer server({.body = valid_, .break_after = 100'000, .num_breaks = 2});
  fetch(server, valid_);
  EXPECT_EQ(server.range_starts(), (std::vector<std::int64_t>{0, 100'000, 200'000}));
  EXPECT_EQ(contents(out_ / "set" / "a.bin"), large_);
}

TEST_F(Fetch, ResumesInTheNextCall) {
  {
    const FileServer server({.body = valid_, .break_after = 30'000, .num_breaks = 100});
    expect_error<IoError>([&] { fetch(server, valid_); }, {"after 120000 bytes", "again"});
  }
  const FileServer server({.body = valid_});
  fetch(server, valid_);
  EXPECT_EQ(server.range_starts(), (std::vector<std::int64_t>{120'000}));
}

TEST_F(Fetch, StartsAgainWhenTheServerCannotResume) {
  const FileServer server(
      {.body = valid_, .ranges = false, .break_after = 100'000, .num_breaks = 1});
  fetch(server, valid_);
  EXPECT_EQ(contents(out_ / "set" / "a.bin"), large_);
}

TEST_F(Fetch, TakesADownloadThatIsWholeAlready) {
  std::filesystem::create_directories(out_);
  test::write_text(part_, valid_);
  const FileServer server({.body = valid_});
  fetch(server, valid_);
  EXPECT_EQ(contents(out_ / "set" / "n" / "b"), "bee");
}

TEST_F(Fetch, RefusesAWrongDigestBeforeUnpacking) {
  std::string altered = valid_;
  altered[1000] = static_cast<char>(altered[1000] ^ 1);
  const FileServer server({.body = altered});
  expect_error<DataError>([&] { fetch(server, valid_); },
                          {"set.tar.gz", "md5", described(valid_).md5, "again"});
  EXPECT_TRUE(std::filesystem::is_empty(out_));
}

TEST_F(Fetch, SaysInOneLineThatTheMachineIsOffline) {
  const std::string refused = "http://127.0.0.1:" + std::to_string(test::closed_port());
  for (const std::string& url : {refused, std::string("http://no-such-host.invalid/")})
    expect_error<IoError>([&] { fetch_archive(described(valid_), out_, {.base_url = url}); },
                          {url, "cannot reach the server", "offline", "branchy data synth"});
}

TEST_F(Fetch, NamesAnHttpError) {
  const FileServer server({.body = "", .status = 404});
  expect_error<IoError>([&] { fetch(server, valid_); }, {server.url(), "404"});
  EXPECT_EQ(server.range_starts().size(), 1U);
}

TEST_F(Fetch, GivesUpOnlyTheFilesystemByName) {
  test::write_text(scratch_ / "file", "x");
  const FileServer server({.body = valid_});
  expect_error<IoError>(
      [&] {
        fetch_archive(described(valid_), scratch_ / "file" / "below", {.base_url = server.url()});
      },
      {(scratch_ / "file").string()});
}

TEST_F(Fetch, RefusesEntriesOutsideTheFolder) {
  expect_refused({{"set/../../evil", "x"}}, "outside the folder");
  expect_refused({{"../evil", "x"}}, "outside the folder");
  expect_refused({{(scratch_ / "evil").string(), "x"}}, "outside the folder");
  expect_refused({{"other/evil", "x"}}, "outside the folder");
}

TEST_F(Fetch, RefusesLinksAndDevices) {
  expect_refused({{"set/l", "", AE_IFLNK, "/etc"}, {"set/l/evil", "x"}}, "neither a regular file");
  expect_refused({{"set/a", "x"}, {"set/h", "", AE_IFREG, "set/a"}}, "neither a regular file");
  expect_refused({{"set/f", "", AE_IFIFO, ""}}, "neither a regular file");
}

TEST_F(Fetch, RefusesWhatIsNoArchive) {
  const std::string junk = noise(5'000);
  const FileServer server({.body = junk});
  expect_error<DataError>([&] { fetch(server, junk); }, {"set.tar.gz", "archive"});
  std::filesystem::remove(part_);
  const std::string cut = valid_.substr(0, valid_.size() / 2);
  const FileServer cut_server({.body = cut});
  expect_error<DataError>([&] { fetch(cut_server, cut); }, {"set.tar.gz", "damaged"});
}

TEST_F(Fetch, KnowsTwoDataSets) {
  expect_error<ConfigError>([&] { fetch_dataset("imagenet", out_, {}); },
                            {"'imagenet'", "cifar10 or cifar100"});
}

TEST(Digest, GivesTheKnownValues) {
  Digest md5(DigestKind::kMd5);
  EXPECT_EQ(md5.finish(), "d41d8cd98f00b204e9800998ecf8427e");
  Digest sha(DigestKind::kSha256);
  const std::uint8_t abc[] = {'a', 'b', 'c'};
  sha.update(abc);
  EXPECT_EQ(sha.finish(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  expect_error<IoError>([] { (void)file_digest(DigestKind::kMd5, "/absent"); }, {"/absent"});
}

}  // namespace
}  // namespace branchy
