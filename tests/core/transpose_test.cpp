// Rows and columns change places whatever their numbers, squares or parts of squares.
#include "core/kernels/transpose.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace branchy::kernels {
namespace {

class TransposeTest : public ::testing::TestWithParam<std::pair<std::int64_t, std::int64_t>> {};

TEST_P(TransposeTest, PutsRowsWhereColumnsWere) {
  const auto [rows, columns] = GetParam();
  std::vector<float> from(static_cast<std::size_t>(rows * columns));
  for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<float>(i);
  std::vector<float> to(from.size(), -1.0F);
  transpose(from.data(), rows, columns, to.data());
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      ASSERT_EQ(to[static_cast<std::size_t>(c * rows + r)],
                from[static_cast<std::size_t>(r * columns + c)]);
}

INSTANTIATE_TEST_SUITE_P(Sizes, TransposeTest,
                         ::testing::Values(std::pair{1, 1}, std::pair{1, 7}, std::pair{33, 64},
                                           std::pair{300, 129}));

}  // namespace
}  // namespace branchy::kernels
