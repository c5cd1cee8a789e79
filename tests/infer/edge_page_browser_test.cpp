// The live page in a real browser, of a real branchy-edge that has classified images with a real
// branchy-cloud. BRANCHY_SCREENSHOTS=DIR keeps the pictures of the page.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "data/image.h"
#include "data/jpeg_images.h"
#include "infer/http_client.h"
#include "tests/infer/split_models.h"
#include "tests/support/program.h"
#include "tests/support/temporary_directory.h"

namespace branchy {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

constexpr int kNumImages = 40;
// A folder's name that would like to be a script.
constexpr const char* kEvilClass = "<img src=x onerror=\"document.title='owned'\">";

class EdgePageBrowser : public testing::Test {
 protected:
  void SetUp() override {
    LoadedModel model = load_model(models_.file("edge"));
    for (std::string& name : model.info.class_names) name = kEvilClass;
    test::save(model, models_.file("edge"));
    cloud_ = start({BRANCHY_CLOUD, "--model", models_.file("cloud").string(), "--port", "0"},
                   "cloud", cloud_port_);
    start_edge({});
  }

  std::unique_ptr<test::ChildProcess> start(std::vector<std::string> words, const std::string& name,
                                            int& port) {
    const auto port_file = directory_ / (name + ".port");
    for (const std::string& word : {std::string("--threads"), std::string("1"),
                                    std::string("--port-file"), port_file.string()})
      words.push_back(word);
    auto child = std::make_unique<test::ChildProcess>(std::move(words), directory_ / name);
    const bool ready = test::wait_until(
        [&] { return std::filesystem::exists(port_file) || !child->running(); }, 60s);
    if (!ready || !child->running()) throw std::runtime_error(test::read_text(directory_ / name));
    port = std::stoi(test::read_text(port_file));
    return child;
  }
  void start_edge(const std::vector<std::string>& options) {
    std::vector<std::string> words{BRANCHY_EDGE,
                                   "--model",
                                   models_.file("edge").string(),
                                   "--cloud",
                                   "http://127.0.0.1:" + std::to_string(cloud_port_),
                                   "--threshold",
                                   "0.32,0.42",
                                   "--listen",
                                   "127.0.0.1:0"};
    words.insert(words.end(), options.begin(), options.end());
    edge_.reset();
    std::filesystem::remove(directory_ / "edge.port");
    edge_ = start(std::move(words), "edge", edge_port_);
  }

  void classify(int count) const {
    HttpClient client({.host = "127.0.0.1", .port = edge_port_});
    for (int i = 0; i < count; ++i) {
      const auto file = encode_jpeg(test::synth_image(static_cast<std::uint64_t>(i)), 90);
      const auto answer = client.exchange({.method = "POST",
                                           .target = "/v2/models/cnn9/infer",
                                           .headers = {{"Content-Type", "image/jpeg"}},
                                           .body = {file.begin(), file.end()}},
                                          30s);
      ASSERT_TRUE(answer && answer->response.status == 200)
          << (answer ? answer->response.body : answer.failure().text);
    }
  }
  [[nodiscard]] nlohmann::json status() const {
    HttpClient client({.host = "127.0.0.1", .port = edge_port_});
    return nlohmann::json::parse(
        client.exchange({.target = "/v2/edge/status"}, 10s).value().response.body);
  }

  /// Lets Chromium load the page and wait some seconds of its own, fast clock.
  test::Outcome browse(const std::vector<std::string>& options) const {
    std::vector<std::string> words{BRANCHY_CHROMIUM,
                                   "--headless",
                                   "--no-sandbox",
                                   "--disable-gpu",
                                   "--no-first-run",
                                   "--disable-dev-shm-usage",
                                   "--disable-background-networking",
                                   "--enable-logging=stderr",
                                   "--hide-scrollbars",
                                   "--user-data-dir=" + (directory_ / "profile").string(),
                                   "--virtual-time-budget=6000"};
    words.insert(words.end(), options.begin(), options.end());
    words.push_back("http://127.0.0.1:" + std::to_string(edge_port_) + "/");
    return test::run_program(std::move(words), directory_ / "chromium");
  }
  void expect_picture(const std::string& name, const std::vector<std::string>& options) const {
    const char* keep = std::getenv("BRANCHY_SCREENSHOTS");
    const std::filesystem::path folder = keep != nullptr ? keep : directory_.path();
    const auto file = folder / (name + ".png");
    std::vector<std::string> words{"--screenshot=" + file.string()};
    words.insert(words.end(), options.begin(), options.end());
    const test::Outcome outcome = browse(words);
    ASSERT_EQ(outcome.code, 0) << outcome.error;
    const Image image = read_image(file);
    std::set<int> colors;
    const auto plane = static_cast<std::size_t>(image.height * image.width);
    for (std::size_t i = 0; i < plane; ++i)
      colors.insert(image.pixels[i] << 16 | image.pixels[plane + i] << 8 |
                    image.pixels[2 * plane + i]);
    EXPECT_GT(colors.size(), 200U) << "an empty page";
  }

