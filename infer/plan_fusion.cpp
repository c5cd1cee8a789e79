#include "infer/plan_fusion.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "core/dnn/inference_linear.h"

namespace branchy::detail {

namespace {

/// Output channel of each weight: the weights are [outer][channels][inner] runs.
struct ChannelRuns {
  std::int64_t outer = 1, channels = 0, inner = 1;
};

ChannelRuns channel_runs(const Shape& weights, bool transposed) {
  if (!transposed) return {1, weights[0], weights.size() / weights[0]};
  return {weights[0], weights[1], weights[2] * weights[3]};
}

/// W' = W s / sqrt(v + e), b' = (b - m) s / sqrt(v + e) + t, per output channel.
void fold(const BatchNormOp& norm, const ConvolutionOp& op, Tensor& weights, Tensor& bias) {
  const std::int64_t channels = norm.scale.size();
  const auto scale = norm.scale.data();
  const auto shift = norm.shift.data();
  const auto mean = norm.mean.data();
  const auto variance = norm.variance.data();
  std::vector<double> factor(static_cast<std::size_t>(channels));
  Tensor folded_bias(Shape{channels});
  const auto to = folded_bias.mutable_data();
  for (std::size_t c = 0; c < factor.size(); ++c) {
    factor[c] = double{scale[c]} / std::sqrt(double{variance[c]} + double{norm.epsilon});
    const double before = bias.defined() ? double{bias.data()[c]} : 0.0;
    to[c] = static_cast<float>((before - double{mean[c]}) * factor[c] + double{shift[c]});
  }
  Tensor folded = weights.clone();
  const auto values = folded.mutable_data();
  const ChannelRuns runs = channel_runs(weights.shape(), op.transposed);
  // Transposed weights are [I, O/groups, K, K]; input channel i belongs to group i / (I/groups).
  const std::int64_t per_group = op.transposed ? runs.outer / op.groups : 1;
  for (std::int64_t o = 0; o < runs.outer; ++o)
    for (std::int64_t c = 0; c < runs.channels; ++c) {
      const std::int64_t channel = op.transposed ? o / per_group * runs.channels + c : c;
      const double f = factor[static_cast<std::size_t>(channel)];
      const auto run =
          values.subspan(static_cast<std::size_t>((o * runs.channels + c) * runs.inner),
                         static_cast<std::size_t>(runs.inner));
      for (float& value : run) value = static_cast<float>(double{value} * f);
    }
  weights = folded;
  bias = folded_bias;
}

/// The layer behind a batch norm: W' = W s / sqrt(v + e) by input, b' = b + W (t - m s / sqrt(v +
/// e)).
void fold_before(const BatchNormOp& norm, LinearOp& op) {
  const std::int64_t out = op.weights.dim(0);
  const std::int64_t in = op.weights.dim(1);
  Tensor weights = op.weights.clone();
  Tensor bias(Shape{out});
  const auto values = weights.mutable_data();
  for (std::int64_t o = 0; o < out; ++o) {
    double sum = op.bias.defined() ? double{op.bias.data()[static_cast<std::size_t>(o)]} : 0.0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(in); ++i) {
      const double factor = double{norm.scale.data()[i]} /
                            std::sqrt(double{norm.variance.data()[i]} + double{norm.epsilon});
      float& weight = values[static_cast<std::size_t>(o * in) + i];
      sum += double{weight} * (double{norm.shift.data()[i]} - double{norm.mean.data()[i]} * factor);
      weight = static_cast<float>(double{weight} * factor);
    }
    bias.mutable_data()[static_cast<std::size_t>(o)] = static_cast<float>(sum);
  }
  op.weights = weights;
  op.bias = bias;
}

class Fuser {
 public:
  Fuser(PlanSegment& segment, std::vector<Shape>& shapes) : segment_(segment), shapes_(shapes) {
    for (const PlanOp& op : segment.ops)
      for (const PlanValue src : op.srcs) ++num_readers_[src];
    ++num_readers_[segment.dst];
  }

  void run() {
    std::vector<PlanOp> ops = std::exchange(segment_.ops, {});
    for (PlanOp& op : ops) {
      if (fuse_one(op)) continue;
      segment_.ops.push_back(std::move(op));
    }
    if (segment_.is_exit) fuse_head();
    for (PlanOp& op : segment_.ops) {
      if (op.kind == PlanOpKind::kConvolution)
        op.weights = std::make_shared<dnn::PackedTensor>(op.convolution.weights);
      if (op.kind == PlanOpKind::kLinear || op.kind == PlanOpKind::kExitHead)
        op.weights = std::make_shared<dnn::PackedTensor>(op.linear.weights);
    }
  }

 private:
  bool fuse_one(const PlanOp& op) {
    switch (op.kind) {
      case PlanOpKind::kPool:
        return move_batch_norm_behind(op);
      case PlanOpKind::kLinear:
        return fuse_means(op);
      case PlanOpKind::kBatchNorm:
        return fuse_batch_norm(op);
      case PlanOpKind::kActivation:
        return fuse_activation(op);
      case PlanOpKind::kAdd:
        return fuse_add(op);
      default:
        return false;
    }
  }

  /// The operation of this segment that makes `value` for one reader only.
  std::optional<std::size_t> sole_producer(PlanValue value) const {
    if (num_readers_.at(value) != 1) return std::nullopt;
    const auto& ops = segment_.ops;
    const auto found =
        std::find_if(ops.begin(), ops.end(), [&](const PlanOp& op) { return op.dst == value; });
    if (found == ops.end()) return std::nullopt;
    return static_cast<std::size_t>(found - ops.begin());
  }

  static bool has_post(const PlanOp& op) { return op.post.sum || op.post.activate; }

