#include "core/variable.h"

#include <fmt/core.h>

#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "core/kernels/elementwise.h"

namespace branchy {

struct Variable::State {
  Tensor value;
  Tensor grad;
  bool requires_grad = false;
  std::shared_ptr<Node> node;
};

/// One recorded operation: its inputs and the function that differentiates it.
class Node {
 public:
  using Edge = std::shared_ptr<Variable::State>;

  Node(std::string_view operation, std::vector<Variable> inputs, BackwardFn backward)
      : operation_(operation), backward_(std::move(backward)) {
    for (Variable& input : inputs) inputs_.push_back(std::move(input.state_));
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // Chains are as long as the network is deep: they are taken apart with a list, not recursively.
  ~Node() { release_chain(std::move(inputs_)); }

  [[nodiscard]] const std::vector<Edge>& inputs() const { return inputs_; }

  std::vector<Tensor> differentiate(const Tensor& diff_dst) {
    Wanted wanted;
    for (std::size_t i = 0; i < inputs_.size(); ++i) wanted[i] = tracks(*inputs_[i]);
    std::vector<Tensor> diffs = backward_(diff_dst, wanted);
    BRANCHY_DCHECK(diffs.size() == inputs_.size());
    for (std::size_t i = 0; i < diffs.size(); ++i)
      if (wanted[i] && (!diffs[i].defined() || diffs[i].shape() != inputs_[i]->value.shape()))
        throw std::logic_error(fmt::format(
            "[{}] backward gave no gradient of the right shape for input {}", operation_, i));
    return diffs;
  }

  /// Drops what backward needed; the inputs stay until the walk no longer needs them.
  void release_backward() { backward_ = nullptr; }
  [[nodiscard]] bool released() const { return backward_ == nullptr; }

  static bool tracks(const Variable::State& state) { return state.requires_grad || state.node; }

 private:
  static void release_chain(std::vector<Edge> edges) {
    while (!edges.empty()) {
      const Edge edge = std::move(edges.back());
      edges.pop_back();
      if (edge == nullptr || edge.use_count() > 1 || edge->node.use_count() != 1) continue;
      for (Edge& input : edge->node->inputs_) edges.push_back(std::move(input));
      edge->node->inputs_.clear();
    }
  }

  std::string_view operation_;
  std::vector<Edge> inputs_;
  BackwardFn backward_;
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
  state_->requires_grad = requires_grad;
}

const Tensor& Variable::value() const {
  BRANCHY_DCHECK(state_ != nullptr);
  return state_->value;
}

Tensor& Variable::mutable_value() {
  BRANCHY_DCHECK(state_ != nullptr);
  return state_->value;
}

bool Variable::requires_grad() const { return state_ && state_->requires_grad; }

void Variable::set_requires_grad(bool requires_grad) {
  BRANCHY_DCHECK(state_ != nullptr && state_->node == nullptr);
  state_->requires_grad = requires_grad;
}

bool Variable::tracks() const { return state_ && Node::tracks(*state_); }

const Tensor& Variable::grad() const {
  BRANCHY_DCHECK(state_ != nullptr);
  return state_->grad;
}

void Variable::clear_grad() { state_->grad = Tensor(); }

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
  // Count the consumers of every node that is reached, then release nodes whose consumers are done.
  std::unordered_map<State*, std::int64_t> consumers;
  std::unordered_map<State*, Tensor> diffs;
  std::vector<State*> stack{state_.get()};
  consumers[state_.get()] = 0;
  while (!stack.empty()) {
    State* state = stack.back();
    stack.pop_back();
    if (state->node == nullptr) continue;
    if (state->node->released())
      throw std::logic_error("[backward] the graph was already consumed by an earlier backward()");
    for (const Node::Edge& input : state->node->inputs()) {
      if (!Node::tracks(*input)) continue;
      if (consumers[input.get()]++ == 0) stack.push_back(input.get());
    }
  }
  std::vector<std::shared_ptr<State>> ready{state_};
  diffs[state_.get()] = diff;
  while (!ready.empty()) {
    const std::shared_ptr<State> state = std::move(ready.back());
    ready.pop_back();
    const Tensor diff_dst = std::move(diffs[state.get()]);
    diffs.erase(state.get());
    if (state->node == nullptr) {
      accumulate(state->grad, diff_dst);
      continue;
    }
    Node& node = *state->node;
    std::vector<Tensor> diff_inputs = node.differentiate(diff_dst);
    node.release_backward();
    for (std::size_t i = 0; i < diff_inputs.size(); ++i) {
      const std::shared_ptr<State>& input = node.inputs()[i];
      if (!Node::tracks(*input)) continue;
      accumulate(diffs[input.get()], std::move(diff_inputs[i]));
      if (--consumers[input.get()] == 0) ready.push_back(input);
    }
  }
}

Variable record(std::string_view operation, Tensor value, std::vector<Variable> inputs,
                BackwardFn backward) {
  Variable result(std::move(value));
  if (!recording) return result;
  for (const Variable& input : inputs) {
    if (!input.tracks()) continue;
    result.state_->node = std::make_shared<Node>(operation, std::move(inputs), std::move(backward));
    break;
  }
  return result;
}

NoGradGuard::NoGradGuard() : previous_(std::exchange(recording, false)) {}
NoGradGuard::~NoGradGuard() { recording = previous_; }

bool is_recording() { return recording; }

}  // namespace branchy
