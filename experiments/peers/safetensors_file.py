"""Reads safetensors files without the library: float tensors as PyTorch's."""
import json
import struct

import numpy as np
import torch


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    header.pop("__metadata__", None)
    dtypes = {"F32": "<f4", "F16": "<f2"}
    return {
        name: torch.from_numpy(
            np.frombuffer(data[slice(*e["data_offsets"])], dtypes[e["dtype"]]).reshape(e["shape"]).astype("f4"))
        for name, e in header.items()
        if e["dtype"] in dtypes and not name.startswith(("optimizer.", "average.", "origin."))
    }
