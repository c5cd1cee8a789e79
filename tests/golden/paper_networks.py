"""PyTorch models of every network, written from the tables of the papers and of torchvision.

They share no code with the C++ networks; only the names of parameters are agreed on. Dropout is
left out: goldens are made without.
"""
from collections import OrderedDict

import torch
from torch import nn

CLASSES = 10


class MultiExit(nn.Module):
    """`blocks` are pairs (prefix of the parameters, module), `exits` {blocks before it: module},
    `final` is a pair that follows the last block. Gives the outputs of all exits in order."""

    def __init__(self, blocks, exits, final):
        super().__init__()
        self.blocks = nn.ModuleList(module for _, module in blocks)
        self.exits = nn.ModuleDict({str(depth): module for depth, module in exits.items()})
        self.final = final[1]
        self.parts = list(blocks) + [final]
        self.parts += [("exits.%d." % k, module) for k, module in enumerate(exits.values(), 1)]

    def forward(self, x):
        outputs = []
        for depth, block in enumerate(self.blocks, 1):
            x = block(x)
            if str(depth) in self.exits:
                outputs.append(self.exits[str(depth)](x))
        return outputs + [self.final(x)]

    def parameter_dict(self):
        return {prefix + name: parameter for prefix, module in self.parts
                for name, parameter in module.named_parameters()}

    def statistics_dict(self):
        return {prefix + name: buffer for prefix, module in self.parts
                for name, buffer in module.named_buffers() if "running" in name}


def named(**modules):
    return nn.Sequential(OrderedDict(modules))


def listed(prefix, modules):
    """Blocks of one module each, numbered as in a Sequential."""
    return [("%s%d." % (prefix, i), module) for i, module in enumerate(modules)]


def conv3(inputs, outputs, stride=1, bias=False):
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=bias)


# Exits that any network can have.

def light_exit(channels):
    return named(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(),
                 fc=nn.Linear(channels, CLASSES))


def bnpool_exit(channels):
    return named(bn=nn.BatchNorm2d(channels), pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(),
                 fc=nn.Linear(channels, CLASSES))


def flatten_exit(features):
    return named(flatten=nn.Flatten(), fc=nn.Linear(features, CLASSES))


# Dong, Mao, Zhang 2022.

def alexnet(light=False):
    def conv(inputs, outputs, stride=1):
        return conv3(inputs, outputs, stride, bias=True)

    features = [conv(3, 64, 2), nn.ReLU(), nn.MaxPool2d(2), conv(64, 192), nn.ReLU(),
                nn.MaxPool2d(2), conv(192, 384), nn.ReLU(), conv(384, 256), nn.ReLU(),
                conv(256, 256), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    if light:
        exits = {3: light_exit(64), 6: light_exit(192)}
    else:
        exits = {3: named(conv1=conv(64, 64), relu1=nn.ReLU(), conv2=conv(64, 64), relu2=nn.ReLU(),
                          pool=nn.MaxPool2d(2), flatten=nn.Flatten(), fc=nn.Linear(1024, CLASSES)),
                 6: named(conv1=conv(192, 64), relu1=nn.ReLU(), pool=nn.MaxPool2d(2),
                          flatten=nn.Flatten(), fc=nn.Linear(256, CLASSES))}
    classifier = nn.Sequential(nn.Identity(), nn.Linear(1024, 4096), nn.ReLU(), nn.Identity(),
                               nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, CLASSES))
    return MultiExit(listed("features.", features), exits, ("classifier.", classifier))


def vgg16_bn(light=False):
    features, inputs = [], 3
    for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0):
        if width == 0:
            features.append(nn.MaxPool2d(2))
            continue
        features += [conv3(inputs, width), nn.BatchNorm2d(width), nn.ReLU()]
        inputs = width

    def exit_of(inputs, widths, features):
        steps = OrderedDict()
        for i, width in enumerate(widths, 1):
            steps["conv%d" % i] = conv3(inputs, width, 2 if i == 1 else 1)
            steps["bn%d" % i] = nn.BatchNorm2d(width)
            steps["relu%d" % i] = nn.ReLU()
            inputs = width
        steps.update(flatten=nn.Flatten(), fc=nn.Linear(features, CLASSES))
        return nn.Sequential(steps)

    if light:
        exits = {3: light_exit(64), 10: light_exit(128)}
    else:
        exits = {3: exit_of(64, (64, 32, 32), 8192), 10: exit_of(128, (128, 64), 4096)}
    classifier = nn.Sequential(nn.Linear(512, 4096), nn.ReLU(), nn.Identity(),
                               nn.Linear(4096, 4096), nn.ReLU(), nn.Identity(),
                               nn.Linear(4096, CLASSES))
    return MultiExit(listed("features.", features + [nn.Flatten()]), exits,
                     ("classifier.", classifier))


class ResidualBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = conv3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False),
                                          nn.BatchNorm2d(outputs))

    def forward(self, x):
        inner = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


def resnet44(early_exits=2, light=False):
    blocks = [("", named(conv1=conv3(3, 16), bn1=nn.BatchNorm2d(16), relu=nn.ReLU()))]
    inputs = 16
    for stage, width in enumerate((16, 32, 64), 1):
        for i in range(7):
            stride = 2 if stage > 1 and i == 0 else 1
            blocks.append(("layer%d.%d." % (stage, i), ResidualBlock(inputs, width, stride)))
            inputs = width

    def exit_of(count, width, features):
        steps = OrderedDict(("block%d" % i, ResidualBlock(width, width)) for i in range(count))
        steps.update(pool=nn.MaxPool2d(2), flatten=nn.Flatten(), fc=nn.Linear(features, CLASSES))
        return nn.Sequential(steps)

    # The stem is a block too: an exit after residual block k has k + 1 blocks before it.
    if light:
        exits = {2: light_exit(16), 9: light_exit(32)}
    else:
        exits = {2: exit_of(2, 16, 4096)}
        if early_exits == 3:
            exits[5] = exit_of(1, 16, 4096)
        exits[9] = exit_of(1, 32, 2048)
    return MultiExit(blocks, exits, ("", light_exit(64)))


