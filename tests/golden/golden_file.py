"""Writes golden files: float32 arrays in safetensors, the same bytes for the same input."""
import json
import pathlib
import struct

import numpy


def write(path, arrays, metadata=None):
    """`arrays`: name to numpy array; `metadata`: string to string."""
    header, data = {}, bytearray()
    if metadata:
        header["__metadata__"] = dict(sorted(metadata.items()))
    for name in sorted(arrays):
        raw = numpy.ascontiguousarray(arrays[name], dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(arrays[name].shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + bytes(data))
