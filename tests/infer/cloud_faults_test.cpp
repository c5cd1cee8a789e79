// A real branchy-cloud under load while something goes wrong: no answer is lost, none is wrong.
#include "tests/infer/fault_fixture.h"

namespace branchy {
namespace {

using CloudFaults = test::FaultTest;

TEST_P(CloudFaults, LoseNoAnswerAndGiveNoWrongOne) { run(); }

INSTANTIATE_TEST_SUITE_P(, CloudFaults,
                         testing::ValuesIn(cloud_faults().begin(), cloud_faults().end()),
                         test::fault_name);

}  // namespace
}  // namespace branchy
