// InferencePrimitive: one operation of an inference plan, made once for fixed shapes and layouts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/dnn/tensor_access.h"
#include "core/plan_builder.h"
#include "core/shape.h"
#include "core/tensor.h"

namespace branchy::dnn {

/// A value's shape and how it lies in memory (null layout: row-major float32).
struct ValueLayout {
  Shape shape;
  LayoutPtr layout;
  float step = 0;  ///< of integers: what 1 stands for; 0 for float32
};
[[nodiscard]] bool same_layout(const ValueLayout& a, const ValueLayout& b);
/// Bytes of a buffer for such a value, the padding of blocked layouts included.
[[nodiscard]] std::int64_t num_bytes(const ValueLayout& value);
/// The layout that convolutions of this shape like: a function of the shape and the CPU alone, so
/// that two plans that meet at a value agree about it without knowing each other. Only [N,C,H,W]
/// gets a blocked one.
[[nodiscard]] ValueLayout preferred_layout(const Shape& shape);
/// Threads that a primitive made by the calling thread is made for.
[[nodiscard]] std::int64_t calling_thread_width();
/// While it lives, primitives made by the calling thread are made for `threads` threads.
class ThreadWidth {
 public:
  explicit ThreadWidth(std::int64_t threads);
  ~ThreadWidth();
  ThreadWidth(const ThreadWidth&) = delete;
  ThreadWidth& operator=(const ThreadWidth&) = delete;

 private:
  std::int64_t before_;
};

/// What follows an operation in the same pass over its result: first the sum with what the
/// destination holds already, then the activation.
struct PostOps {
  bool sum = false;
  bool activate = false;
  ActivationKind activation = ActivationKind::kRelu;
};

/// Row-major weights and the packed forms that primitives of several shapes asked for; each form
/// is made once and shared. Not synchronised.
class PackedTensor {
 public:
  explicit PackedTensor(Tensor plain);
  ~PackedTensor();
  PackedTensor(const PackedTensor&) = delete;
  PackedTensor& operator=(const PackedTensor&) = delete;

  struct Forms;
  [[nodiscard]] const Tensor& plain() const { return plain_; }
  [[nodiscard]] Forms& forms() { return *forms_; }

 private:
  Tensor plain_;
  std::unique_ptr<Forms> forms_;
};

/// Immutable and shared by copies; safe to use from several threads, each with its own calls.
/// Made by the factories in the inference_*.h headers, which throw ShapeError for sources that do
/// not fit and Error when oneDNN has no such primitive.
class InferencePrimitive {
 public:
  struct Impl;
  explicit InferencePrimitive(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

  /// The layouts in which the sources must come.
  [[nodiscard]] const std::vector<ValueLayout>& srcs() const;
  [[nodiscard]] const ValueLayout& dst() const;
  /// True when the destination must hold the other addend before the call (PostOps::sum).
  [[nodiscard]] bool accumulates() const;
  [[nodiscard]] std::int64_t scratchpad_bytes() const;
  /// oneDNN's name of the implementation, e.g. "jit:avx2"; tests look for "ref" in it.
  [[nodiscard]] std::string implementation() const;
  [[nodiscard]] const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

/// A primitive bound to addresses. One thread at a time.
class InferenceCall {
 public:
  explicit InferenceCall(const InferencePrimitive& primitive);
  ~InferenceCall();
  InferenceCall(InferenceCall&&) noexcept;
  InferenceCall& operator=(InferenceCall&&) noexcept;

  /// Pointers are 64-byte aligned save those of row-major values; the scratchpad has
  /// `scratchpad_bytes()` and may be null when that is 0.
  void bind(std::span<const float* const> srcs, float* dst, void* scratchpad);
  /// Computes and waits; allocates nothing.
  void run();

 private:
  struct Bound;
  InferencePrimitive primitive_;
  std::unique_ptr<Bound> bound_;
};

}  // namespace branchy::dnn
