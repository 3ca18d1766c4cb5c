"""Makers of odd and hostile picture files."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

RED, GREEN, BLUE, WHITE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255,) * 3, (0,) * 3
ONE, TWO = (1, 1), (2, 1)
Colour = tuple[int, int, int]


def grey(level: int) -> Colour:
    return (level, level, level)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def flat(mode: str, colour: Any, size: tuple[int, int] = (8, 8)) -> Image.Image:
    return Image.new(mode, size, colour)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    size: tuple[int, int],
    depth: int,
    colour_type: int,
    rows: bytes,
    *,
    extra: bytes = b"",
    late: bytes = b"",
) -> bytes:
    """Write a PNG by hand: Pillow writes neither 16-bit colour nor small greys."""
    header = struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
        + chunk(b"IDAT", zlib.compress(rows)) + late + chunk(b"IEND", b"")
    )  # fmt: skip


def tiff(
    size: tuple[int, int],
    samples: bytes,
    *,
    bits: int = 8,
    photometric: int = 1,
    sample_format: int = 1,
    order: str = "<",
    extra: tuple[tuple[int, int, int, int], ...] = (),
    per_pixel: int = 1,
) -> bytes:
    """Write an uncompressed TIFF of one strip by hand, with any tags."""
    short, long = 3, 4
    tags = [
        (256, long, 1, size[0]), (257, long, 1, size[1]), (258, short, 1, bits),
        (259, short, 1, 1), (262, short, 1, photometric), (273, long, 1, 8),
        (277, short, 1, per_pixel), (278, long, 1, size[1]), (279, long, 1, len(samples)),
        (339, short, 1, sample_format), *extra,
    ]  # fmt: skip
    directory = struct.pack(f"{order}H", len(tags))
    for tag, kind, count, value in sorted(tags):
        body = struct.pack(f"{order}HH" if kind == short else f"{order}I",
                           *((value, 0) if kind == short else (value,)))  # fmt: skip
        directory += struct.pack(f"{order}HHI", tag, kind, count) + body
    mark = b"II*\0" if order == "<" else b"MM\0*"
    start = struct.pack(f"{order}I", 8 + len(samples))
    return mark + start + samples + directory + b"\0\0\0\0"


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def icc(space: bytes, tags: dict[bytes, bytes], *, device: bytes = b"mntr") -> bytes:
    """Write an ICC profile, version 2, with a Lab connection space for printers, XYZ otherwise."""
    tags = {
        b"desc": b"desc\0\0\0\0\0\0\0\5test\0" + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        **tags,
    }
    table, body = b"", b""
    offset = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", offset + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    connection = b"Lab " if device == b"prtr" else b"XYZ "
    header = struct.pack(">I4sI4s4s4s", offset + len(body), b"lcms", 0x02400000, device, space,
                         connection)  # fmt: skip
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


P3_TO_XYZ = np.array(
    [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
)
SRGB_TO_XYZ = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
)


@cache
def p3_profile() -> bytes:
    """Display P3's primaries with a gamma of 2.2."""
    primaries = {b"rXYZ": 0, b"gXYZ": 1, b"bXYZ": 2}
    curves = {name: gamma(2.2) for name in (b"rTRC", b"gTRC", b"bTRC")}
    return icc(b"RGB ", {n: xyz(*P3_TO_XYZ[:, i]) for n, i in primaries.items()} | curves)


def p3_in_srgb(colour: Colour) -> Colour:
    """Work the conversion out from its definition (IEC 61966-2-1)."""
    linear = np.linalg.inv(SRGB_TO_XYZ) @ P3_TO_XYZ @ (np.array(colour) / 255) ** 2.2
    linear = linear.clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = np.rint(255 * encoded).astype(int)
    return int(red), int(green), int(blue)


