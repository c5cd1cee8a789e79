#!/usr/bin/python3
"""Times a training step of a multi-exit network in PyTorch on random data; README.md has the form of
what it prints.

torch_step.py NETWORK --batch N --threads N [--layout nchw|channels_last] [--steps N | --on-request]
"""
import argparse
import json
import resource
import sys
import time

import torch
import torch.nn.functional as F

import torch_networks

WARM_UP = 4  # steps until the memory of PyTorch is as it stays
LOSS_WEIGHTS = {3: (0.2, 0.3, 0.5)}  # of two early exits; else 1 each


class TrainingStep:
    def __init__(self, name, batch, layout):
        size = torch_networks.input_size(name)
        network = torch_networks.make_network(name)
        self.counts = torch_networks.counts(network, size)
        images = torch.randn(batch, 3, size, size)
        if layout == "channels_last":
            network = network.to(memory_format=torch.channels_last)
            images = images.contiguous(memory_format=torch.channels_last)
        self.network, self.images = network.train(), images
        self.labels = torch.randint(0, torch_networks.num_classes(name), (batch,))
        self.optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=5e-4)

    def run(self):
        """Forward, losses, backward and update; gives its milliseconds."""
        start = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        # Kept until the next step, as in a training loop: when all is freed at the end of a step, the
        # C library gives the memory back and every step begins with page faults, half as fast.
        self.logits = self.network(self.images)
        weights = LOSS_WEIGHTS.get(len(self.logits), (1.0,) * len(self.logits))
        self.loss = sum(w * F.cross_entropy(x, self.labels) for w, x in zip(weights, self.logits))
        self.loss.backward()
        self.optimizer.step()
        return 1e3 * (time.perf_counter() - start)


def answer(step, count):
    step.run()
    times = [step.run() for _ in range(count)]
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"ms": times, "peak_mib": peak_mib}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=torch_networks.NETWORKS)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layout", choices=("nchw", "channels_last"), default="nchw")
    parser.add_argument("--steps", type=int, default=12, help="measured steps, after one that is not")
    parser.add_argument("--on-request", action="store_true", help="steps by each line N of standard input")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    step = TrainingStep(args.network, args.batch, args.layout)
    for _ in range(WARM_UP):
        step.run()
    print(json.dumps({"program": f"PyTorch {torch.__version__}", "network": args.network, "layout": args.layout,
                      "batch": args.batch, "threads": torch.get_num_threads(), **step.counts}), flush=True)
    for line in sys.stdin if args.on_request else [args.steps]:
        answer(step, int(line))


main()
