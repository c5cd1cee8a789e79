// Layer: one differentiable operation with parameters, its shape rule, cost and lowering.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/cost.h"
#include "core/plan_builder.h"
#include "core/rng.h"
#include "core/variable.h"
#include "layers/channels.h"

namespace branchy {

enum class Mode { kTrain, kEval };

/// What travels with one forward pass.
struct Pass {
  Mode mode = Mode::kEval;
  std::uint64_t seed = 0;  ///< key of this step's random numbers (dropout); give (seed, step) mixed
};

/// A named tensor of a layer. Parameters have a gradient; buffers (running statistics) do not.
struct StateEntry {
  std::string name;  ///< hierarchical, e.g. "layer1.0.conv1.weight"
  Variable* variable = nullptr;
  bool is_buffer = false;
  bool decays = true;  ///< false for biases and batch norm: weight decay may spare them
};

/// One line of a profile.
struct CostRow {
  std::string name;  ///< hierarchical layer name
  std::string type;
  Shape src, dst;  ///< for batch size 1
  Cost cost;
};

[[nodiscard]] Cost total_cost(const std::vector<CostRow>& rows);

class Layer;
/// A small configuration with the input shape it is tested on; tests run over all of them.
struct LayerCase {
  std::string name;
  Shape src;
  std::function<std::unique_ptr<Layer>(Rng&)> make;
  bool random_in_training = false;  ///< training differs from evaluation by random numbers
};

/// A layer maps one variable to one variable. Not thread-safe; parameters live as long as it does.
class Layer {
 public:
  Layer() = default;
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  /// Registered type name, e.g. "conv2d".
  [[nodiscard]] virtual std::string_view type() const = 0;
  /// Throws ShapeError (naming the layer) when `src` does not fit.
  [[nodiscard]] virtual Shape output_shape(const Shape& src) const = 0;
  /// Computes and records the output; its time is this layer's in a StepProfile.
  Variable forward(const Variable& src, const Pass& pass);
  /// Counts for one sample; `src` has any batch size.
  [[nodiscard]] virtual Cost cost(const Shape& src) const = 0;
  /// Emits the evaluation-mode operations; gives the resulting value.
  virtual PlanValue lower(PlanBuilder& plan, PlanValue src) const = 0;
  /// Appends parameters and buffers in a fixed order, names prefixed with `prefix`
  /// ("" or ending in '.').
  virtual void collect_state(const std::string& prefix, std::vector<StateEntry>& state);
  /// Appends the profile of this layer under `name`; composites append their parts.
  virtual void profile(const std::string& name, const Shape& src, std::vector<CostRow>& rows) const;
  /// Fills this layer from `full`, the same layer with more channels or as many: it takes the
  /// weights that belong to `src`, the channels that its input has left, and gives those that its
  /// output has. A convolution with fewer filters chooses the ones with the largest l2 norm. Layers
  /// without state keep what they get; others without a rule of their own throw ConfigError.
  virtual Channels take_channels(const Layer& full, const Channels& src);
  /// Hierarchical name for error messages, set once by the network.
  virtual void set_name(const std::string& name) { name_ = name; }
  [[nodiscard]] const std::string& name() const { return name_; }

 protected:
  virtual Variable do_forward(const Variable& src, const Pass& pass) = 0;
  /// "[conv2d layer1.0.conv1]" for messages.
  [[nodiscard]] std::string place() const;

 private:
  std::string name_;
};

using LayerPtr = std::unique_ptr<Layer>;

}  // namespace branchy
