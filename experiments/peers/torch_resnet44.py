"""The first losses of ResNet44 with two exits in PyTorch, from the weights of a branchy run.

torch_resnet44.py WEIGHTS.safetensors CIFAR10_DIR [STEPS] [METRICS.jsonl]
    The first losses from a branchy model file or checkpoint: batch 128 in file order without
    augmentation, SGD 0.01, momentum 0.9, weight decay 5e-4, loss weights 0.2 0.3 0.5. With
    METRICS, the step lines of a branchy run, the largest relative difference is printed and the
    exit status is 1 when it is above 1e-3.
"""
import json
import sys

import numpy as np
import torch
import torch.nn.functional as F

from safetensors_file import read_safetensors
from torch_networks import ResNet44

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def sgd(model):
    return torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)


def train_step(model, optimizer, images, labels):
    optimizer.zero_grad()
    loss = sum(w * F.cross_entropy(o, labels) for w, o in zip((0.2, 0.3, 0.5), model(images)))
    loss.backward()
    optimizer.step()
    return loss.item()


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


losses(*sys.argv[1:])
