// Variable: a tensor in the autograd graph; backward() runs the tape.
#pragma once

#include <bitset>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace branchy {

class Node;

/// Which inputs of a node need a gradient, by position.
using Wanted = std::bitset<32>;

/// A tensor, optionally its gradient, and the Node that made it. A cheap handle: copies share all
/// three. The graph holds nodes, not values: an activation lives as long as a Variable or the
/// backward of an operation needs it. Gradients are summed over consumers and over calls of
/// backward() until clear_grad().
class Variable {
 public:
  Variable() = default;
  explicit Variable(Tensor value, bool requires_grad = false);

  [[nodiscard]] bool defined() const { return state_ != nullptr; }
  [[nodiscard]] const Tensor& value() const;
  [[nodiscard]] Tensor& mutable_value();
  [[nodiscard]] const Shape& shape() const { return value().shape(); }

  /// True for a leaf whose gradient is wanted (a parameter).
  [[nodiscard]] bool requires_grad() const;
  void set_requires_grad(bool requires_grad);
  /// True when a gradient flows to or through this variable.
  [[nodiscard]] bool tracks() const;

  /// The gradient; undefined tensor before backward() reached this leaf.
  [[nodiscard]] const Tensor& grad() const;
  void clear_grad();

  /// Differentiates this scalar (one element) with respect to every leaf that requires a gradient.
  /// Iterative; each node is released once consumed. Throws ShapeError when not a scalar.
  void backward() const;
  /// The same with a given gradient of this variable (same shape).
  void backward(const Tensor& diff) const;

 private:
  friend Variable record(std::string_view, Tensor, const std::vector<Variable>&,
                         std::function<std::vector<Tensor>(const Tensor&, Wanted)>);
  struct State;
  std::shared_ptr<State> state_;
};

/// Computes the gradients of a node's inputs from the gradient of its output. Result i belongs to
/// input i; it may stay undefined where `wanted` is false. Must not write to `diff_dst`.
using BackwardFn = std::function<std::vector<Tensor>(const Tensor& diff_dst, Wanted wanted)>;

/// Makes the output of an operation; while recording is on and an input tracks, remembers
/// `backward` with its `inputs`. `backward` must hold only the tensors that it needs.
[[nodiscard]] Variable record(std::string_view operation, Tensor value,
                              const std::vector<Variable>& inputs, BackwardFn backward);

/// Switches recording off in this thread while alive.
class NoGradGuard {
 public:
  NoGradGuard();
  ~NoGradGuard();
  NoGradGuard(const NoGradGuard&) = delete;
  NoGradGuard& operator=(const NoGradGuard&) = delete;

 private:
  bool previous_;
};

/// Whether operations of this thread are recorded for inputs that track.
[[nodiscard]] bool is_recording();

}  // namespace branchy
