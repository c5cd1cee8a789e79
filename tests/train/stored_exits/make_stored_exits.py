#!/usr/bin/env python3
"""Reduces `branchy eval --predictions` files to what tests of risk control need.

usage: make_stored_exits.py OUT.safetensors PREDICTIONS.jsonl...

Per sample, as float32: `confidence.K` of every early exit K, and `right`, the sum of 2^(K-1) over
the exits K whose class is the label.
"""
import array
import json
import struct
import sys


def main(out, sources):
    lines = [json.loads(line) for source in sources for line in open(source)]
    columns = {f"confidence.{k + 1}": array.array("f", (s["confidences"][k] for s in lines))
               for k in range(len(lines[0]["classes"]) - 1)}
    columns["right"] = array.array(
        "f", (sum(2 ** k for k, c in enumerate(s["classes"]) if c == s["label"]) for s in lines))
    header, data = {}, b""
    for name in sorted(columns):
        raw = columns[name].tobytes()
        header[name] = {"dtype": "F32", "shape": [len(lines)],
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(out, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


main(sys.argv[1], sys.argv[2:])
