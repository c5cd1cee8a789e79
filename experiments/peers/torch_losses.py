"""The first losses of ResNet44 with two exits in PyTorch, from the same weights and data order as
branchy, to compare with the step lines of a run's metrics.jsonl.

Usage: torch_losses.py WEIGHTS.safetensors CIFAR10_DIR [STEPS] [METRICS.jsonl]

WEIGHTS is a model file or checkpoint of branchy. Batch 128 in file order without augmentation,
SGD 0.01, momentum 0.9, weight decay 5e-4, loss weights 0.2 0.3 0.5. With METRICS the largest
relative difference is printed and the exit status is 1 when it is above 1e-3.
"""
import json
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from safetensors_file import read_safetensors

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


class Block(nn.Module):
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
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class Exit(nn.Module):
    def __init__(self, width, blocks, features):
        super().__init__()
        for i in range(blocks):
            self.add_module(f"block{i}", Block(width, width))
        self.blocks = blocks
        self.fc = nn.Linear(features, 10)

    def forward(self, x):
        for i in range(self.blocks):
            x = getattr(self, f"block{i}")(x)
        return self.fc(F.max_pool2d(x, 2).flatten(1))


class ResNet44(nn.Module):
    """Layer for layer as layers/models/resnet44.cpp, with the same names."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        widths = [16, 16, 32, 64]
        for s in (1, 2, 3):
            first = Block(widths[s - 1], widths[s], 1 if s == 1 else 2)
            rest = [Block(widths[s], widths[s]) for _ in range(6)]
            self.add_module(f"layer{s}", nn.Sequential(first, *rest))
        self.fc = nn.Linear(64, 10)
        self.exits = nn.ModuleDict({"1": Exit(16, 2, 4096), "2": Exit(32, 1, 2048)})

    def forward(self, x):
        x = self.layer1[0](F.relu(self.bn1(self.conv1(x))))
        first = self.exits["1"](x)
        x = self.layer2[0](self.layer1[1:](x))
        second = self.exits["2"](x)
        x = self.layer3(self.layer2[1:](x))
        return first, second, self.fc(x.mean((2, 3)))


def main():
    weights, directory = sys.argv[1], sys.argv[2]
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    model = ResNet44()
    missing, unexpected = model.load_state_dict(read_safetensors(weights), strict=False)
    assert not unexpected and all(m.endswith("num_batches_tracked") for m in missing), (missing, unexpected)
    raw = np.fromfile(f"{directory}/data_batch_1.bin", np.uint8).reshape(-1, 3073)
    images = torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255)
    images = (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    labels = torch.from_numpy(raw[:, 0].astype(np.int64))
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)
    losses = []
    for i in range(steps):
        rows = slice(128 * i, 128 * (i + 1))
        optimizer.zero_grad()
        exits = [F.cross_entropy(o, labels[rows]) for o in model(images[rows])]
        loss = sum(w * e for w, e in zip((0.2, 0.3, 0.5), exits))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    ours = None
    if len(sys.argv) > 4:
        lines = [json.loads(line) for line in open(sys.argv[4])]
        ours = {m["step"]: m["loss"] for m in lines if m["type"] == "step"}
    worst = 0.0
    for i, loss in enumerate(losses, 1):
        if ours is None:
            print(f"step {i}: {loss:.7f}")
            continue
        difference = abs(ours[i] - loss) / abs(loss)
        worst = max(worst, difference)
        print(f"step {i}: PyTorch {loss:.7f} branchy {ours[i]:.7f} relative difference {difference:.2e}")
    if ours is not None:
        print(f"largest relative difference {worst:.2e}")
        sys.exit(worst > 1e-3)


main()