  bool fuse_batch_norm(const PlanOp& op) {
    const auto at = sole_producer(op.srcs[0]);
    if (!at) return false;
    PlanOp& before = segment_.ops[*at];
    if (has_post(before)) return false;
    if (before.kind == PlanOpKind::kConvolution) {
      fold(op.batch_norm, before.convolution, before.convolution.weights, before.convolution.bias);
    } else if (before.kind == PlanOpKind::kLinear) {
      fold(op.batch_norm, {}, before.linear.weights, before.linear.bias);
    } else {
      return false;
    }
    before.dst = op.dst;
    return true;
  }

  /// A batch norm without activation whose only reader is this global average pool.
  bool move_batch_norm_behind(const PlanOp& pool) {
    if (pool.pool.kind != PoolKind::kAverage || pool.pool.kernel != 0) return false;
    const auto at = sole_producer(pool.srcs[0]);
    if (!at || segment_.ops[*at].kind != PlanOpKind::kBatchNorm || has_post(segment_.ops[*at]))
      return false;
    PlanOp norm = segment_.ops[*at];
    segment_.ops.erase(segment_.ops.begin() + static_cast<std::ptrdiff_t>(*at));
    PlanOp first = pool;
    first.srcs = std::exchange(norm.srcs, {norm.dst});
    first.dst = std::exchange(norm.dst, pool.dst);
    shapes_[static_cast<std::size_t>(first.dst)] = shape_of(pool.dst);
    segment_.ops.push_back(std::move(first));
    segment_.ops.push_back(std::move(norm));
    return true;
  }

  /// A linear layer that reads one value a channel, flattened, from a batch norm.
  bool fuse_means(const PlanOp& op) {
    const auto flatten = sole_producer(op.srcs[0]);
    if (!flatten || segment_.ops[*flatten].kind != PlanOpKind::kFlatten) return false;
    const auto at = sole_producer(segment_.ops[*flatten].srcs[0]);
    if (!at || segment_.ops[*at].kind != PlanOpKind::kBatchNorm || has_post(segment_.ops[*at]))
      return false;
    const PlanOp norm = segment_.ops[*at];
    if (norm.batch_norm.scale.size() != op.linear.weights.dim(1)) return false;
    PlanOp linear = op;
    fold_before(norm.batch_norm, linear.linear);
    segment_.ops[*flatten].srcs = norm.srcs;
    segment_.ops.erase(segment_.ops.begin() + static_cast<std::ptrdiff_t>(*at));
    segment_.ops.push_back(std::move(linear));
    return true;
  }

  /// The pooling and the linear layer that end an exit, when the weights stay in the cache: larger
  /// ones have a kernel of their own.
  void fuse_head() {
    auto& ops = segment_.ops;
    const auto last = sole_producer(segment_.dst);
    if (!last || ops[*last].kind != PlanOpKind::kLinear || has_post(ops[*last]) ||
        ops[*last].linear.weights.size() > dnn::kCachedLinearWeights)
      return;
    const auto flatten = sole_producer(ops[*last].srcs[0]);
    if (!flatten || ops[*flatten].kind != PlanOpKind::kFlatten) return;
    const auto pool = sole_producer(ops[*flatten].srcs[0]);
    if (!pool || ops[*pool].kind != PlanOpKind::kPool) return;
    PlanOp head = ops[*last];
    head.kind = PlanOpKind::kExitHead;
    head.pool = ops[*pool].pool;
    head.srcs = ops[*pool].srcs;
    for (const std::size_t index : {*last, *flatten, *pool})  // each lies before the one it feeds
      ops.erase(ops.begin() + static_cast<std::ptrdiff_t>(index));
    ops.push_back(std::move(head));
  }

  bool fuse_activation(const PlanOp& op) {
    const auto at = sole_producer(op.srcs[0]);
    if (!at) return false;
    PlanOp& before = segment_.ops[*at];
    if (before.post.activate) return false;
    const bool takes_any = before.kind == PlanOpKind::kConvolution ||
                           before.kind == PlanOpKind::kLinear || before.kind == PlanOpKind::kAdd;
    const bool takes_relu =
        before.kind == PlanOpKind::kBatchNorm && op.activation_kind == ActivationKind::kRelu;
    if (!takes_any && !takes_relu) return false;
    before.post.activate = true;
    before.post.activation = op.activation_kind;
    before.dst = op.dst;
    return true;
  }

  bool fuse_add(const PlanOp& op) {
    if (op.srcs[0] == op.srcs[1]) return false;
    const auto a = sole_producer(op.srcs[0]);
    const auto b = sole_producer(op.srcs[1]);
    // The later producer takes the sum in: by then the other addend exists.
    const bool second = b && (!a || *b > *a);
    const auto at = second ? b : a;
    if (!at) return false;
    PlanOp& before = segment_.ops[*at];
    if (before.kind != PlanOpKind::kConvolution || before.convolution.transposed ||
        has_post(before))
      return false;
    const PlanValue other = op.srcs[second ? 0 : 1];
    const bool ready =
        other == segment_.src ||
        std::any_of(segment_.ops.begin(), segment_.ops.begin() + static_cast<std::ptrdiff_t>(*at),
                    [&](const PlanOp& o) { return o.dst == other; });
    if (!ready) return false;
    before.post.sum = true;
    before.srcs.push_back(other);
    before.dst = op.dst;
    return true;
  }

  const Shape& shape_of(PlanValue value) const { return shapes_[static_cast<std::size_t>(value)]; }

  PlanSegment& segment_;
  std::vector<Shape>& shapes_;
  std::map<PlanValue, int> num_readers_;
};

}  // namespace

void fuse(PlanSegment& segment, std::vector<Shape>& shapes) { Fuser(segment, shapes).run(); }

}  // namespace branchy::detail
