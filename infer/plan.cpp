#include "infer/plan.h"

#include <fmt/core.h>

#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "core/error.h"
#include "infer/plan_fusion.h"
#include "infer/plan_graph.h"
#include "infer/plan_int8.h"
#include "infer/program.h"

namespace branchy {

struct Plan::Impl {
  NetworkPart part;
  std::vector<std::int64_t> exit_depths;  // of exits part.first_exit ...
  detail::PlanGraph graph;
  std::int64_t num_weights = 0;
  std::mutex mutex;  // guards `programs` and, while compiling, the packed weights of `graph`
  std::map<std::pair<std::int64_t, std::int64_t>, std::shared_ptr<const detail::Program>> programs;
};

namespace {

void check_part(const MultiExitNetwork& network, const NetworkPart& part) {
  const auto num_blocks = static_cast<std::int64_t>(network.blocks().size());
  if (part.first_block < 0 || part.first_block > part.end_block || part.end_block > num_blocks)
    throw ConfigError(fmt::format("[plan] blocks {} to {} asked for, the network has {}",
                                  part.first_block, part.end_block, num_blocks));
  if (part.first_exit > part.last_exit) return;
  if (part.first_exit < 1 || part.last_exit > network.num_exits())
    throw ConfigError(fmt::format("[plan] exits {} to {} asked for, the network has {}",
                                  part.first_exit, part.last_exit, network.num_exits()));
  for (std::int64_t exit = part.first_exit; exit <= part.last_exit; ++exit) {
    const std::int64_t depth = network.exit(exit).after_block;
    if (depth < part.first_block || depth > part.end_block)
      throw ConfigError(fmt::format("[plan] exit {} follows block {}, outside blocks {} to {}",
                                    exit, depth, part.first_block, part.end_block));
  }
}

/// Copies, so that the plan stays what it is when the network trains on.
template <class... Tensors>
void detach(Tensors&... tensors) {
  const auto one = [](Tensor& tensor) {
    if (tensor.defined()) tensor = tensor.clone();
  };
  (one(tensors), ...);
}

void detach_weights(detail::PlanSegment& segment) {
  for (detail::PlanOp& op : segment.ops) {
    detach(op.convolution.weights, op.convolution.bias, op.linear.weights, op.linear.bias);
    detach(op.batch_norm.scale, op.batch_norm.shift, op.batch_norm.mean, op.batch_norm.variance);
  }
}

/// Of the whole network, so that its parts are all computed in the same way.
std::int64_t count_weights(const MultiExitNetwork& network) {
  std::int64_t count = 0;
  std::int64_t block = 0;
  for (const MultiExitNetwork::Block& one : network.blocks())
    count += one.layer->cost(network.feature_shape(block++)).parameters;
  for (const MultiExitNetwork::Exit& exit : network.exits())
    count += exit.layer->cost(network.feature_shape(exit.after_block)).parameters;
  return count;
}

detail::PlanGraph record(const MultiExitNetwork& network, const NetworkPart& part) {
  detail::GraphRecorder recorder(network.feature_shape(part.first_block));
  std::vector<PlanValue> boundaries{recorder.src()};
  std::int64_t exit = part.first_exit;
  for (std::int64_t block = part.first_block;; ++block) {
    const PlanValue trunk = boundaries.back();
    for (; exit <= part.last_exit && network.exit(exit).after_block == block; ++exit) {
      recorder.begin_segment(true, exit, trunk);
      recorder.end_segment(network.exit(exit).layer->lower(recorder, trunk));
    }
    if (block == part.end_block) break;
    recorder.begin_segment(false, block, trunk);
    boundaries.push_back(
        network.blocks()[static_cast<std::size_t>(block)].layer->lower(recorder, trunk));
    recorder.end_segment(boundaries.back());
  }
  return recorder.take(std::move(boundaries));
}

}  // namespace

std::shared_ptr<const Plan> Plan::lower(const MultiExitNetwork& network, const NetworkPart& part,
                                        const Int8Ranges& int8) {
  check_part(network, part);
  auto impl = std::make_unique<Impl>();
  impl->part = part;
  for (std::int64_t exit = part.first_exit; exit <= part.last_exit; ++exit)
    impl->exit_depths.push_back(network.exit(exit).after_block);
  impl->graph = record(network, part);
  for (detail::PlanSegment& segment : impl->graph.segments) {
    detach_weights(segment);
    detail::fuse(segment, impl->graph.shapes);
  }
  detail::choose_int8(impl->graph, int8, std::ssize(network.blocks()), network.num_exits());
  impl->num_weights = count_weights(network);
  return std::shared_ptr<const Plan>(new Plan(std::move(impl)));  // NOLINT: private constructor
}

Plan::Plan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Plan::~Plan() = default;

const NetworkPart& Plan::part() const { return impl_->part; }
const detail::PlanGraph& Plan::graph() const { return impl_->graph; }

Shape Plan::boundary_shape(std::int64_t num_blocks) const {
  if (num_blocks < impl_->part.first_block || num_blocks > impl_->part.end_block)
    throw ConfigError(
        fmt::format("[plan] boundary after {} blocks asked for, the plan has {} to {}", num_blocks,
                    impl_->part.first_block, impl_->part.end_block));
  const auto index = static_cast<std::size_t>(num_blocks - impl_->part.first_block);
  return impl_->graph.shapes[static_cast<std::size_t>(impl_->graph.boundaries[index])];
}

std::int64_t Plan::exit_depth(std::int64_t exit) const {
  return impl_->exit_depths.at(static_cast<std::size_t>(exit - impl_->part.first_exit));
}

bool Plan::computes_alone(std::int64_t batch) const {
  // Weights are read again for each sample: 16 MB come from a cache of the usual size in a
  // hundredth of the time that their multiplications take, 134 MB (VGG16) from memory would not.
  constexpr std::int64_t kCachedWeights = 1 << 22;
  return batch > 1 && batch >= dnn::calling_thread_width() && impl_->num_weights <= kCachedWeights;
}

std::shared_ptr<const detail::Program> Plan::program(std::int64_t batch) const {
  return program(batch, dnn::calling_thread_width());
}

std::shared_ptr<const detail::Program> Plan::program(std::int64_t batch,
                                                     std::int64_t threads) const {
  const std::lock_guard lock(impl_->mutex);
  auto& program = impl_->programs[{batch, threads}];
  if (program) return program;
  const dnn::ThreadWidth width(threads);
  program = std::make_shared<const detail::Program>(
      detail::compile(impl_->graph, batch, impl_->part.first_block == 0));
  return program;
}

}  // namespace branchy