class SqueezeExcite(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.fc1 = nn.Linear(channels, channels // 16)
        self.fc2 = nn.Linear(channels // 16, channels)

    def forward(self, x):
        weights = torch.sigmoid(self.fc2(torch.relu(self.fc1(x.mean(dim=(2, 3))))))
        return x * weights[:, :, None, None]


class PredictorStage(nn.Module):
    def __init__(self, inputs, outputs, ours):
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, 3, 2, 1, groups=inputs, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        if ours:
            self.excite = SqueezeExcite(2 * inputs)
        self.pointwise = nn.Conv2d(2 * inputs if ours else inputs, outputs, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x):
        inner = torch.relu(self.bn1(self.depthwise(x)))
        if hasattr(self, "excite"):
            pooled = nn.functional.max_pool2d(x, 2)
            inner = self.excite(torch.cat([pooled, inner], dim=1))
        return torch.relu(self.bn2(self.pointwise(inner)))


def exit_predictor(kind="ours", outputs=2):
    if kind == "fc":
        return MultiExit([("", named(flatten=nn.Flatten(), fc1=nn.Linear(3072, 128),
                                     relu=nn.ReLU()))],
                         {}, ("", named(fc2=nn.Linear(128, outputs))))
    if kind == "lenet":
        return MultiExit([("", named(conv1=nn.Conv2d(3, 6, 5), relu=nn.ReLU(),
                                     pool=nn.MaxPool2d(2))),
                          ("", named(conv2=nn.Conv2d(6, 16, 5), relu=nn.ReLU(),
                                     pool=nn.MaxPool2d(2)))],
                         {}, ("", named(flatten=nn.Flatten(), fc1=nn.Linear(400, 120),
                                        relu1=nn.ReLU(), fc2=nn.Linear(120, 84), relu2=nn.ReLU(),
                                        fc3=nn.Linear(84, outputs))))
    blocks = [("stem.", named(conv=conv3(3, 16, 2), bn=nn.BatchNorm2d(16), relu=nn.ReLU()))]
    for i, width in enumerate((16, 32, 64), 1):
        blocks.append(("stage%d." % i, PredictorStage(width, 2 * width, kind == "ours")))
    head = named(flatten=nn.Flatten(), fc1=nn.Linear(512, 64), relu=nn.ReLU(),
                 fc2=nn.Linear(64, outputs))
    return MultiExit(blocks, {}, ("", head))


def feature_codec(kernel=2):
    encoder = named(conv=nn.Conv2d(128, 32, kernel, 2, 1 if kernel == 3 else 0, bias=False),
                    bn=nn.BatchNorm2d(32), relu=nn.ReLU())
    decoder = named(conv=nn.ConvTranspose2d(32, 128, 2, 2, bias=False), bn=nn.BatchNorm2d(128),
                    relu=nn.ReLU())
    return MultiExit([("encoder.", encoder)], {}, ("decoder.", decoder))


# Sandler et al. 2018 with the branches of Pacheco et al. 2021.

class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        hidden = inputs * expansion
        steps = []
        if expansion != 1:
            steps.append(nn.Sequential(nn.Conv2d(inputs, hidden, 1, bias=False),
                                       nn.BatchNorm2d(hidden), nn.ReLU6()))
        steps += [nn.Sequential(nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
                                nn.BatchNorm2d(hidden), nn.ReLU6()),
                  nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*steps)
        self.adds_input = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.conv(x) if self.adds_input else self.conv(x)


def mobilenet_v2(side, exit_after, exit_kind="bnpool", width=1.0, small_images=False):
    """`exit_after`: numbers of feature modules, the stem is 0."""
    def scaled(channels):
        rounded = max(8, int(channels * width + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * channels * width else rounded

    inputs = scaled(32)
    features = [nn.Sequential(conv3(3, inputs, 1 if small_images else 2), nn.BatchNorm2d(inputs),
                              nn.ReLU6())]
    for expansion, channels, repeats, stride in (
            (1, 16, 1, 1), (6, 24, 2, 1 if small_images else 2), (6, 32, 3, 2), (6, 64, 4, 2),
            (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        outputs = scaled(channels)
        for i in range(repeats):
            features.append(InvertedResidual(inputs, outputs, stride if i == 0 else 1, expansion))
            inputs = outputs
    last = scaled(1280) if width > 1 else 1280
    features.append(nn.Sequential(nn.Conv2d(inputs, last, 1, bias=False), nn.BatchNorm2d(last),
                                  nn.ReLU6()))

    exits, feature = {}, torch.zeros(2, 3, side, side)
    for index, module in enumerate(features):
        with torch.no_grad():
            feature = module.eval()(feature)
        if index in exit_after:
            exits[index + 1] = (flatten_exit(feature[0].numel()) if exit_kind == "flatten" else
                                {"bnpool": bnpool_exit, "light": light_exit}[exit_kind](
                                    feature.shape[1]))
    classifier = nn.Sequential(nn.Identity(), nn.Linear(last, CLASSES))
    head = named(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), classifier=classifier)
    return MultiExit(listed("features.", features), exits, ("", head))


# Lee, Hong, Hong, Kim 2020.

def cnn9(exit_after=range(1, 9), widths=(16, 32, 64), pool=nn.AvgPool2d, pool_in="next",
         residual=False, stem=0):
    blocks, exits, inputs = [], {}, 3
    for number in range(1, 10):
        outputs = widths[(number - 1) // 3]
        steps = OrderedDict()
        if number == 1 and stem:
            steps.update(stem=conv3(3, stem), stem_bn=nn.BatchNorm2d(stem), stem_relu=nn.ReLU())
            inputs = stem
        if pool_in == "next" and number in (4, 7):
            steps["pool"] = pool(2)
        if residual:
            steps["residual"] = ResidualBlock(inputs, outputs)
        else:
            steps.update(conv1=conv3(inputs, outputs), bn1=nn.BatchNorm2d(outputs),
                         relu1=nn.ReLU(), conv2=conv3(outputs, outputs),
                         bn2=nn.BatchNorm2d(outputs), relu2=nn.ReLU())
        if pool_in == "previous" and number in (3, 6):
            steps["pool"] = pool(2)
        blocks.append(("block%d." % number, nn.Sequential(steps)))
        if number in exit_after:
            exits[number] = light_exit(outputs)
        inputs = outputs
    return MultiExit(blocks, exits, ("", light_exit(widths[2])))
