#!/usr/bin/python3
"""Makes photo_golden.safetensors: what torchvision computes for Pillow images.

Run from any folder with Debian's python3-torchvision: tests/golden/make_photo_golden.py [OUTPUT]
tests/data/photo_golden_test.cpp applies the same transforms to the same image and compares. The
image of H x W is a formula that both sides evaluate: in plane c (R, G, B), row y and column x it is
(7 x + 13 y + 5 c + x y / 3) mod 256, rounded down. Tensors are pixels 0..255 as float32, [3,H,W];
the names say the transform and, where it matters, the size of the source.

  cmyk.file, ycck.file      bytes of JPEG files of four channels with Adobe's marker
  cmyk.pixels, ycck.pixels  what Pillow decodes them to as RGB (both decoders round in their way)
  png16.file, png16.pixels  a PNG of 16 bits a channel and its pixels (top bytes)
"""
import io
import pathlib
import struct
import sys
import zlib

import numpy
from PIL import Image
from torchvision.transforms import functional as F
from torchvision.transforms import InterpolationMode

import golden_file

OUTPUT = pathlib.Path(__file__).with_name("photo_golden.safetensors")


def source(height, width):
    c, y, x = numpy.meshgrid(range(3), range(height), range(width), indexing="ij")
    pixels = (7 * x + 13 * y + 5 * c + x * y // 3) % 256
    return Image.fromarray(pixels.astype(numpy.uint8).transpose(1, 2, 0), "RGB")


def planes(image):
    return numpy.asarray(image.convert("RGB")).transpose(2, 0, 1).astype("<f4")


def transformed():
    tall, wide, small = source(61, 43), source(40, 57), source(9, 11)
    yield "resize 20x31 of 61x43", F.resize(tall, [20, 31])
    yield "resize 80x30 of 61x43", F.resize(tall, [80, 30])
    yield "resize-shorter 24 of 61x43", F.resize(tall, 24)
    yield "resize-shorter 24 of 40x57", F.resize(wide, 24)
    yield "resize-shorter 50 of 40x57", F.resize(wide, 50)
    yield "center-crop 20 of 61x43", F.center_crop(tall, [20, 20])
    yield "center-crop 33 of 40x57", F.center_crop(wide, [33, 33])
    yield "center-crop 14 of 9x11", F.center_crop(small, [14, 14])
    yield "flip of 9x11", F.hflip(small)
    for degrees in (17.3, -25.0, 90.0, 4.25):
        rotated = F.rotate(wide, degrees, InterpolationMode.NEAREST, fill=0)
        yield f"rotate {degrees:g} of 40x57", rotated
    yield "brightness 0.83 of 9x11", F.adjust_brightness(small, 0.83)
    yield "brightness 1.17 of 9x11", F.adjust_brightness(small, 1.17)
    yield "grayscale of 9x11", F.rgb_to_grayscale(small, 3)
    yield "resized-crop 3 5 30 21 to 24 of 40x57", F.resized_crop(wide, 3, 5, 30, 21, [24, 24])


def jpeg(transform):
    """A smooth CMYK image; `transform` 2 makes YCCK out of it, as Adobe's programs do."""
    y, x = numpy.meshgrid(range(16), range(16), indexing="ij")
    ink = numpy.stack([8 * x + 60, 9 * y + 40, 5 * x + 5 * y, 3 * x + 20], axis=2)
    buffer = io.BytesIO()
    image = Image.fromarray(ink.astype(numpy.uint8), "CMYK")
    image.save(buffer, "JPEG", quality=95)
    data = bytearray(buffer.getvalue())
    if transform is not None:
        data[data.index(b"Adobe") + 11] = transform
    return bytes(data)


def png16():
    values = (numpy.arange(3 * 4 * 5, dtype=numpy.uint32) * 1087 % 65536).reshape(4, 5, 3)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind, body):
        return (struct.pack(">I", len(body)) + kind + body
                + struct.pack(">I", zlib.crc32(kind + body)))

    header = struct.pack(">IIBBBBB", 5, 4, 16, 2, 0, 0, 0)
    data = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))
    return data, (values >> 8).transpose(2, 0, 1).astype("<f4")


def tensors():
    result = {name: planes(image) for name, image in transformed()}
    for name, transform in (("cmyk", None), ("ycck", 2)):
        data = jpeg(transform)
        result[name + ".file"] = numpy.frombuffer(data, numpy.uint8).astype("<f4")
        result[name + ".pixels"] = planes(Image.open(io.BytesIO(data)))
    data, pixels = png16()
    result["png16.file"] = numpy.frombuffer(data, numpy.uint8).astype("<f4")
    result["png16.pixels"] = pixels
    return result


if __name__ == "__main__":
    golden_file.write(sys.argv[1] if len(sys.argv) > 1 else OUTPUT, tensors())
