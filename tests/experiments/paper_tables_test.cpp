// Every cell of the papers that follows by arithmetic from a network, held as the paper prints it.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/error.h"
#include "experiments/paper_table.h"
#include "experiments/table_comparison.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

TEST(PaperTables, AreAllComputedAsTheyArePrinted) {
  CountedNetworks networks;
  std::size_t equal = 0;
  std::set<std::string> misprints;
  for (const PaperTable& table : paper_tables()) {
    const auto cells = compare_table(table, networks);
    EXPECT_FALSE(cells.empty()) << table.id;
    for (const ComparedCell& cell : cells) {
      const std::string place = table.id + "/" + cell.row + "/" + cell.column;
      EXPECT_NE(cell.verdict, Verdict::kDifferent)
          << place << ": paper " << cell.printed << ", branchy " << cell.computed << " ("
          << cell.exact << ")";
      if (cell.verdict == Verdict::kEqual) ++equal;
      if (cell.verdict == Verdict::kMisprint) misprints.insert(place);
    }
  }
  EXPECT_EQ(equal, 463U) << "the facts have lost or won cells";
  EXPECT_EQ(misprints, (std::set<std::string>{"pacheco-1/3 Inverted Residual/input",
                                              "pacheco-1/12 Fully-connected/output"}));
}

TEST(PaperTables, HaveIdsOfTheirOwn) {
  std::set<std::string> ids;
  for (const PaperTable& table : paper_tables()) {
    EXPECT_TRUE(ids.insert(table.id).second) << table.id;
    EXPECT_TRUE(table.source == "printed" || table.source == "derived" ||
                table.source == "published code")
        << table.source;
    EXPECT_FALSE(table.paper.empty());
  }
}

PaperTable one_cell(const std::string& cell, std::vector<Misprint> misprints = {}) {
  return {.paper = "p",
          .id = "dong-I",
          .title = "t",
          .source = "printed",
          .unit = {},
          .note = {},
          .columns = {"ResNet44"},
          .rows = {{"CIFAR-10", {cell}}},
          .misprints = std::move(misprints)};
}

TEST(TableComparison, TellsEqualMisprintedAndDifferentCells) {
  CountedNetworks networks;
  const ComparedCell equal = compare_table(one_cell("98.52"), networks).at(0);
  EXPECT_EQ(equal.verdict, Verdict::kEqual);
  EXPECT_EQ(equal.exact, "98517642");
  EXPECT_EQ(compare_table(one_cell("98.518"), networks).at(0).verdict, Verdict::kEqual);
  const ComparedCell different = compare_table(one_cell("98.53"), networks).at(0);
  EXPECT_EQ(different.verdict, Verdict::kDifferent);
  EXPECT_EQ(different.computed, "98.52");
  const Misprint known{"CIFAR-10", "ResNet44", "98.52", "a slip"};
  const ComparedCell misprint = compare_table(one_cell("89.52", {known}), networks).at(0);
  EXPECT_EQ(misprint.verdict, Verdict::kMisprint);
  EXPECT_EQ(misprint.why, "a slip");
  const Misprint wrong{"CIFAR-10", "ResNet44", "98.53", "another"};
  EXPECT_EQ(compare_table(one_cell("89.52", {wrong}), networks).at(0).verdict, Verdict::kDifferent);
}

// Milliseconds are a number without an exact figure behind it.
TEST(TableComparison, MissesNoCellThatOnlyBranchyHas) {
  CountedNetworks networks;
  PaperTable table = one_cell("");
  table.id = "dong-send";
  table.rows[0].name = "1 Mbit/s";
  const auto cells = compare_table(table, networks);
  ASSERT_EQ(cells.size(), 1U);
  EXPECT_EQ(cells[0].verdict, Verdict::kDifferent);
  table.id = "dong-III";
  table.rows[0].name = "ResNet44 exit 2";
  table.columns = {"step 3"};
  EXPECT_TRUE(compare_table(table, networks).empty()) << "neither side has a third step";
}

TEST(TableComparison, RefusesWhatNothingComputes) {
  CountedNetworks networks;
  PaperTable table = one_cell("1");
  table.id = "dong-XX";
  test::expect_error<DataError>([&] { static_cast<void>(compare_table(table, networks)); },
                                {"dong-XX"});
  table = one_cell("1");
  table.columns = {"ResNet9000"};
  test::expect_error<DataError>([&] { static_cast<void>(compare_table(table, networks)); },
                                {"ResNet9000"});
}

TEST(PaperTableParser, RefusesDamagedFacts) {
  const auto refuses = [](const std::string& text, std::initializer_list<std::string> words) {
    test::expect_error<DataError>([&] { static_cast<void>(parse_paper_tables(text)); }, words);
  };
  refuses("{", {"reference"});
  refuses(R"({"tables": []})", {"paper"});
  const auto document = [](const std::string& rest) {
    return R"({"paper": "p", "tables": [{"id": "x", "title": "t", "source": "printed",)" + rest +
           "}]}";
  };
  refuses(document(R"("rows": [])"), {"reference x", "columns"});
  refuses(document(R"("columns": ["a", "b"], "rows": [["r", "1"]])"), {"row 1", "2 cells"});
  refuses(document(R"("columns": ["a"], "rows": [["r", 1]])"), {"reference x"});
  refuses(document(R"("columns": ["a"], "rows": [["r", "1"]], "misprints": [{"row": "r",
                      "column": "b", "correct": "2", "why": "w"}])"),
          {"reference x", "'b'", "no such cell"});
  const auto tables = parse_paper_tables(document(R"("columns": ["a"], "rows": [["r", ""]])"));
  ASSERT_EQ(tables.size(), 1U);
  EXPECT_EQ(tables[0].rows.at(0).cells.at(0), "");
}

}  // namespace
}  // namespace branchy
