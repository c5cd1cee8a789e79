#!/usr/bin/python3
"""Writes a multi-exit network with random weights to ONNX, for any batch size, all exits as outputs.

torch_export_onnx.py NETWORK FILE.onnx     writes FILE.json too: input size and what the network has
"""
import json
import pathlib
import sys

import torch

import torch_networks


def main():
    name, path = sys.argv[1], pathlib.Path(sys.argv[2])
    size = torch_networks.input_size(name)
    network = torch_networks.make_network(name).eval()
    outputs = [f"logits{i + 1}" for i in range(len(network(torch.zeros(1, 3, size, size))))]
    torch.onnx.export(network, torch.zeros(1, 3, size, size), path, opset_version=13, input_names=["images"],
                      output_names=outputs, dynamic_axes={n: {0: "batch"} for n in ["images", *outputs]})
    facts = {"network": name, "input": [3, size, size], **torch_networks.counts(network, size)}
    path.with_suffix(".json").write_text(json.dumps(facts) + "\n")


main()
