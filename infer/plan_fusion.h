// Fusion: batch norm into weights, activations and residual sums into the operation before them.
#pragma once

#include "infer/plan_graph.h"

namespace branchy::detail {

/// Rewrites one segment, and the shapes of values in it. A value is fused away only when its one
/// reader is the next operation:
/// 1. batch norm after a convolution or linear layer becomes part of weights and bias (computed in
///    double, rounded once); one before a global average pool first moves behind it (the mean of a
///    line is the line of the mean), and from there into the linear layer that reads the means;
/// 2. a sum becomes part of the later convolution that feeds it;
/// 3. an activation becomes part of a convolution, linear layer, sum or (ReLU) batch norm.
/// Then moves weights into packed form.
void fuse(PlanSegment& segment, std::vector<Shape>& shapes);

}  // namespace branchy::detail
