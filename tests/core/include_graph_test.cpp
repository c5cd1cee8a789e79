// Holds the tree to its rules: which folder may include which, where third-party headers may
// appear, and how long a file may be.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

constexpr int kMostLines = 600;

const std::vector<std::string>& folders() {
  static const std::vector<std::string> kFolders{"core",  "layers", "optim",       "data",
                                                 "train", "infer",  "experiments", "tests"};
  return kFolders;
}

/// The folders that each may include, beside itself.
const std::map<std::string, std::set<std::string>>& allowed_folders() {
  static const std::map<std::string, std::set<std::string>> kAllowed{
      {"core", {}},
      {"layers", {"core"}},
      {"optim", {"core"}},
      {"data", {"core"}},
      {"train", {"core", "layers", "optim", "data", "infer"}},
      {"infer", {"core", "layers", "data"}},
      {"experiments", {"core", "layers", "optim", "data", "train", "infer"}},
      {"tests", {"core", "layers", "optim", "data", "train", "infer", "experiments"}},
  };
  return kAllowed;
}

/// Third-party headers by the start of their name, with the places that may include them.
struct ThirdParty {
  std::string header;
  std::vector<std::string> places;
};

const std::vector<ThirdParty>& third_party() {
  static const std::vector<ThirdParty> kThirdParty{
      {"dnnl", {"core/dnn/"}},
      {"cblas.h", {"core/dnn/"}},
      // experiments: the bench that loads, delays and disturbs the servers.
      {"boost/", {"infer/", "experiments/"}},
      {"openssl/", {"infer/", "data/"}},  // data: digests of what was downloaded
      {"zstd.h", {"infer/"}},
      {"zlib.h", {"infer/"}},
      {"prometheus/", {"infer/"}},
      {"stb_image", {"data/"}},
      {"curl/", {"data/"}},
      {"archive", {"data/"}},
      {"fmt/", {""}},
      {"spdlog/", {""}},
      {"nlohmann/", {"core/", "train/", "infer/", "experiments/", "data/"}},
      {"CLI/", {"train/", "infer/", "experiments/"}},
      {"gtest/", {"tests/"}},
      {"gmock/", {"tests/"}},
      {"benchmark/", {"tests/"}},
  };
  return kThirdParty;
}

struct Include {
  std::string file;  ///< relative to the root, with forward slashes
  std::string header;
  bool angled = false;
};

struct Tree {
  std::vector<Include> includes;
  std::map<std::string, int> num_lines;  ///< by file
};

/// Every source file of the project's folders.
const Tree& tree() {
  static const Tree kTree = [] {
    const std::regex include(R"rx(^\s*#\s*include\s*(["<])([^">]+)[">])rx");
    const fs::path root = BRANCHY_SOURCE_DIR;
    Tree found;
    for (const std::string& folder : folders())
      for (const auto& entry : fs::recursive_directory_iterator(
               root / folder, fs::directory_options::follow_directory_symlink)) {
        const std::string extension = entry.path().extension().string();
        if (extension != ".h" && extension != ".cpp") continue;
        const std::string file = entry.path().lexically_relative(root).generic_string();
        std::ifstream stream(entry.path());
        int& lines = found.num_lines[file];
        std::smatch match;
        for (std::string line; std::getline(stream, line); ++lines)
          if (std::regex_search(line, match, include))
            found.includes.push_back({file, match[2], match[1] == "<"});
      }
    return found;
  }();
  return kTree;
}

std::string folder_of(const std::string& path) { return path.substr(0, path.find('/')); }

/// The rule for a third-party header; null for the standard library and the system.
const ThirdParty* rule_of(const std::string& header) {
  for (const ThirdParty& rule : third_party())
    if (header.starts_with(rule.header)) return &rule;
  return nullptr;
}

TEST(IncludeGraph, SeesTheTree) {
  EXPECT_GT(tree().num_lines.size(), 50U);
  EXPECT_GT(tree().includes.size(), 200U);
}

