// Vectors of as many floats as a channel block has lanes, and the instruction set that they are
// compiled for. For files compiled once per instruction set alone.
#pragma once

// Vectors are passed between functions of one file alone, so how does not matter.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace branchy::kernels {

namespace {  // every including file is compiled for other CPUs and must keep its own copies

/// What a file is compiled for. Macros do not tell: GCC reads them before it comes to the pragma
/// that sets the target.
enum class InstructionSet { kPortable, kAvx2, kAvx512 };

// One by one: GCC drops a vector_size that depends on a template parameter without a word.
template <int kLanes>
struct VectorOf;
template <>
struct VectorOf<8> {
  using Type = float __attribute__((vector_size(8 * sizeof(float))));
};
template <>
struct VectorOf<16> {
  using Type = float __attribute__((vector_size(16 * sizeof(float))));
};

}  // namespace

}  // namespace branchy::kernels
