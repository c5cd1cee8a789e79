// PlanLane: a program of a plan with its primitives bound to memory of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/buffer_pool.h"
#include "infer/program.h"

namespace branchy::detail {

/// Runs segments of programs of one plan, one thread at a time. Boundaries are numbered as in
/// Program; a value is kept in its buffer until the block that reads it has run.
class PlanLane {
 public:
  /// Makes `program` the one that the other functions work on. Allocates only when it is new here
  /// or needs a larger arena.
  void use(std::shared_ptr<const Program> program);

  /// Puts a row-major source into a boundary.
  void enter(std::size_t boundary, const float* src);
  /// Takes a boundary's value out, row-major.
  void leave(std::size_t boundary, float* dst);
  /// A boundary's value as it lies, `boundary_bytes()` of them.
  void load(std::size_t boundary, const void* value);
  void save(std::size_t boundary, void* value) const;
  [[nodiscard]] std::int64_t boundary_bytes(std::size_t boundary) const;

  /// `before`, if given, sees every step and its first source.
  void run_segment(std::size_t segment,
                   const std::function<void(const ProgramStep&, const float*)>& before = {});
  /// Logits of an exit's segment, row-major.
  [[nodiscard]] const float* logits(std::size_t segment) const;

 private:
  struct Bound {
    std::shared_ptr<const Program> program;
    std::vector<dnn::InferenceCall> calls;
    const void* arena = nullptr;  ///< what `calls` are bound to
  };

  void bind();
  [[nodiscard]] float* address(std::size_t buffer) const;
  [[nodiscard]] float* address_of_boundary(std::size_t boundary) const;
  [[nodiscard]] void* scratchpad() const;
  void move(const std::optional<dnn::InferencePrimitive>& reorder, const float* from, float* to,
            std::int64_t num_floats) const;

  std::map<std::int64_t, Bound> bound_;  ///< by batch size
  Bound* current_ = nullptr;
  Buffer arena_;
  std::int64_t arena_bytes_ = 0;
};

}  // namespace branchy::detail
