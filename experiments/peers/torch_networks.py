"""The networks of the comparisons in PyTorch: the layers, widths and exits of layers/models.

Each call gives the logits of every exit, in order of depth. `counts` says what a network has, so
that programs can be seen to run the same one.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision


class MultiExit(nn.Module):
    """Pieces of trunk; exit i reads what piece i gives, the last of them is the final classifier."""

    def __init__(self, trunk, exits):
        super().__init__()
        self.trunk = nn.ModuleList(trunk)
        self.exits = nn.ModuleList(exits)

    def forward(self, x):
        logits = []
        for piece, leave in zip(self.trunk, self.exits):
            x = piece(x)
            logits.append(leave(x))
        return tuple(logits)


class Block(nn.Module):
    """Residual block with a projection where the shape changes (He et al., option B)."""

    def __init__(self, inner, out, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inner, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Sequential()
        if inner != out or stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inner, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x), inplace=True)


class ResNetExit(nn.Module):
    def __init__(self, width, blocks, features, classes):
        super().__init__()
        for i in range(blocks):
            self.add_module(f"block{i}", Block(width, width))
        self.blocks = blocks
        self.fc = nn.Linear(features, classes)

    def forward(self, x):
        for i in range(self.blocks):
            x = getattr(self, f"block{i}")(x)
        return self.fc(F.max_pool2d(x, 2).flatten(1))


class ResNet44(nn.Module):
    """With the names of layers/models/resnet44.cpp."""

    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        widths = [16, 16, 32, 64]
        for s in (1, 2, 3):
            first = Block(widths[s - 1], widths[s], 1 if s == 1 else 2)
            rest = [Block(widths[s], widths[s]) for _ in range(6)]
            self.add_module(f"layer{s}", nn.Sequential(first, *rest))
        self.fc = nn.Linear(64, classes)
        self.exits = nn.ModuleDict({"1": ResNetExit(16, 2, 4096, classes), "2": ResNetExit(32, 1, 2048, classes)})

    def forward(self, x):
        x = self.layer1[0](F.relu(self.bn1(self.conv1(x)), inplace=True))
        first = self.exits["1"](x)
        x = self.layer2[0](self.layer1[1:](x))
        second = self.exits["2"](x)
        x = self.layer3(self.layer2[1:](x))
        return first, second, self.fc(x.mean((2, 3)))


def conv_bn_relu(inner, out, stride=1):
    return [nn.Conv2d(inner, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True)]


def vgg16_bn(classes=10):
    pool = nn.MaxPool2d(2)
    trunk = [
        conv_bn_relu(3, 64),
        [*conv_bn_relu(64, 64), pool, *conv_bn_relu(64, 128)],
        [*conv_bn_relu(128, 128), pool],
    ]
    width = 128
    for out in (256, 512, 512):
        for _ in range(3):
            trunk[2] += conv_bn_relu(width, out)
            width = out
        trunk[2].append(pool)
    exits = [
        [*conv_bn_relu(64, 64, 2), *conv_bn_relu(64, 32), *conv_bn_relu(32, 32), nn.Flatten(), nn.Linear(8192, classes)],
        [*conv_bn_relu(128, 128, 2), *conv_bn_relu(128, 64), nn.Flatten(), nn.Linear(4096, classes)],
        [nn.Flatten(), nn.Linear(512, 4096), nn.ReLU(inplace=True), nn.Dropout(),
         nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(4096, classes)],
    ]
    return MultiExit([nn.Sequential(*p) for p in trunk], [nn.Sequential(*e) for e in exits])


def conv_relu(inner, out, stride=1):
    return [nn.Conv2d(inner, out, 3, stride, 1), nn.ReLU(inplace=True)]


def alexnet(classes=10):
    pool = nn.MaxPool2d(2)
    trunk = [
        [*conv_relu(3, 64, 2), pool],
        [*conv_relu(64, 192), pool],
        [*conv_relu(192, 384), *conv_relu(384, 256), *conv_relu(256, 256), pool],
    ]
    exits = [
        [*conv_relu(64, 64), *conv_relu(64, 64), pool, nn.Flatten(), nn.Linear(1024, classes)],
        [*conv_relu(192, 64), pool, nn.Flatten(), nn.Linear(256, classes)],
        [nn.Flatten(), nn.Dropout(), nn.Linear(1024, 4096), nn.ReLU(inplace=True),
         nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Linear(4096, classes)],
    ]
    return MultiExit([nn.Sequential(*p) for p in trunk], [nn.Sequential(*e) for e in exits])


class NormPoolExit(nn.Module):
    """The exit `bnpool`: batch norm, global average, linear (Pacheco et al.)."""

    def __init__(self, channels, classes):
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x):
        return self.fc(self.bn(x).mean((2, 3)))


def mobilenet_v2(classes=257):
    """torchvision's, with branches behind its modules 2, 5, 10, 13 and 16."""
    whole = torchvision.models.mobilenet_v2(num_classes=classes)
    features = list(whole.features)
    ends = [3, 6, 11, 14, 17, len(features)]
    trunk = [nn.Sequential(*features[begin:end]) for begin, end in zip([0, *ends], ends)]
    exits = [NormPoolExit(channels, classes) for channels in (24, 32, 64, 96, 160)]
    exits.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), whole.classifier))
    return MultiExit(trunk, exits)


MAKERS = {"resnet44": ResNet44, "vgg16_bn": vgg16_bn, "alexnet": alexnet, "mobilenet_v2": mobilenet_v2}
NETWORKS = sorted(MAKERS)


def make_network(name):
    torch.manual_seed(1)
    return MAKERS[name]()


def input_size(name):
    return 224 if name == "mobilenet_v2" else 32


def num_classes(name):
    return 257 if name == "mobilenet_v2" else 10


def counts(network, size):
    """Parameters, and multiply-adds of convolutions and linear layers for one image."""
    macs = 0

    def count(layer, _, dst):
        nonlocal macs
        macs += dst.numel() * layer.weight[0].numel()

    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    training = network.training
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, size, size))
    network.train(training)
    for hook in hooks:
        hook.remove()
    return {"parameters": sum(p.numel() for p in network.parameters()), "macs": macs}
