// The inner loops of a depth-wise convolution behind a batch norm, over one image's block of
// channels. Compiled once per instruction set by norm_depthwise_*.cpp; nobody else includes it.
#pragma once

#include "core/kernels/batch_norm_lanes.h"
#include "core/kernels/norm_depthwise_kernels.h"

namespace branchy::kernels {

namespace {  // every including file is compiled for other CPUs and must keep its own copies

template <int kLanes, InstructionSet kSet>
struct NormDepthwiseLanes {
  using Base = BatchNormLanes<kLanes, kSet>;
  using Lanes = typename Base::Lanes;

  static const Lanes& at(const float* values, std::int64_t i) { return Base::at(values, i); }
  static Lanes& at(float* values, std::int64_t i) { return Base::at(values, i); }

  /// The line of one block. Loops copy it: what they write might be what a reference refers to, and
  /// it would be loaded again for every pixel.
  struct Norm {
    Norm(const BatchNormLine& line, Clip clip)
        : center(at(line.mean, 0)),
          a(at(line.scale, 0)),
          b(at(line.shift, 0)),
          low(clip.low - Lanes{}),
          high(clip.high - Lanes{}) {}
    [[nodiscard]] Lanes normalized(const Lanes& src) const {
      Lanes y = (src - center) * a + b;
      y = y < low ? low : y;  // in this order, so that a NaN stays one
      return y > high ? high : y;
    }
    Lanes center, a, b, low, high;
  };

  /// Three rows, each between two zeros; row r of the image is kept until row r + 3 comes.
  class PaddedRows {
   public:
    PaddedRows(float* memory, std::int64_t width) : memory_(memory), width_(width) {
      for (int slot = 0; slot < 3; ++slot) row_of(slot)[0] = row_of(slot)[width + 1] = Lanes{};
    }
    /// Of row -1 or above; element 0 is the zero in front of it.
    [[nodiscard]] Lanes* operator[](std::int64_t row) const { return row_of((row + 3) % 3); }
    void clear(std::int64_t row) const {
      for (std::int64_t x = 1; x <= width_; ++x) (*this)[row][x] = Lanes{};
    }

   private:
    [[nodiscard]] Lanes* row_of(std::int64_t slot) const {
      return &at(memory_, slot * (width_ + 2));
    }
    float* memory_;
    std::int64_t width_;
  };

  // ---- forward -------------------------------------------------------------------------------

  static void forward(const float* src, const DepthwisePlane& plane, const BatchNormLine& line,
                      Clip clip, const float* weights, float* scratch, float* dst) {
    const auto run = plane.stride == 1
                         ? (plane.streams ? forward_rows<1, true> : forward_rows<1, false>)
                         : (plane.streams ? forward_rows<2, true> : forward_rows<2, false>);
    run(src, plane, Norm(line, clip), weights, scratch, dst);
  }

  template <int kStride, bool kStream>
  static void forward_rows(const float* src, const DepthwisePlane& plane, const Norm& norm,
                           const float* weights, float* scratch, float* dst) {
    const PaddedRows rows(scratch, plane.width);
    rows.clear(-1);
    std::int64_t next = 0;
    for (std::int64_t oy = 0; oy < plane.out_height; ++oy) {
      for (const std::int64_t last = oy * kStride + 1; next <= last; ++next)
        load_normalized(src, plane, norm, next, rows);
      const Lanes* above[3];
      for (int u = 0; u < 3; ++u) above[u] = rows[oy * kStride + u - 1];
      convolve_row<kStride, kStream>(above, plane.out_width, weights,
                                     dst + oy * plane.out_width * kLanes);
    }
    if constexpr (kStream) Base::end_stream();
  }

  static void load_normalized(const float* src, const DepthwisePlane& plane, const Norm& line,
                              std::int64_t row, const PaddedRows& rows) {
    if (row >= plane.height) return rows.clear(row);
    const Norm norm = line;
    Lanes* to = rows[row] + 1;
    const float* from = src + row * plane.width * kLanes;
    for (std::int64_t x = 0; x < plane.width; ++x) to[x] = norm.normalized(at(from, x));
  }

  template <int kStride, bool kStream>
  static void convolve_row(const Lanes* const* above, std::int64_t width, const float* weights,
                           float* dst) {
    constexpr int kTogether = 4;  // independent sums, so that none waits for another
    std::int64_t x = 0;
    for (; x + kTogether <= width; x += kTogether)
      convolve<kStride, kStream, kTogether>(above, x, weights, dst);
    for (; x < width; ++x) convolve<kStride, kStream, 1>(above, x, weights, dst);
  }

