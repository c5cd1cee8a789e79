// The golden totals of layers/COST.md are those of the networks.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "core/cost_convention.h"
#include "layers/models/registry.h"
#include "layers/network_options.h"
#include "layers/network_summary.h"

namespace branchy {
namespace {

/// The cells of a line "| a | b |", without spaces around and without backticks.
std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream stream(line.substr(1));
  for (std::string cell; std::getline(stream, cell, '|');) {
    std::string text;
    for (const char c : cell)
      if (c != '`') text += c;
    const std::size_t begin = text.find_first_not_of(' ');
    const std::size_t end = text.find_last_not_of(' ');
    cells.push_back(begin == std::string::npos ? "" : text.substr(begin, end - begin + 1));
  }
  return cells;
}

/// "1,234" as 1234.
std::int64_t number(const std::string& text) {
  std::string digits;
  for (const char c : text)
    if (c != ',') digits += c;
  return std::stoll(digits);
}

/// The rows below the heading "| network | options | ...".
std::vector<std::vector<std::string>> golden_rows() {
  std::ifstream file(BRANCHY_COST_DOCUMENT);
  std::vector<std::vector<std::string>> rows;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("| network | options |"))
      inside = true;
    else if (!line.starts_with("|"))
      inside = false;
    else if (inside && !line.starts_with("|-"))
      rows.push_back(cells_of(line));
  }
  return rows;
}

TEST(CostDocument, StatesTheTotalsOfEveryNetwork) {
  std::set<std::string> networks;
  const auto rows = golden_rows();
  ASSERT_FALSE(rows.empty());
  for (const auto& row : rows) {
    ASSERT_EQ(row.size(), 9U);
    NetworkConfig config{
        .name = row[0], .classes = number(row[2]), .early_exits = number(row[3]), .options = {}};
    std::istringstream options(row[1]);
    for (std::string option; options >> option;) add_option(config.options, option);
    Rng rng(1);
    const auto network = make_network(config, rng);
    const Cost total = whole_cost(*network);
    const std::string place = row[0] + " " + row[1] + " " + row[2] + " " + row[3];
    EXPECT_EQ(counted(total, CostConvention::kPtflops), number(row[4])) << place;
    EXPECT_EQ(counted(total, CostConvention::kPthflops), number(row[5])) << place;
    EXPECT_EQ(counted(total, CostConvention::kMac), number(row[6])) << place;
    EXPECT_EQ(total.executed, number(row[7])) << place;
    EXPECT_EQ(total.parameters, number(row[8])) << place;
    networks.insert(row[0]);
  }
  for (const std::string& name : network_names()) EXPECT_TRUE(networks.contains(name)) << name;
}

TEST(CostConvention, HasNames) {
  for (const char* name : {"ptflops", "pthflops", "mac"})
    EXPECT_EQ(convention_name(parse_cost_convention(name)), name);
}

}  // namespace
}  // namespace branchy
