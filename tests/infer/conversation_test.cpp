// Holds infer/CONVERSATION.md: every command of it, run against real servers, gives the answer that
// stands there. BRANCHY_RECORD=FILE writes the document with the answers of this run.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <regex>
#include <sstream>

#include "data/jpeg_images.h"
#include "tests/data/image_samples.h"
#include "tests/infer/split_models.h"
#include "tests/support/child_process.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

// Images that the document's thresholds let leave at exit 1, and send to the cloud.
constexpr std::uint64_t kNear = 11;
constexpr std::uint64_t kFar = 2;

Lines lines_of(const std::string& text) {
  std::istringstream in(text);
  Lines lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string joined(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// A part of the document: words between blocks, a command (```sh), or the answer behind it (```).
struct Passage {
  enum class Kind { kWords, kCommand, kAnswer } kind;
  Lines lines;
};

std::vector<Passage> read_document(const std::filesystem::path& path) {
  std::vector<Passage> passages{{Passage::Kind::kWords, {}}};
  for (const std::string& line : lines_of(test::read_text(path))) {
    const bool in_words = passages.back().kind == Passage::Kind::kWords;
    if (in_words && line == "```sh") {
      passages.push_back({Passage::Kind::kCommand, {}});
    } else if (in_words && line == "```") {
      passages.push_back({Passage::Kind::kAnswer, {}});
    } else if (!in_words && line == "```") {
      passages.push_back({Passage::Kind::kWords, {}});
    } else {
      passages.back().lines.push_back(line);
    }
  }
  return passages;
}

std::string written(const std::vector<Passage>& passages) {
  std::string text;
  for (const Passage& passage : passages) {
    if (passage.kind == Passage::Kind::kCommand) text += "```sh\n";
    if (passage.kind == Passage::Kind::kAnswer) text += "```\n";
    text += joined(passage.lines);
    if (passage.kind != Passage::Kind::kWords) text += "```\n";
  }
  return text;
}

// What differs from run to run, as the document's introduction states it.
std::string masked(std::string text) {
  static const std::vector<std::pair<std::regex, std::string>> kMasks{
      {std::regex(R"(\r)"), ""},
      {std::regex(R"re(\d+\.\d+\.\d+ \(commit [^)]*\))re"), "#"},
      {std::regex(R"re("times_ms":\{[^}]*\})re"), R"("times_ms":#)"},
      {std::regex(R"re(("\w+_ms"|'\w+_ms'):( ?)[-+0-9.e]+)re"), "$1:$2#"},
      {std::regex(R"re("(bytes_sent|bytes_received)":\d+)re"), "\"$1\":#"},
      {std::regex(R"((Content-Length|Date): .*)"), "$1: #"},
      {std::regex(R"('sha256-[^']*')"), "'sha256-#'"},
      {std::regex(R"(request \d+)"), "request #"},
  };
  for (const auto& [pattern, by] : kMasks) text = std::regex_replace(text, pattern, by);
  return text;
}

// Equal but for the last digits of numbers with a fraction: kernels differ between CPUs.
bool same(const std::string& a, const std::string& b) {
  static const std::regex number(R"(-?\d+\.\d+(e[-+]?\d+)?)");
  if (std::regex_replace(a, number, "~") != std::regex_replace(b, number, "~")) return false;
  std::sregex_iterator left(a.begin(), a.end(), number);
  std::sregex_iterator right(b.begin(), b.end(), number);
  for (; left != std::sregex_iterator(); ++left, ++right) {
    const double x = std::stod(left->str());
    const double y = std::stod(right->str());
    if (std::abs(x - y) > 1e-3 * std::max(1.0, std::abs(y))) return false;
  }
  return true;
}

class Conversation : public testing::Test {
 protected:
  void SetUp() override {
    write("near.jpg", encode_jpeg(test::synth_image(kNear), 90));
    write("far.jpg", encode_jpeg(test::synth_image(kFar), 90));
    write("tiny.png", test::sample_png());
    home_ = std::filesystem::current_path();
    std::filesystem::current_path(directory_.path());
  }
  void TearDown() override { std::filesystem::current_path(home_); }

  void write(const std::string& name, const std::vector<std::uint8_t>& bytes) const {
    std::ofstream(directory_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  }

  /// Starts a server of a line that ends in `&`, on a free port instead of the one written there.
  void start(const std::string& line) {
    static const std::regex port(R"((--port |--listen \S+:)(\d+))");
    std::smatch match;
    ASSERT_TRUE(std::regex_search(line, match, port)) << line;
    const std::string told = match[2];
    const std::string file = "port-" + told;
    std::istringstream words(match.prefix().str() + match[1].str() + "0" + match.suffix().str());
    Lines command;
    for (std::string word; words >> word;) {
      if (word == "&") break;
      if (word == "branchy-edge") word = BRANCHY_EDGE;
      if (word == "branchy-cloud") word = BRANCHY_CLOUD;
      command.push_back(with_real_ports(word));
    }
    for (const char* word : {"--threads", "1", "--port-file"}) command.emplace_back(word);
    command.push_back(file);
    servers_.push_back(std::make_unique<test::ChildProcess>(command, directory_ / ("log-" + told)));
    test::ChildProcess& server = *servers_.back();
    ASSERT_TRUE(
        test::wait_until([&] { return std::filesystem::exists(file) || !server.running(); }, 60s));
    ASSERT_TRUE(server.running()) << test::read_text(directory_ / ("log-" + told));
    const std::string text = test::read_text(file);
    ports_[told] = text.substr(0, text.find('\n'));
  }

  [[nodiscard]] std::string with_real_ports(std::string text) const {
    for (const auto& [told, real] : ports_)
      text =
          std::regex_replace(text, std::regex("(127\\.0\\.0\\.1|localhost):" + told), "$1:" + real);
    return text;
  }
  [[nodiscard]] std::string with_told_ports(std::string text) const {
    for (const auto& [told, real] : ports_)
      text =
          std::regex_replace(text, std::regex("(127\\.0\\.0\\.1|localhost):" + real), "$1:" + told);
    return text;
  }

  /// What bash says to a block of commands.
  [[nodiscard]] std::string run(const Lines& commands) const {
    std::ofstream("commands") << with_real_ports(joined(commands));
    test::ChildProcess bash({"/bin/bash", "commands"}, directory_ / "said");
    EXPECT_TRUE(bash.wait(60s)) << joined(commands);
    return with_told_ports(test::read_text("said.out") + test::read_text("said"));
  }

  test::TemporaryDirectory directory_;
  test::SplitModels models_{directory_.path()};
  std::filesystem::path home_;
  std::map<std::string, std::string> ports_;  // as the document has them, and as they are
  std::vector<std::unique_ptr<test::ChildProcess>> servers_;
};

TEST_F(Conversation, TheServersAnswerAsTheDocumentSays) {
  std::vector<Passage> passages = read_document(BRANCHY_CONVERSATION);
  int num_answers = 0;
  std::string said;
  for (Passage& passage : passages) {
    if (passage.kind == Passage::Kind::kCommand) {
      said.clear();
      if (passage.lines.back().ends_with("&")) {
        for (const std::string& line : passage.lines) ASSERT_NO_FATAL_FAILURE(start(line));
      } else {
        said = run(passage.lines);
      }
    } else if (passage.kind == Passage::Kind::kAnswer) {
      ++num_answers;
      const std::string expected = joined(passage.lines);
      if (!said.empty() && said.back() != '\n') said += '\n';
      EXPECT_TRUE(same(masked(said), masked(expected)))
          << "answer " << num_answers << "\n--- the document has\n"
          << masked(expected) << "--- the servers say\n"
          << masked(said);
      passage.lines = lines_of(std::regex_replace(said, std::regex("\r"), ""));
    }
  }
  EXPECT_GE(num_answers, 30);
  if (const char* record = std::getenv("BRANCHY_RECORD"))
    std::ofstream(record) << written(passages);
}

// The comparison itself must be able to fail.
TEST(ConversationComparison, LetsOnlyWhatIsVolatilePass) {
  const auto equal = [](const char* a, const char* b) { return same(masked(a), masked(b)); };
  EXPECT_TRUE(equal(R"({"edge_ms":1.25,"c":0.50001})", R"({"edge_ms":77,"c":0.5})"));
  EXPECT_TRUE(equal("Content-Length: 7\r\nx", "Content-Length: 12\nx"));
  EXPECT_FALSE(equal(R"({"c":0.51})", R"({"c":0.5})"));
  EXPECT_FALSE(equal(R"({"class":1})", R"({"class":2})"));
  EXPECT_FALSE(equal("HTTP/1.1 200 OK", "HTTP/1.1 400 Bad Request"));
  EXPECT_FALSE(equal("a", "a\nb"));
}

}  // namespace
}  // namespace branchy
