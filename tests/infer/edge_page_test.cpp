#include "infer/edge_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <string>

namespace branchy {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(EdgePage, IsOneFileThatLoadsNothing) {
  const std::string page(edge_page_html());
  // Every address in it: the one that it asks, and the name of a vocabulary that nobody loads.
  static const std::regex address(R"re((src|href|action|poster|data)\s*=\s*["']|url\()re");
  EXPECT_FALSE(std::regex_search(page, address));
  std::string rest = page;
  const std::string svg = "http://www.w3.org/2000/svg";
  for (std::size_t at = 0; (at = rest.find(svg)) != std::string::npos;) rest.erase(at, svg.size());
  EXPECT_THAT(rest, Not(HasSubstr("://")));
  EXPECT_THAT(rest, Not(HasSubstr("@import")));
  static const std::regex request(R"re(fetch\(([^,]*),)re");
  std::smatch match;
  ASSERT_TRUE(std::regex_search(page, match, request));
  EXPECT_THAT(match[1].str(), HasSubstr("\"/v2/edge/status\""));
  EXPECT_THAT(std::string(match.suffix()), Not(HasSubstr("fetch(")));
  EXPECT_THAT(rest, Not(HasSubstr("XMLHttpRequest")));
  EXPECT_THAT(rest, Not(HasSubstr("WebSocket")));
}

TEST(EdgePage, MakesNoMarkupOfWhatItIsTold) {
  const std::string page(edge_page_html());
  for (const char* way : {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                          "new Function", "createContextualFragment", "DOMParser"})
    EXPECT_THAT(page, Not(HasSubstr(way)));
}

TEST(EdgePage, AllowsItsOwnScriptAndStyleOnly) {
  const HttpResponse response = edge_page_response();
  EXPECT_EQ(response.body, edge_page_html());
  EXPECT_EQ(find_header(response.headers, "Content-Type"), "text/html; charset=utf-8");
  const std::string policy(find_header(response.headers, "Content-Security-Policy").value());
  static const std::regex expected(
      "default-src 'none'; script-src 'sha256-[A-Za-z0-9+/]{43}='; "
      "style-src 'sha256-[A-Za-z0-9+/]{43}='; img-src data:; connect-src 'self'; "
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
  EXPECT_TRUE(std::regex_match(policy, expected)) << policy;
  // One element of each kind, or the hash would be of another one.
  for (const std::string element : {"<script", "<style", "</script", "</style"})
    EXPECT_EQ(response.body.find(element), response.body.rfind(element)) << element;
}

}  // namespace
}  // namespace branchy