TEST(IncludeGraph, FollowsTheFolderOrder) {
  for (const Include& include : tree().includes) {
    if (include.angled) continue;
    const std::string from = folder_of(include.file);
    const std::string to = folder_of(include.header);
    EXPECT_TRUE(from == to || allowed_folders().at(from).contains(to))
        << include.file << " includes " << include.header;
    EXPECT_TRUE(fs::exists(fs::path(BRANCHY_SOURCE_DIR) / include.header))
        << include.file << " includes " << include.header << ", which is not in the tree";
  }
}

TEST(IncludeGraph, KeepsTrainingFreeOfServers) {
  for (const Include& include : tree().includes) {
    if (folder_of(include.file) != "train") continue;
    for (const char* server : {"infer/http_", "infer/cloud_", "infer/edge_"})
      EXPECT_FALSE(include.header.starts_with(server))
          << include.file << " includes " << include.header;
  }
}

TEST(IncludeGraph, KeepsThirdPartyHeadersInTheirPlaces) {
  for (const Include& include : tree().includes) {
    if (!include.angled || folder_of(include.file) == "tests") continue;
    const ThirdParty* rule = rule_of(include.header);
    if (rule == nullptr) continue;
    bool allowed = false;
    for (const std::string& place : rule->places) allowed |= include.file.starts_with(place);
    EXPECT_TRUE(allowed) << include.file << " includes <" << include.header << ">";
  }
}

TEST(IncludeGraph, KnowsEveryThirdPartyHeader) {
  const std::regex standard("[a-z_0-9]+");  // <vector>; everything else needs a rule
  const std::set<std::string> system{
      "fcntl.h",   "omp.h",       "poll.h",    "pthread.h", "sched.h",     "stdlib.h",
      "unistd.h",  "immintrin.h", "signal.h",  "netdb.h",   "xmmintrin.h", "cpuid.h",
      "ifaddrs.h", "spawn.h",     "termios.h", "time.h",    "malloc.h"};
  for (const Include& include : tree().includes) {
    if (!include.angled || std::regex_match(include.header, standard)) continue;
    const bool posix = system.contains(include.header) || include.header.starts_with("sys/") ||
                       include.header.starts_with("netinet/") ||
                       include.header.starts_with("arpa/") || include.header.starts_with("linux/");
    EXPECT_TRUE(posix || rule_of(include.header) != nullptr)
        << include.file << " includes <" << include.header << ">, which has no rule here";
  }
}

TEST(IncludeGraph, KeepsThirdPartyHeadersOutOfOurHeaders) {
  for (const Include& include : tree().includes) {
    if (!include.angled || !include.file.ends_with(".h")) continue;
    if (folder_of(include.file) == "tests" || include.file == "core/dnn/onednn.h") continue;
    EXPECT_EQ(rule_of(include.header), nullptr)
        << include.file << " includes <" << include.header << ">";
  }
}

TEST(IncludeGraph, KeepsIntrinsicsInKernels) {
  for (const Include& include : tree().includes) {
    if (include.header != "immintrin.h") continue;
    EXPECT_TRUE(include.file.starts_with("core/kernels/")) << include.file;
  }
}

TEST(IncludeGraph, KeepsFilesShort) {
  for (const auto& [file, lines] : tree().num_lines) EXPECT_LE(lines, kMostLines) << file;
}

TEST(IncludeGraph, StartsEveryHeaderWithPragmaOnce) {
  for (const auto& [file, lines] : tree().num_lines) {
    if (!file.ends_with(".h")) continue;
    std::ifstream stream(fs::path(BRANCHY_SOURCE_DIR) / file);
    bool once = false;
    for (std::string line; !once && std::getline(stream, line);) once = line == "#pragma once";
    EXPECT_TRUE(once) << file;
  }
}

}  // namespace