@cache
def ink_profile() -> bytes:
    """A press whose inks are all grey: L* is 50 for any one of them, and 10 for more."""
    to_lab = bytes(
        part
        for corner in range(16)
        for part in ((255, 128, 26)[min(corner.bit_count(), 2)], 128, 128)
    )
    to_ink = bytes(4 * [255] * 4 + 4 * [0] * 4)  # all inks for L* = 0; finds the black point
    tags = {b"A2B0": lut(4, 3, to_lab), b"B2A0": lut(3, 4, to_ink)}
    return icc(b"CMYK", tags, device=b"prtr")


def lut(inputs: int, outputs: int, corners: bytes) -> bytes:
    """Write an ICC table of type ``mft1`` with the colours of its corners alone."""
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    ramp = bytes(range(256))
    head = b"mft1\0\0\0\0" + bytes([inputs, outputs, 2, 0]) + identity
    return head + ramp * inputs + corners + ramp * outputs


@cache
def linear_grey_profile() -> bytes:
    return icc(b"GRAY", {b"kTRC": gamma(1.0)})


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def palette_picture(*colours: Colour) -> Image.Image:
    picture = Image.new("P", (8, 8), 0)
    picture.putpalette([part for colour in colours for part in colour])
    return picture


def mpo() -> bytes:
    return saved(flat("RGB", GREEN), "MPO", save_all=True, append_images=[flat("RGB", RED)])


def apng(default_image: bool) -> bytes:
    return saved(
        flat("RGB", GREEN), "PNG", save_all=True, append_images=[flat("RGB", RED)],
        default_image=default_image,
    )  # fmt: skip


def twice_announced_apng() -> bytes:
    announcement = chunk(b"acTL", struct.pack(">II", 1, 0))
    return png((1, 1), 8, 2, b"\0\xff\0\0", extra=announcement * 2)


def gif(*frames: Image.Image, **options: Any) -> bytes:
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:], **options)


def bitmap_icon() -> bytes:
    picture = flat("RGBA", (*GREEN, 255), (16, 16))
    return saved(picture, "ICO", bitmap_format="bmp", sizes=[(16, 16)])


def hidden_icon() -> bytes:
    """One 1-bit icon whose mask makes its left half transparent."""
    pixels = (b"\0" * 4) * 8
    mask = b"\xf0\0\0\0" * 8
    header = struct.pack("<IiiHHIIiiII", 40, 8, 16, 1, 1, 0, 0, 0, 0, 2, 0)
    body = header + b"\0\xff\0\0" + b"\xff\xff\xff\0" + pixels + mask
    entry = struct.pack("<BBBBHHII", 8, 8, 2, 0, 1, 1, len(body), 22)
    return b"\0\0\1\0\1\0" + entry + body


def heic(picture: Image.Image, **options: Any) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(picture).save(file, quality=-1, **options)
    return file.getvalue()


def cmyk_jpeg(*, adobe: bool = True, profile: bytes | None = None, black: int = 0) -> bytes:
    """Full cyan, and some black."""
    picture = flat("CMYK", (255, 0, 0, black))
    encoded = saved(picture, "JPEG", quality=100, icc_profile=profile)
    if not adobe:
        start = encoded.index(b"\xff\xee")
        encoded = encoded[:start] + encoded[start + 16 :]
    return encoded


def damaged_exif(kind: str) -> bytes:
    """EXIF whose directory lies beyond its end, then whose first entry does."""
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 5000) + b"\1\0"
    return saved(flat("RGB", GREEN), kind, exif=exif, quality=100)


def tiff_with_bad_tags() -> bytes:
    """A sound picture with an offset outside the file and too many values: Pillow warns twice."""
    beyond = (33432, 2, 100, 9_999_999)
    return tiff((2, 1), bytes([0, 255]), extra=(beyond, (296, 3, 2, 2)))


def float_tiff(*samples: float) -> bytes:
    return tiff((len(samples), 1), struct.pack(f"<{len(samples)}f", *samples), bits=32,
                sample_format=3)  # fmt: skip


