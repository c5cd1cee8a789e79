// A real branchy-edge whose cloud or link fails: every image is answered, rightly or as degraded.
#include "tests/infer/fault_fixture.h"

namespace branchy {
namespace {

using EdgeFaults = test::FaultTest;

TEST_P(EdgeFaults, LeaveNoImageUnansweredAndGiveNoWrongAnswer) { run(); }

INSTANTIATE_TEST_SUITE_P(, EdgeFaults,
                         testing::ValuesIn(edge_faults().begin(), edge_faults().end()),
                         test::fault_name);

}  // namespace
}  // namespace branchy
