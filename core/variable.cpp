#include "core/variable.h"

#include <fmt/core.h>

#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "core/kernels/elementwise.h"
#include "core/step_profile.h"

namespace branchy {

/// The gradient side of a variable: a leaf that wants a gradient, or the operation that made it. It
/// does not hold the variable's value: only what backward needs stays in memory.
class Node {
 public:
  using Edge = std::shared_ptr<Node>;  // null: no gradient flows there

  explicit Node(const Shape& shape) : shape_(shape) {}
  Node(std::string_view operation, const Shape& shape, std::vector<Edge> inputs,
       BackwardFn backward)
      : operation_(operation),
        shape_(shape),
        inputs_(std::move(inputs)),
        backward_(std::move(backward)),
        owner_(current_work_owner()) {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node() { release(); }

  [[nodiscard]] bool is_leaf() const { return operation_.empty(); }
  [[nodiscard]] bool released() const { return !is_leaf() && backward_ == nullptr; }
  [[nodiscard]] const std::vector<Edge>& inputs() const { return inputs_; }
  Tensor& grad() { return grad_; }

  std::vector<Tensor> differentiate(Tensor diff_dst) {
    Wanted wanted;
    for (std::size_t i = 0; i < inputs_.size(); ++i) wanted[i] = inputs_[i] != nullptr;
    const OwnedWork own(owner_, Direction::kBackward);
    std::vector<Tensor> diffs = backward_(std::move(diff_dst), wanted);
    BRANCHY_DCHECK(diffs.size() == inputs_.size());
    for (std::size_t i = 0; i < diffs.size(); ++i)
      if (wanted[i] && (!diffs[i].defined() || diffs[i].shape() != inputs_[i]->shape_))
        throw std::logic_error(fmt::format(
            "[{}] backward gave no gradient of the right shape for input {}", operation_, i));
    return diffs;
  }

  /// Drops what backward needed, and the inputs. Chains are as long as the network is deep: they
  /// are taken apart with a list, not recursively.
  void release() {
    backward_ = nullptr;
    std::vector<Edge> edges = std::move(inputs_);
    inputs_.clear();
    while (!edges.empty()) {
      const Edge edge = std::move(edges.back());
      edges.pop_back();
      if (edge == nullptr || edge.use_count() > 1) continue;
      for (Edge& input : edge->inputs_) edges.push_back(std::move(input));
      edge->inputs_.clear();
    }
  }

 private:
  std::string_view operation_;  // empty for a leaf
  Shape shape_;
  std::vector<Edge> inputs_;
  BackwardFn backward_;
  Tensor grad_;         // of a leaf
  WorkOwnerPtr owner_;  // null unless the step is profiled
};

struct Variable::State {
  Tensor value;
  std::shared_ptr<Node> node;  // null: no gradient flows here
};

namespace {

thread_local bool recording = true;

void accumulate(Tensor& sum, Tensor diff) {
  if (!sum.defined())
    sum = std::move(diff);
  else
    kernels::accumulate(sum, std::move(diff));
}

}  // namespace

Variable::Variable(Tensor value, bool requires_grad) : state_(std::make_shared<State>()) {
  state_->value = std::move(value);
  if (requires_grad) set_requires_grad(true);
}

const Tensor& Variable::value() const {
  BRANCHY_DCHECK(state_ != nullptr);
  return state_->value;
}

Tensor& Variable::mutable_value() {
  BRANCHY_DCHECK(state_ != nullptr);
  return state_->value;
}

bool Variable::requires_grad() const { return tracks() && state_->node->is_leaf(); }

void Variable::set_requires_grad(bool requires_grad) {
  BRANCHY_DCHECK(state_ != nullptr && (state_->node == nullptr || state_->node->is_leaf()));
  if (!requires_grad)
    state_->node = nullptr;
  else if (state_->node == nullptr)
    state_->node = std::make_shared<Node>(state_->value.shape());
}

bool Variable::tracks() const { return state_ && state_->node; }

const Tensor& Variable::grad() const {
  BRANCHY_DCHECK(state_ != nullptr);
  static const Tensor undefined;
  return state_->node ? state_->node->grad() : undefined;
}

void Variable::clear_grad() {
  if (tracks()) state_->node->grad() = Tensor();
}

void Variable::backward() const {
  if (value().size() != 1)
    throw ShapeError(
        fmt::format("[backward] started from shape {}, expected a scalar; give a gradient",
                    shape().to_string()));
  backward(Tensor::full(shape(), 1.0F));
}

void Variable::backward(const Tensor& diff) const {
  if (diff.shape() != shape())
    throw ShapeError(fmt::format("[backward] gradient {} for a variable of shape {}",
                                 diff.shape().to_string(), shape().to_string()));
  if (!tracks()) return;
  // Count the consumers of every node that is reached, then differentiate nodes whose consumers are
  // done. A node is released at once: its saved tensors are free for the ones before it.
  const std::shared_ptr<Node>& root = state_->node;
  std::unordered_map<Node*, std::int64_t> consumers{{root.get(), 0}};
  std::vector<Node*> stack{root.get()};
  while (!stack.empty()) {
    Node* node = stack.back();
    stack.pop_back();
    if (node->released())
      throw std::logic_error("[backward] the graph was already consumed by an earlier backward()");
    for (const Node::Edge& input : node->inputs())
      if (input && consumers[input.get()]++ == 0) stack.push_back(input.get());
  }
  std::unordered_map<Node*, Tensor> diffs{{root.get(), diff}};
  std::vector<std::shared_ptr<Node>> ready{root};
  while (!ready.empty()) {
    const std::shared_ptr<Node> node = std::move(ready.back());
    ready.pop_back();
    Tensor diff_dst = std::move(diffs.extract(node.get()).mapped());
    if (node->is_leaf()) {
      accumulate(node->grad(), std::move(diff_dst));
      continue;
    }
    std::vector<Tensor> diff_inputs = node->differentiate(std::move(diff_dst));
    for (std::size_t i = 0; i < diff_inputs.size(); ++i) {
      const Node::Edge& input = node->inputs()[i];
      if (!input) continue;
      accumulate(diffs[input.get()], std::move(diff_inputs[i]));
      if (--consumers[input.get()] == 0) ready.push_back(input);
    }
    node->release();
  }
}

Variable record(std::string_view operation, Tensor value, const std::vector<Variable>& inputs,
                BackwardFn backward) {
  Variable result(std::move(value));
  if (!recording) return result;
  BRANCHY_DCHECK(!operation.empty() && inputs.size() <= Wanted().size());
  std::vector<Node::Edge> edges;
  bool tracked = false;
  for (const Variable& input : inputs) {
    edges.push_back(input.state_->node);
    tracked = tracked || edges.back() != nullptr;
  }
  if (tracked)
    result.state_->node =
        std::make_shared<Node>(operation, result.shape(), std::move(edges), std::move(backward));
  return result;
}

NoGradGuard::NoGradGuard() : previous_(std::exchange(recording, false)) {}
NoGradGuard::~NoGradGuard() { recording = previous_; }

bool is_recording() { return recording; }

}  // namespace branchy
