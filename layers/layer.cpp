#include "layers/layer.h"

namespace branchy {

void Layer::collect_state(const std::string& /*prefix*/, std::vector<StateEntry>& /*state*/) {}

void Layer::profile(const std::string& name, const Shape& src, std::vector<CostRow>& rows) const {
  rows.push_back(
      {name, std::string(type()), src.with_batch(1), output_shape(src).with_batch(1), cost(src)});
}

std::string Layer::place() const {
  std::string place = "[";
  place += type();
  if (!name_.empty()) place += " " + name_;
  return place + "]";
}

}  // namespace branchy
