// What a user of the installed library writes: no source or build folder of branchy is in reach.
#include "infer/policies/max_probability.h"
#include "layers/models/registry.h"

int main() {
  branchy::Rng rng(1);
  const auto network = branchy::make_network({.name = "resnet44", .classes = 10}, rng);
  return network->num_exits() == 3 ? 0 : 1;
}