def tiff_premultiplied(pixel: tuple[int, ...], photometric: int) -> bytes:
    """One pixel whose last sample is alpha that the others are multiplied by (ExtraSamples 1)."""
    return tiff(ONE, bytes(pixel), photometric=photometric, per_pixel=len(pixel),
                extra=((338, 3, 1, 1),))  # fmt: skip


def header_only(kind: str, side: int = 60_000) -> bytes:
    """A small file whose header announces a square of that side (WebP: its largest, 16,383)."""
    match kind:
        case "png":
            return png((side, side), 8, 2, bytes(1000))
        case "bmp":
            encoded = bytearray(saved(flat("RGB", RED), "BMP"))
            encoded[18:26] = struct.pack("<ii", side, side)
            return bytes(encoded)
        case "gif":
            encoded = bytearray(gif(palette_picture(RED)))
            encoded[6:10] = struct.pack("<HH", side, side)
            return bytes(encoded)
        case "gif-frame":
            encoded = bytearray(gif(palette_picture(RED)))
            frame = encoded.rindex(b",\0\0\0\0")
            encoded[frame + 5 : frame + 9] = struct.pack("<HH", side, side)
            return bytes(encoded)
        case "tiff":
            return tiff((side, side), b"\0\0")
        case "jpeg":
            encoded = bytearray(saved(flat("RGB", RED), "JPEG"))
            frame = encoded.index(b"\xff\xc0")
            encoded[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
            return bytes(encoded)
        case "webp":
            canvas = (16383 - 1).to_bytes(3, "little") * 2
            extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas
            body = b"WEBP" + extended + saved(flat("RGB", RED), "WEBP")[12:]
            return b"RIFF" + struct.pack("<I", len(body)) + body
        case "qoi":
            return b"qoif" + struct.pack(">II", side, side) + b"\3\0" + bytes(7) + b"\1"
        case "ppm":
            return b"P6 %d %d 255 " % (side, side)
        case "jp2":
            encoded = bytearray(saved(flat("RGB", RED), "JPEG2000"))
            header = encoded.index(b"ihdr")
            encoded[header + 4 : header + 12] = struct.pack(">II", side, side)
            return bytes(encoded)
        case "j2k":
            return lying_codestream(saved(flat("RGB", RED), "JPEG2000", no_jp2=True), side)
        case "heic":
            return lying_heic(side)
        case "ico":
            inside = png((side, side), 8, 2, bytes(1000))
            entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(inside), 22)
            return b"\0\0\1\0\1\0" + entry + inside
    raise AssertionError(kind)


def lying_codestream(encoded: bytes, side: int) -> bytes:
    """Let the SIZ segment of a JPEG 2000 codestream announce a square, in one tile."""
    start = encoded.index(b"\xff\x51") + 6
    square = struct.pack(">II", side, side)
    return encoded[:start] + square + bytes(8) + square + encoded[start + 24 :]


GIGAPIXEL = ["png", "bmp", "gif", "gif-frame", "tiff", "jpeg", "webp", "qoi", "ppm", "jp2", "j2k",
             "heic", "ico"]  # fmt: skip


def cut(encoded: bytes, part: float = 0.5) -> bytes:
    return encoded[: int(len(encoded) * part)]


def noise(side: int = 64) -> Image.Image:
    levels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    return Image.fromarray(levels)


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "a")
    return file.getvalue()


def lying_heic(side: int) -> bytes:
    """Announce a square of that side (ISO/IEC 23008-12, ``ispe``) and hold 64 x 64 pixels."""
    encoded = heic(noise(64))
    size = encoded.index(b"ispe") + 8
    return encoded[:size] + struct.pack(">II", side, side) + encoded[size + 8 :]


def lying_icon() -> bytes:
    encoded = bytearray(bitmap_icon())
    encoded[26:34] = struct.pack("<ii", 20000, 40000)
    return bytes(encoded)


def nested_exif_bomb() -> bytes:
    """A PNG whose text expands a thousandfold."""
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(8 * 2**20)))
    return png(ONE, 8, 2, b"\0\xff\0\0", extra=text)
