#include "data/normalization.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "data/folder.h"
#include "tests/support/expect_error.h"

namespace branchy {
namespace {

TEST(Normalization, NamesAndNumbersAreRead) {
  EXPECT_EQ(parse_normalization("imagenet").mean, kImagenetNormalization.mean);
  EXPECT_EQ(parse_normalization("cifar100").std, kCifar100Normalization.std);
  const Normalization six = parse_normalization("0.5,-0.25,0,1,0.125,2e-1");
  EXPECT_EQ(six.mean, (std::array{0.5F, -0.25F, 0.0F}));
  EXPECT_EQ(six.std, (std::array{1.0F, 0.125F, 0.2F}));
}

TEST(Normalization, TextComesBackExactly) {
  for (const char* name : {"imagenet", "cifar10", "cifar100", "pacheco"}) {
    const Normalization known = parse_normalization(name);
    const Normalization back = parse_normalization(to_text(known));
    EXPECT_EQ(back.mean, known.mean) << name;
    EXPECT_EQ(back.std, known.std) << name;
  }
}

TEST(Normalization, AnythingElseIsRefused) {
  for (const char* text : {"", "mnist", "0.5", "1,2,3", "0,0,0,1,1", "0,0,0,1,1,1,1", "0,0,0,1,1,",
                           "0,0,0,1,1,1,", ",0,0,0,1,1,1", "0,0,0,1,0,1", "0,0,0,1,-1,1",
                           "0,0,nan,1,1,1", "0,0,0,1,1,inf", "0;0;0;1;1;1", "0 ,0,0,1,1,1"})
    test::expect_error<ConfigError>([&] { static_cast<void>(parse_normalization(text)); },
                                    {"[normalize]", text, "imagenet, cifar10, cifar100, pacheco"});
}

}  // namespace
}  // namespace branchy