  template <int kStride, bool kStream, int kTogether>
  static void convolve(const Lanes* const* above, std::int64_t x, const float* weights,
                       float* dst) {
    Lanes sums[kTogether] = {};
    for (int u = 0; u < 3; ++u)
      for (int v = 0; v < 3; ++v)
        for (int i = 0; i < kTogether; ++i)
          sums[i] += at(weights, 3 * u + v) * above[u][(x + i) * kStride + v];
    for (int i = 0; i < kTogether; ++i) Base::template put<kStream>(dst, x + i, sums[i]);
  }

  // ---- backward ------------------------------------------------------------------------------

  /// The rows of diff that row `y` of the source went into, with the row of weights that it met.
  struct Taps {
    int count = 0;
    const Lanes* diff[3];
    int kernel_row[3];
  };

  /// Loads the rows of diff as they are needed.
  class DiffRows {
   public:
    DiffRows(const float* diff, const DepthwisePlane& plane, float* scratch)
        : diff_(diff), plane_(plane), rows_(scratch, plane.out_width) {
      rows_.clear(-1);
    }
    template <int kStride>
    Taps taps(std::int64_t y) {
      Taps taps;
      for (int u = 0; u < 3; ++u) {
        if ((y + 1 - u) % kStride != 0) continue;
        const std::int64_t row = (y + 1 - u) / kStride;
        while (next_ <= row) load(next_++);
        taps.diff[taps.count] = rows_[row];
        taps.kernel_row[taps.count++] = u;
      }
      return taps;
    }

   private:
    void load(std::int64_t row) {
      if (row >= plane_.out_height) return rows_.clear(row);
      Lanes* to = rows_[row] + 1;
      const float* from = diff_ + row * plane_.out_width * kLanes;
      for (std::int64_t x = 0; x < plane_.out_width; ++x) to[x] = at(from, x);
    }
    const float* diff_;
    const DepthwisePlane& plane_;
    PaddedRows rows_;
    std::int64_t next_ = 0;
  };

  /// Calls visit(x, gradient of y there) for every pixel of a row. Column x went into column
  /// (x + 1 - v) / stride of diff by weight v, where that is whole; padding moves it on by one.
  template <int kStride, int kTaps, typename Visit>
  static void carry_back(const Taps& taps, const float* weights, std::int64_t width,
                         const Visit& visit) {
    Lanes kept[kTaps][3];  // in registers, where there are enough
    for (int t = 0; t < kTaps; ++t)
      for (int v = 0; v < 3; ++v) kept[t][v] = at(weights, 3 * taps.kernel_row[t] + v);
    if constexpr (kStride == 1) {
      for (std::int64_t x = 0; x < width; ++x) {
        Lanes sums[kTaps];
        for (int t = 0; t < kTaps; ++t) {
          const Lanes* diff = taps.diff[t] + x;
          sums[t] = kept[t][0] * diff[2] + kept[t][1] * diff[1] + kept[t][2] * diff[0];
        }
        visit(x, total<kTaps>(sums));
      }
    } else {
      for (std::int64_t x = 0; x < width; x += 2) {
        Lanes even[kTaps];
        Lanes odd[kTaps];
        for (int t = 0; t < kTaps; ++t) {
          const Lanes* diff = taps.diff[t] + x / 2 + 1;
          even[t] = kept[t][1] * diff[0];
          odd[t] = kept[t][0] * diff[1] + kept[t][2] * diff[0];
        }
        visit(x, total<kTaps>(even));
        if (x + 1 < width) visit(x + 1, total<kTaps>(odd));
      }
    }
  }

  template <int kTaps>
  static Lanes total(const Lanes* sums) {
    Lanes total = sums[0];
    for (int t = 1; t < kTaps; ++t) total += sums[t];
    return total;
  }

  /// Stride 2 has rows of one tap and rows of two.
  template <int kStride, typename Visit>
  static void carry_row_back(const Taps& taps, const float* weights, std::int64_t width,
                             const Visit& visit) {
    if constexpr (kStride == 1)
      carry_back<1, 3>(taps, weights, width, visit);
    else if (taps.count == 1)
      carry_back<2, 1>(taps, weights, width, visit);
    else
      carry_back<2, 2>(taps, weights, width, visit);
  }

