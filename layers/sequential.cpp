#include "layers/sequential.h"

#include "core/error.h"

namespace branchy {

Sequential& Sequential::add(std::string name, LayerPtr layer) {
  layers_.emplace_back(std::move(name), std::move(layer));
  return *this;
}

Shape Sequential::output_shape(const Shape& src) const {
  Shape shape = src;
  for (const auto& [name, layer] : layers_) shape = layer->output_shape(shape);
  return shape;
}

Variable Sequential::do_forward(const Variable& src, const Pass& pass) {
  return forward_from(0, src, pass);
}

Variable Sequential::forward_from(std::size_t skipped, const Variable& src, const Pass& pass) {
  Variable value = src;
  for (std::size_t i = skipped; i < layers_.size(); ++i)
    value = layers_[i].second->forward(value, pass);
  return value;
}

Cost Sequential::cost(const Shape& src) const {
  Cost total;
  Shape shape = src;
  for (const auto& [name, layer] : layers_) {
    total += layer->cost(shape);
    shape = layer->output_shape(shape);
  }
  return total;
}

PlanValue Sequential::lower(PlanBuilder& plan, PlanValue src) const {
  for (const auto& [name, layer] : layers_) src = layer->lower(plan, src);
  return src;
}

void Sequential::collect_state(const std::string& prefix, std::vector<StateEntry>& state) {
  for (const auto& [name, layer] : layers_) layer->collect_state(prefix + name + ".", state);
}

Channels Sequential::take_channels(const Layer& full, const Channels& src) {
  const auto& wide = dynamic_cast<const Sequential&>(full);
  BRANCHY_DCHECK(wide.layers_.size() == layers_.size());
  Channels channels = src;
  for (std::size_t i = 0; i < layers_.size(); ++i)
    channels = layers_[i].second->take_channels(*wide.layers_[i].second, channels);
  return channels;
}

namespace {

/// "name.child", or the child alone where the parent has no name.
std::string joined(const std::string& name, const std::string& child) {
  std::string full = name;
  if (!full.empty()) full += '.';
  full += child;
  return full;
}

}  // namespace

void Sequential::profile(const std::string& name, const Shape& src,
                         std::vector<CostRow>& rows) const {
  Shape shape = src;
  for (const auto& [child, layer] : layers_) {
    layer->profile(joined(name, child), shape, rows);
    shape = layer->output_shape(shape);
  }
}

void Sequential::set_name(const std::string& name) {
  Layer::set_name(name);
  for (const auto& [child, layer] : layers_) layer->set_name(joined(name, child));
}

}  // namespace branchy
