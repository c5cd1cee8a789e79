#include "layers/models/conv_bn_relu.h"

#include "layers/batch_norm2d.h"

namespace branchy {

void add_conv_bn_relu(Sequential& layers, const ConvBnNames& names, Conv2dParams conv, Rng& rng) {
  layers.add(names.conv, std::make_unique<Conv2d>(conv, rng));
  layers.add(names.bn, std::make_unique<BatchNorm2d>(BatchNorm2dParams{
                           .channels = conv.out, .activation = ActivationKind::kRelu}));
}

}  // namespace branchy
