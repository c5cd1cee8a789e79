"""ResNet44 with two exits in PyTorch, layer for layer as layers/models/resnet44.cpp.

torch_resnet44.py losses WEIGHTS.safetensors CIFAR10_DIR [STEPS] [METRICS.jsonl]
    The first losses from a branchy model file or checkpoint: batch 128 in file order without
    augmentation, SGD 0.01, momentum 0.9, weight decay 5e-4, loss weights 0.2 0.3 0.5. With
    METRICS, the step lines of a branchy run, the largest relative difference is printed and the
    exit status is 1 when it is above 1e-3.
torch_resnet44.py step [BATCH] [THREADS]
    Median milliseconds of a training step on random data.
"""
import json
import statistics
import sys
import time

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


def sgd(model):
    return torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)


def train_step(model, optimizer, images, labels):
    optimizer.zero_grad()
    loss = sum(w * F.cross_entropy(o, labels) for w, o in zip((0.2, 0.3, 0.5), model(images)))
    loss.backward()
    optimizer.step()
    return loss.item()


def step(batch=128, threads=2):
    torch.set_num_threads(int(threads))
    model = ResNet44()
    optimizer = sgd(model)
    images, labels = torch.randn(int(batch), 3, 32, 32), torch.randint(0, 10, (int(batch),))
    times = []
    for _ in range(14):
        start = time.perf_counter()
        train_step(model, optimizer, images, labels)
        times.append(time.perf_counter() - start)
    print(f"PyTorch {torch.__version__}: {1e3 * statistics.median(times[2:]):.2f} ms/step")


def losses(weights, directory, steps=20, metrics=None):
    model = ResNet44()
    missing, unexpected = model.load_state_dict(read_safetensors(weights), strict=False)
    assert not unexpected and all(m.endswith("num_batches_tracked") for m in missing), (missing, unexpected)
    raw = np.fromfile(f"{directory}/data_batch_1.bin", np.uint8).reshape(-1, 3073)
    images = torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255)
    images = (images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    labels = torch.from_numpy(raw[:, 0].astype(np.int64))
    optimizer = sgd(model)
    ours = None
    if metrics is not None:
        lines = [json.loads(line) for line in open(metrics)]
        ours = {m["step"]: m["loss"] for m in lines if m["type"] == "step"}
    worst = 0.0
    for i in range(1, int(steps) + 1):
        rows = slice(128 * (i - 1), 128 * i)
        loss = train_step(model, optimizer, images[rows], labels[rows])
        if ours is None:
            print(f"step {i}: {loss:.7f}")
            continue
        difference = abs(ours[i] - loss) / abs(loss)
        worst = max(worst, difference)
        print(f"step {i}: PyTorch {loss:.7f} branchy {ours[i]:.7f} relative difference {difference:.2e}")
    if ours is not None:
        print(f"largest relative difference {worst:.2e}")
        sys.exit(worst > 1e-3)


{"losses": losses, "step": step}[sys.argv[1]](*sys.argv[2:])
