#include "core/dnn/inference_exit_head.h"

#include <fmt/core.h>

#include <utility>

#include "core/dnn/image_blocks.h"
#include "core/dnn/inference_impl.h"
#include "core/dnn/pooling.h"
#include "core/kernels/exit_head.h"

namespace branchy::dnn {

namespace {

void set_windows(kernels::ExitHead& task, const PoolOp& pool, const Shape& pooled) {
  task.max = pool.kind == PoolKind::kMax;
  task.pooled_height = pooled[2];
  task.pooled_width = pooled[3];
  if (pool.kernel == 0) {  // all pixels lie at equal distances, so they may count as one row
    task.width *= std::exchange(task.height, 1);
    task.window_height = 1;
    task.window_width = task.width;
    return;
  }
  task.window_height = task.window_width = pool.kernel;
  task.stride = pool.stride;
  task.padding = pool.padding;
}

kernels::ExitHead task_of(const ValueLayout& src, const PoolOp& pool, std::int64_t out) {
  const auto blocks = image_blocks(src);
  BRANCHY_DCHECK(blocks.has_value());
  kernels::ExitHead task;
  task.lanes = blocks->lanes;
  task.src = blocks->strides;
  task.num = src.shape[0];
  task.channels = src.shape[1];
  task.height = src.shape[2];
  task.width = src.shape[3];
  task.out = out;
  set_windows(task, pool, pooled_shape(src.shape, pool));
  return task;
}

}  // namespace

InferencePrimitive make_inference_exit_head(const ValueLayout& src, const PoolOp& pool,
                                            PackedTensor& weights, const Tensor& bias) {
  const Shape& w = weights.plain().shape();
  const Shape pooled = pooled_shape(src.shape, pool);
  if (pooled.size() != pooled[0] * w[1])
    throw ShapeError(
        fmt::format("[plan exit head] src {} is pooled to {} features, weights {} "
                    "expect {}",
                    src.shape.to_string(), pooled.size() / pooled[0], w.to_string(), w[1]));
  return make_primitive("plan exit head", src.shape, [&](InferencePrimitive::Impl& impl) {
    const ValueLayout from = in_image_blocks(src);
    kernels::ExitHead task = task_of(from, pool, w[0]);
    const OwnForm form = task.lanes == 16 ? OwnForm::kExitHead16 : OwnForm::kExitHead8;
    task.weights = own_form(impl, weights, form, [&] {
      return kernels::exit_head_weights(weights.plain().data().data(), task);
    });
    if (bias.defined()) {
      impl.owners.push_back(std::make_shared<const Tensor>(bias));
      task.bias = bias.data().data();
    }
    const std::int64_t threads = calling_thread_width();
    impl.implementation = "own:exit_head";
    impl.srcs = {from};
    impl.dst = {{src.shape[0], w[0]}, nullptr};
    impl.kernel_scratchpad_bytes = task.scratch() * static_cast<std::int64_t>(sizeof(float));
    impl.kernel = [task, threads](const float* x, float* logits, float* scratch) {
      kernels::exit_head(task, threads, x, logits, scratch);
    };
  });
}

}  // namespace branchy::dnn
