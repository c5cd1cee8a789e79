#!/usr/bin/python3
"""Makes golden.safetensors: what PyTorch computes for a small network with two exits.

Run from any folder with Debian's python3-torch: tests/golden/make_golden.py [OUTPUT]
tests/layers/golden_test.cpp builds the same network and compares. Weights and images follow the
formulas of `wave` below, which both sides evaluate, so only results are stored:

  losses                    ten weighted losses of SGD (rate 0.1, momentum 0.9, decay 5e-4 on all)
  logits.train.K            logits of exit K in training mode, before the first step
  running.NAME              running statistics after that pass
  logits.eval.K             logits of exit K in evaluation mode, after that pass
  grad.NAME                 gradient of 0.4 loss 1 + 0.6 loss 2, label smoothing 0.1
  wanted.NAME               parameters after the ten steps
"""
import math
import pathlib
import sys

import torch
from torch import nn
from torch.nn import functional

import golden_file

CLASSES, BATCH, SIZE = 4, 6, 8


def wave(count, seed):
    """sin(0.37 (i + 1) + 1.7 seed) for i in 0 .. count-1."""
    return [math.sin(0.37 * (i + 1) + 1.7 * seed) for i in range(count)]


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        else:
            self.shortcut = nn.Sequential()

    def forward(self, x):
        inner = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(inner)) + self.shortcut(x))


class Exit(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8 * (SIZE // 2) ** 2, CLASSES)

    def forward(self, x):
        return self.fc(functional.max_pool2d(x, 2).flatten(1))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.ModuleList([Block(8, 8, 1), Block(8, 16, 2)])
        self.exits = nn.ModuleDict({"1": Exit()})
        self.fc = nn.Linear(16, CLASSES)

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer1[0](x)
        early = self.exits["1"](x)
        x = self.layer1[1](x)
        return early, self.fc(x.mean(dim=(2, 3)))


def fill(network):
    for seed, (name, parameter) in enumerate(network.named_parameters()):
        values = torch.tensor(wave(parameter.numel(), seed), dtype=torch.float64)
        if parameter.dim() > 1:
            values *= math.sqrt(2.0 / (parameter.numel() / parameter.shape[0]))
        else:
            values *= 0.2
            if "bn" in name or "shortcut.1" in name:
                values += 1.0 if name.endswith("weight") else 0.0
        with torch.no_grad():
            parameter.copy_(values.float().reshape(parameter.shape))


def loss_of(logits, labels):
    return sum(weight * functional.cross_entropy(exit_logits, labels, label_smoothing=0.1)
               for weight, exit_logits in zip((0.4, 0.6), logits))


def main():
    torch.set_num_threads(1)
    network = Network()
    fill(network)
    images = torch.tensor(wave(BATCH * 3 * SIZE * SIZE, 100), dtype=torch.float64)
    images = (1.5 * images).float().reshape(BATCH, 3, SIZE, SIZE)
    labels = torch.arange(BATCH) % CLASSES
    golden = {}

    network.train()
    logits = network(images)
    loss_of(logits, labels).backward()
    for exit_number, values in enumerate(logits, 1):
        golden["logits.train.%d" % exit_number] = values
    for name, parameter in network.named_parameters():
        golden["grad." + name] = parameter.grad.clone()
    for name, buffer in network.named_buffers():
        if "running" in name:
            golden["running." + name] = buffer.clone()
    network.eval()
    for exit_number, values in enumerate(network(images), 1):
        golden["logits.eval.%d" % exit_number] = values

    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = loss_of(network(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    golden["losses"] = torch.tensor(losses)
    for name, parameter in network.named_parameters():
        golden["wanted." + name] = parameter
    default = pathlib.Path(__file__).parent / "golden.safetensors"
    golden_file.write(sys.argv[1] if len(sys.argv) > 1 else default,
                      {name: tensor.detach().numpy() for name, tensor in golden.items()})


if __name__ == "__main__":
    main()
