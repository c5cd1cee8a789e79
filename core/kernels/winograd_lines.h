// The one-dimensional transforms of Winograd's F(4, 3) and F(3, 4), a vector of channels at a time.
// For files compiled once per instruction set alone.
#pragma once

#include "core/kernels/vector_lanes.h"

namespace branchy::kernels {

namespace {  // every including file is compiled for other CPUs and must keep its own copies

/// Lavin, Gray 2016, with the points 0, +-p, +-q and infinity, p q = 1.
template <int kLanes>
struct WinogradLines {
  using Lanes = typename VectorOf<kLanes>::Type;

  static constexpr float kP = 0.70710678F;
  static constexpr float kQ = 1.41421356F;

  /// B^T: the polynomials that vanish at all points but one.
  struct Source {
    static constexpr int kFrom = 6, kTo = 6;
    static void line(const Lanes* d, Lanes* to) {
      const Lanes even_p = d[4] - 2.0F * d[2];
      const Lanes odd_p = kP * d[3] - kQ * d[1];
      const Lanes even_q = d[4] - 0.5F * d[2];
      const Lanes odd_q = kQ * d[3] - kP * d[1];
      to[0] = (d[0] + d[4]) - 2.5F * d[2];
      to[1] = even_p + odd_p;
      to[2] = even_p - odd_p;
      to[3] = even_q + odd_q;
      to[4] = even_q - odd_q;
      to[5] = (d[1] + d[5]) - 2.5F * d[3];
    }
  };
  /// G: `kCount` values at the points, each divided by the differences to all others.
  template <int kCount>
  struct Values {
    static constexpr int kFrom = kCount, kTo = 6;
    static void line(const Lanes* g, Lanes* to) {
      constexpr float kByP = -1.0F / 1.5F;
      constexpr float kByQ = 1.0F / 6.0F;
      Lanes at_p = g[1];
      Lanes at_q = g[1];
      if constexpr (kCount == 4) {
        at_p += 0.5F * g[3];
        at_q += 2.0F * g[3];
      }
      const Lanes even_p = kByP * (g[0] + 0.5F * g[2]);
      const Lanes odd_p = (kByP * kP) * at_p;
      const Lanes even_q = kByQ * (g[0] + 2.0F * g[2]);
      const Lanes odd_q = (kByQ * kQ) * at_q;
      to[0] = g[0];
      to[1] = even_p + odd_p;
      to[2] = even_p - odd_p;
      to[3] = even_q + odd_q;
      to[4] = even_q - odd_q;
      to[5] = g[kCount - 1];
    }
  };
  using Weights = Values<3>;  ///< of F(4, 3): three taps
  using Diff = Values<4>;     ///< of F(3, 4): four values

  /// A^T: `kCount` results of the six products.
  template <int kCount>
  struct Results {
    static constexpr int kFrom = 6, kTo = kCount;
    static void line(const Lanes* m, Lanes* to) {
      const Lanes even_p = m[1] + m[2];
      const Lanes odd_p = m[1] - m[2];
      const Lanes even_q = m[3] + m[4];
      const Lanes odd_q = m[3] - m[4];
      to[0] = m[0] + even_p + even_q;
      to[1] = kP * odd_p + kQ * odd_q;
      const Lanes square = 0.5F * even_p + 2.0F * even_q;
      if constexpr (kCount == 4) {
        to[2] = square;
        to[3] = (0.5F * kP) * odd_p + (2.0F * kQ) * odd_q + m[5];
      } else {
        to[2] = square + m[5];
      }
    }
  };
  using Result = Results<4>;    ///< of F(4, 3)
  using Gradient = Results<3>;  ///< of F(3, 4): three taps
};

}  // namespace

}  // namespace branchy::kernels
