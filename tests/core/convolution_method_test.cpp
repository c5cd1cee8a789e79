// Which method computes a convolution: what the environment forces, what was measured, the rule.
#include "core/dnn/convolution_method.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

#include "core/dnn/convolution.h"
#include "core/dnn/convolution_table.h"
#include "core/dnn/convolution_timing.h"
#include "core/error.h"

namespace branchy::dnn {
namespace {

using ::testing::HasSubstr;

const ConvolutionSpec kPlain{.src = {128, 64, 8, 8}, .out = 64, .kernel = 3, .padding = 1};
const ConvolutionSpec kStrided{
    .src = {128, 64, 8, 8}, .out = 64, .kernel = 3, .stride = 2, .padding = 1};
const ConvolutionSpec kDepthwise{
    .src = {16, 96, 14, 14}, .out = 96, .kernel = 3, .padding = 1, .groups = 96};

class ConvolutionMethodTest : public ::testing::Test {
 protected:
  ConvolutionMethodTest() { ::unsetenv("BRANCHY_CONV"); }
  ~ConvolutionMethodTest() override {
    ::unsetenv("BRANCHY_CONV");
    use_convolution_table(nullptr);
  }
  static ConvolutionMethod forward(const ConvolutionSpec& spec) {
    return choose_convolution_method(spec, ConvolutionPass::kForward);
  }
};

TEST_F(ConvolutionMethodTest, ManyTilesOfManyChannelsGoByWinograd) {
  EXPECT_EQ(forward(kPlain), ConvolutionMethod::kWinograd);
  ConvolutionSpec small = kPlain;
  small.src = {128, 512, 2, 2};  // a quarter of each tile
  EXPECT_EQ(forward(small), ConvolutionMethod::kDirect);
  small.src = {2, 64, 8, 8};  // too few tiles for weights four times as large
  EXPECT_EQ(forward(small), ConvolutionMethod::kDirect);
  EXPECT_EQ(forward(kStrided), ConvolutionMethod::kDirect);
  EXPECT_EQ(forward(kDepthwise), ConvolutionMethod::kDirect);
}

TEST_F(ConvolutionMethodTest, TheEnvironmentForcesWhatApplies) {
  ::setenv("BRANCHY_CONV", "gemm", 1);
  EXPECT_EQ(forward(kPlain), ConvolutionMethod::kGemm);
  EXPECT_EQ(forward(kDepthwise), ConvolutionMethod::kDirect);
  EXPECT_THAT(Convolution(kPlain).implementations(), HasSubstr("gemm"));
  ::setenv("BRANCHY_CONV", "winograd", 1);
  EXPECT_EQ(Convolution(kPlain).implementations(), "own:winograd own:winograd own:winograd");
  EXPECT_EQ(forward(kStrided), ConvolutionMethod::kDirect);
  ::setenv("BRANCHY_CONV", "direct", 1);
  EXPECT_EQ(forward(kPlain), ConvolutionMethod::kDirect);
  ::setenv("BRANCHY_CONV", "fft", 1);
  EXPECT_THROW(static_cast<void>(forward(kPlain)), ConfigError);
}

TEST_F(ConvolutionMethodTest, AMeasuredTableComesBeforeTheRule) {
  auto table = std::make_shared<ConvolutionTable>();
  table->set(convolution_name(kPlain, ConvolutionPass::kForward), ConvolutionMethod::kDirect);
  table->set(convolution_name(kStrided, ConvolutionPass::kForward), ConvolutionMethod::kWinograd);
  use_convolution_table(table);
  EXPECT_EQ(forward(kPlain), ConvolutionMethod::kDirect);
  EXPECT_EQ(choose_convolution_method(kPlain, ConvolutionPass::kBackwardData),
            ConvolutionMethod::kWinograd);
  EXPECT_EQ(forward(kStrided), ConvolutionMethod::kDirect) << "the table names what cannot be";
}

TEST_F(ConvolutionMethodTest, ATableIsReadBackAsWritten) {
  ConvolutionTable table;
  table.set("forward 1x2x3x4 o5 k3 s1 p1", ConvolutionMethod::kGemm);
  table.set("data 1x2x3x4 o5 k3 s1 p1", ConvolutionMethod::kWinograd);
  const ConvolutionTable read = ConvolutionTable::parse(table.to_json(), "here");
  EXPECT_EQ(read.to_json(), table.to_json());
  EXPECT_EQ(read.find("forward 1x2x3x4 o5 k3 s1 p1"), ConvolutionMethod::kGemm);
  EXPECT_EQ(read.find("forward 1x2x3x4 o5 k3 s1 p0"), std::nullopt);
  for (const char* wrong : {"", "[]", "{", R"({"a": 1})", R"({"a": "fft"})"})
    EXPECT_THROW(static_cast<void>(ConvolutionTable::parse(wrong, "here")), DataError) << wrong;
}

TEST_F(ConvolutionMethodTest, AListingNotesWhatIsMadeOnce) {
  const ConvolutionListing listing;
  const Convolution first(kStrided), second(kStrided);
  ASSERT_EQ(listing.entries().size(), 3U);
  EXPECT_EQ(listing.entries()[0].first, kStrided);
  EXPECT_EQ(listing.entries()[2].second, ConvolutionPass::kBackwardWeights);
}

TEST_F(ConvolutionMethodTest, EachApplicableMethodIsTimed) {
  const ConvolutionSpec small{.src = {2, 16, 8, 8}, .out = 16, .kernel = 3, .padding = 1};
  const auto times = time_convolution(small, ConvolutionPass::kBackwardWeights, 3);
  ASSERT_EQ(times.size(), 3U);
  for (const MethodTime& time : times) EXPECT_GT(time.ms, 0.0);
  ::setenv("BRANCHY_CONV", "direct", 1);
  EXPECT_THROW(static_cast<void>(time_convolution(small, ConvolutionPass::kForward, 1)),
               ConfigError);
}

TEST(FastestMethod, KeepsDirectUnlessAnotherIsClearlyFaster) {
  using Method = ConvolutionMethod;
  EXPECT_EQ(fastest_method({{Method::kDirect, 1.0}, {Method::kGemm, 0.99}}).method,
            Method::kDirect);
  EXPECT_EQ(fastest_method({{Method::kDirect, 1.0}, {Method::kGemm, 0.9}}).method, Method::kGemm);
  EXPECT_EQ(fastest_method({{Method::kDirect, 1.0}, {Method::kWinograd, 2.0}}).method,
            Method::kDirect);
}

}  // namespace
}  // namespace branchy::dnn