  test::TemporaryDirectory directory_;
  test::SplitModels models_{directory_.path()};
  int cloud_port_ = 0, edge_port_ = 0;
  std::unique_ptr<test::ChildProcess> cloud_, edge_;
};

std::string text_of(const std::string& page, const std::string& id) {
  const std::regex element("id=\"" + id + "\"[^>]*>([^<]*)<");
  std::smatch match;
  return std::regex_search(page, match, element) ? match[1].str() : "no element " + id;
}

TEST_F(EdgePageBrowser, ShowsTheFiguresOfTheEdge) {
  classify(kNumImages);
  const nlohmann::json state = status();
  ASSERT_EQ(state.at("images"), kNumImages);
  const test::Outcome outcome = browse({"--dump-dom"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  const std::string& page = outcome.out;
  EXPECT_EQ(text_of(page, "state"), "live") << outcome.error;
  EXPECT_EQ(text_of(page, "model"), "cnn9");
  EXPECT_EQ(text_of(page, "images"), std::to_string(kNumImages));
  EXPECT_EQ(text_of(page, "degraded"), "0");
  EXPECT_EQ(text_of(page, "cloud"), "in use");
  EXPECT_EQ(text_of(page, "window"), std::to_string(kNumImages));
  const int by_cloud = state.at("cloud").at("answers");
  EXPECT_GT(by_cloud, 0);
  EXPECT_LT(by_cloud, kNumImages);
  EXPECT_EQ(text_of(page, "cloud-answers"), std::to_string(by_cloud) + " answers by the cloud");
  for (const auto& exit : state.at("exits")) {
    const int count = exit.at("edge").get<int>() + exit.at("cloud").get<int>();
    char share[16];
    std::snprintf(share, sizeof share, "%.1f %%", 100.0 * count / kNumImages);
    EXPECT_THAT(page, HasSubstr("data-exit=\"" + exit.at("exit").dump() + "\""));
    EXPECT_THAT(page, HasSubstr("<b>" + std::string(share) + "</b> · " + std::to_string(count)));
  }
  for (int image = kNumImages - 11; image <= kNumImages; ++image)
    EXPECT_THAT(page, HasSubstr("data-image=\"" + std::to_string(image) + "\""));
  EXPECT_THAT(page, Not(HasSubstr("data-image=\"" + std::to_string(kNumImages - 12) + "\"")));
  EXPECT_THAT(page, HasSubstr("src=\"data:image/jpeg;base64,/9j/"));
  EXPECT_THAT(page, HasSubstr("<svg"));
}

TEST_F(EdgePageBrowser, RunsNothingButItsOwnScript) {
  classify(3);
  const test::Outcome outcome = browse({"--dump-dom"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_EQ(text_of(outcome.out, "images"), "3");
  EXPECT_THAT(outcome.out, HasSubstr("&lt;img src=x onerror="));
  EXPECT_THAT(outcome.out, HasSubstr("<title>branchy-edge</title>"));
  // What the page may not do would be told here.
  EXPECT_THAT(outcome.error, Not(HasSubstr("CONSOLE"))) << outcome.error;
}

TEST_F(EdgePageBrowser, AsksForATokenWhenThereIsOne) {
  const auto tokens = directory_ / "tokens";
  std::ofstream(tokens) << "let-me-in\n";
  start_edge({"--token-file", tokens.string()});
  const test::Outcome outcome = browse({"--dump-dom"});
  ASSERT_EQ(outcome.code, 0) << outcome.error;
  EXPECT_EQ(text_of(outcome.out, "state"), "token wanted");
  EXPECT_THAT(outcome.out, HasSubstr("<form id=\"login\" class=\"card\">")) << "not hidden";
}

TEST_F(EdgePageBrowser, HasAFace) {
  classify(kNumImages);
  cloud_->signal(SIGKILL);
  classify(6);
  expect_picture("light", {"--window-size=1280,1750"});
  expect_picture("dark", {"--window-size=1280,1750", "--force-dark-mode",
                          "--blink-settings=preferredColorScheme=0"});
  expect_picture("phone", {"--window-size=500,3300"});
}

}  // namespace
}  // namespace branchy