  static void reduce(const float* src, const float* diff, const DepthwisePlane& plane,
                     const BatchNormLine& line, Clip clip, const float* weights, float* scratch,
                     float* sums) {
    const auto run = plane.stride == 1 ? reduce_rows<1> : reduce_rows<2>;
    run(src, diff, plane, Norm(line, clip), weights, scratch, sums);
  }

  template <int kStride>
  static void reduce_rows(const float* src, const float* diff, const DepthwisePlane& plane,
                          const Norm& line, const float* weights, float* scratch, float* sums) {
    const Norm norm = line;
    DiffRows diffs(diff, plane, scratch);
    float* y = scratch + 3 * (plane.width + 2) * kLanes;
    for (int i = 0; i < 11; ++i) at(sums, i) = Lanes{};
    for (std::int64_t row = 0; row < plane.height; ++row) {
      const Taps taps = diffs.template taps<kStride>(row);
      const float* x = src + row * plane.width * kLanes;
      Lanes sum = {};
      Lanes product = {};
      carry_row_back<kStride>(
          taps, weights, plane.width, [&](std::int64_t i, const Lanes& carried) {
            const Lanes centered = at(x, i) - norm.center;
            const Lanes g = Base::passed(centered, carried, norm.a, norm.b, norm.low, norm.high);
            sum += g;
            product += g * centered;
            at(y, i) = norm.normalized(at(x, i));
          });
      at(sums, 0) += sum;
      at(sums, 1) += product;
      for (int t = 0; t < taps.count; ++t)
        add_weight_row<kStride>(y, taps.diff[t], plane.width,
                                sums + (2 + 3 * taps.kernel_row[t]) * kLanes);
    }
  }

  /// The gradients of one row of weights from a row of y and one of diff.
  template <int kStride>
  static void add_weight_row(const float* y, const Lanes* diff, std::int64_t width,
                             float* diff_weights) {
    Lanes sums[3] = {};
    if constexpr (kStride == 1) {
      for (std::int64_t x = 0; x < width; ++x)
        for (int v = 0; v < 3; ++v) sums[v] += at(y, x) * diff[x + 2 - v];
    } else {
      std::int64_t x = 0;
      for (; x + 2 <= width; x += 2) {
        sums[0] += at(y, x + 1) * diff[x / 2 + 2];
        sums[1] += at(y, x) * diff[x / 2 + 1];
        sums[2] += at(y, x + 1) * diff[x / 2 + 1];
      }
      if (x < width) sums[1] += at(y, x) * diff[x / 2 + 1];
    }
    for (int v = 0; v < 3; ++v) at(diff_weights, v) += sums[v];
  }

  static void differentiate(const float* src, const float* diff, const DepthwisePlane& plane,
                            const BatchNormLine& line, Clip clip, const float* weights,
                            const float* by_src, const float* by_one, float* scratch,
                            float* diff_src) {
    const auto run = plane.stride == 1 ? differentiate_rows<1> : differentiate_rows<2>;
    run(src, diff, plane, Norm(line, clip), weights, at(by_src, 0), at(by_one, 0), scratch,
        diff_src);
  }

  template <int kStride>
  static void differentiate_rows(const float* src, const float* diff, const DepthwisePlane& plane,
                                 const Norm& line, const float* weights, const Lanes& src_factor,
                                 const Lanes& one_factor, float* scratch, float* diff_src) {
    const Norm norm = line;
    const Lanes by_src = src_factor;
    const Lanes by_one = one_factor;
    DiffRows diffs(diff, plane, scratch);
    for (std::int64_t row = 0; row < plane.height; ++row) {
      const Taps taps = diffs.template taps<kStride>(row);
      const std::int64_t begin = row * plane.width * kLanes;
      carry_row_back<kStride>(
          taps, weights, plane.width, [&](std::int64_t i, const Lanes& carried) {
            const Lanes centered = at(src + begin, i) - norm.center;
            const Lanes g = Base::passed(centered, carried, norm.a, norm.b, norm.low, norm.high);
            at(diff_src + begin, i) = g * norm.a + (centered * by_src + by_one);
          });
    }
  }

  static constexpr NormDepthwiseKernels kKernels{forward, reduce, differentiate};
};

}  // namespace

}  // namespace branchy::kernels
