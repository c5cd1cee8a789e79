#!/usr/bin/python3
"""The logits of torchvision's MobileNetV2 beside those of branchy, on photographs.

Usage: torch_mobilenet_v2.py WEIGHTS INPUTS LOGITS [FOLDER LIST]   (all but FOLDER: safetensors, LIST: text)

WEIGHTS has torchvision's names. INPUTS and LOGITS are what `branchy eval WEIGHTS --net mobilenet_v2
--normalize imagenet --data folder:FOLDER --test-list LIST --inputs INPUTS --logits LOGITS` wrote, so
both sides see the same pixels, decoded, resized and cropped by branchy. With FOLDER and LIST (paths
below FOLDER, one a line) torchvision also sees the photographs as Pillow decodes, resizes and crops
them. Printed are the largest differences relative to the largest logit; the exit status is 1 when
that of the same pixels is above 1e-3, or a top class differs.
"""
import pathlib
import sys

import torch
import torchvision
from PIL import Image
from torchvision import transforms

from safetensors_file import read_safetensors


def load_network(path):
    network = torchvision.models.mobilenet_v2()
    missing, unexpected = network.load_state_dict(read_safetensors(path), strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing), (missing, unexpected)
    return network.eval()


def decoded_by_pillow(folder, names):
    prepare = transforms.Compose([
        transforms.Resize(256),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ])
    return torch.stack([prepare(Image.open(folder / name).convert("RGB")) for name in names])


def compare(title, expected, actual):
    difference = ((expected - actual).abs().max() / expected.abs().max()).item()
    same = (expected.argmax(1) == actual.argmax(1)).sum().item()
    print(f"{title}: {len(actual)} photographs, largest logit {expected.abs().max():.3f}, largest difference "
          f"{difference:.2e} of it, top-1 equal in {same}")
    return difference, same == len(actual)


def main():
    network = load_network(sys.argv[1])
    inputs = read_safetensors(sys.argv[2])["inputs"]
    logits = read_safetensors(sys.argv[3])["logits.1"]
    with torch.no_grad():
        difference, good = compare("same pixels", network(inputs), logits)
        good = good and difference <= 1e-3
        if len(sys.argv) > 5:
            lines = pathlib.Path(sys.argv[5]).read_text().splitlines()
            # branchy keeps the byte-wise order of the folder.
            names = sorted(line.strip() for line in lines if line.strip() and not line.startswith("#"))
            pillow = decoded_by_pillow(pathlib.Path(sys.argv[4]), names)
            scale = torch.tensor((0.229, 0.224, 0.225)).view(3, 1, 1) * 255
            pixels = ((pillow - inputs) * scale).abs()
            print(f"pixels decoded by Pillow and by branchy: mean difference {pixels.mean():.3f}, "
                  f"largest {pixels.max():.0f} of 255")
            good = compare("own decoding", network(pillow), logits)[1] and good
    sys.exit(not good)


main()
