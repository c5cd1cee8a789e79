// Convolution (without bias), batch norm, ReLU: the step that most networks here repeat.
#pragma once

#include <string>

#include "layers/conv2d.h"
#include "layers/sequential.h"

namespace branchy {

/// Names of the state of one step.
struct ConvBnNames {
  std::string conv, bn;
};
/// Appends the three to `layers`; the ReLU is fused into the batch norm.
void add_conv_bn_relu(Sequential& layers, const ConvBnNames& names, Conv2dParams conv, Rng& rng);

}  // namespace branchy
