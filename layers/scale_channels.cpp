#include "layers/scale_channels.h"

#include "core/kernels/channels.h"

namespace branchy {

// y = x s: dx = dy s, ds = sum over the pixels of dy x.
Variable scale_channels(const Variable& src, const Variable& scale) {
  const Tensor& x = src.value();
  const Tensor& s = scale.value();
  return record("scale_channels", kernels::scale_channels(x, s), {src, scale},
                [x, s](const Tensor& diff_dst, Wanted wanted) {
                  std::vector<Tensor> diffs(2);
                  if (wanted[0]) diffs[0] = kernels::scale_channels(diff_dst, s);
                  if (wanted[1]) diffs[1] = kernels::channel_dots(diff_dst, x, s.shape());
                  return diffs;
                });
}

}  // namespace branchy
