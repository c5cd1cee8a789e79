#include "layers/layer.h"

#include "core/error.h"
#include "core/step_profile.h"

namespace branchy {

Cost total_cost(const std::vector<CostRow>& rows) {
  Cost total;
  for (const CostRow& row : rows) total += row.cost;
  return total;
}

Variable Layer::forward(const Variable& src, const Pass& pass) {
  const OwnedWork own(name_, type());
  return do_forward(src, pass);
}

void Layer::collect_state(const std::string& /*prefix*/, std::vector<StateEntry>& /*state*/) {}

void Layer::profile(const std::string& name, const Shape& src, std::vector<CostRow>& rows) const {
  rows.push_back(
      {name, std::string(type()), src.with_batch(1), output_shape(src).with_batch(1), cost(src)});
}

Channels Layer::take_channels(const Layer& /*full*/, const Channels& src) {
  std::vector<StateEntry> state;
  collect_state("", state);
  if (!state.empty()) throw ConfigError(place() + " cannot be pruned; leave its network as it is");
  return src;
}

std::string Layer::place() const {
  std::string place = "[";
  place += type();
  if (!name_.empty()) place += " " + name_;
  return place + "]";
}

}  // namespace branchy
