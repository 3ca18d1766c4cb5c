"""Odd and hostile picture files, and what the decoder makes of each."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.datasets.picture_files import (
    BLACK,
    BLUE,
    GIGAPIXEL,
    GREEN,
    ONE,
    RED,
    SRGB,
    TWO,
    WHITE,
    Colour,
    apng,
    bitmap_icon,
    chunk,
    cmyk_jpeg,
    cut,
    damaged_exif,
    flat,
    float_tiff,
    gif,
    grey,
    header_only,
    heic,
    hidden_icon,
    ink_profile,
    linear_grey_profile,
    lying_codestream,
    lying_heic,
    lying_icon,
    mpo,
    nested_exif_bomb,
    noise,
    oriented,
    p3_in_srgb,
    p3_profile,
    palette_picture,
    png,
    saved,
    tiff,
    tiff_premultiplied,
    tiff_with_bad_tags,
    twice_announced_apng,
    zipped,
)

from pareja.datasets import images
from pareja.datasets.images import decode_image, image_size
from pareja.errors import ImageError, MachineError


@dataclass(frozen=True)
class Odd:
    """A file that decodes: what it is, how it is made, and the one colour that it shows."""

    id: str
    make: Callable[[], bytes]
    colour: Colour
    size: tuple[int, int] = (8, 8)
    at: tuple[int, int] = (0, 0)
    tolerance: int = 0


HALF_RED = (255, 0, 0, 128)  # on white: 255 - 128 = 127 of green and blue
ODD = [
    # containers
    Odd("jpeg", lambda: saved(flat("RGB", (10, 200, 90)), "JPEG"), (10, 200, 90), tolerance=3),
    Odd("progressive", lambda: saved(flat("RGB", RED), "JPEG", progressive=True), RED, tolerance=2),
    Odd("mpo-first", mpo, GREEN, tolerance=2),
    Odd("bmp", lambda: saved(flat("RGB", BLUE), "BMP"), BLUE),
    Odd("bmp-palette", lambda: saved(palette_picture(BLUE, RED), "BMP"), BLUE),
    Odd("ppm", lambda: b"P6 1 1 255 \xff\x00\x00", RED, ONE),
    Odd("ppm-plain", lambda: b"P3\n# note\n1 1\n255\n0 255 0\n", GREEN, ONE),
    Odd("pgm-16", lambda: b"P5 2 1 65535 \x00\x01\x80\x00", grey(128), TWO, (1, 0)),
    Odd("pgm-16-dark", lambda: b"P5 2 1 65535 \x00\x01\x00\x64", BLACK, TWO, (1, 0)),
    Odd("pbm", lambda: b"P1\n2 1\n0 1\n", WHITE, TWO),
    Odd("pfm", lambda: b"Pf\n2 1\n-1.0\n" + struct.pack("<2f", 0.0, 0.5), grey(128), TWO, (1, 0)),
    Odd("qoi", lambda: saved(flat("RGB", GREEN), "QOI"), GREEN),
    Odd("jp2", lambda: saved(flat("RGB", GREEN), "JPEG2000"), GREEN),
    Odd("j2k", lambda: saved(flat("RGB", BLUE), "JPEG2000", no_jp2=True), BLUE),
    Odd("avif", lambda: saved(flat("RGB", GREEN, (64, 64)), "AVIF", quality=100), GREEN, (64, 64),
        tolerance=4),
    Odd("heic", lambda: heic(flat("RGB", GREEN, (64, 64))), GREEN, (64, 64), tolerance=4),
    Odd("webp", lambda: saved(flat("RGB", BLUE), "WEBP", lossless=True), BLUE),
    Odd("one-pixel", lambda: saved(flat("RGB", RED, ONE), "PNG"), RED, ONE),
    Odd("one-row", lambda: saved(flat("RGB", RED, (3000, 1)), "PNG"), RED, (3000, 1)),
    Odd("interlaced", lambda: saved(flat("RGB", RED), "PNG", interlace=1), RED),
    Odd("trailing-junk", lambda: saved(flat("RGB", RED), "PNG") + b"junk" * 100, RED),
    # first frames
    Odd("gif-first", lambda: gif(palette_picture(GREEN), palette_picture(RED)), GREEN),
    Odd("gif-transparent", lambda: gif(palette_picture(GREEN), transparency=0), WHITE),
    Odd("apng-first", lambda: apng(default_image=False), GREEN),
    Odd("apng-default", lambda: apng(default_image=True), GREEN),
    Odd("apng-announced-twice", twice_announced_apng, RED, ONE),
    Odd("webp-first", lambda: saved(flat("RGB", GREEN), "WEBP", save_all=True, lossless=True,
                                    append_images=[flat("RGB", RED)]), GREEN),
    Odd("tiff-first", lambda: saved(flat("RGB", GREEN), "TIFF", save_all=True,
                                    append_images=[flat("RGB", RED, (4, 4))]), GREEN),
    Odd("ico-largest", lambda: saved(flat("RGBA", HALF_RED, (64, 64)), "ICO",
                                     sizes=[(16, 16), (48, 48), (32, 32)]), (255, 127, 127),
        (48, 48)),
    Odd("ico-bitmap", bitmap_icon, GREEN, (16, 16)),
    Odd("ico-mask-hides", hidden_icon, WHITE),
    Odd("ico-mask-shows", hidden_icon, GREEN, at=(7, 7)),
    # transparency
    Odd("rgba", lambda: saved(flat("RGBA", HALF_RED), "PNG"), (255, 127, 127)),
    Odd("rgba-invisible", lambda: saved(flat("RGBA", (9, 9, 9, 0)), "PNG"), WHITE),
    Odd("rgba-opaque", lambda: saved(flat("RGBA", (9, 8, 7, 255)), "PNG"), (9, 8, 7)),
    Odd("rgba-webp", lambda: saved(flat("RGBA", HALF_RED), "WEBP", lossless=True), (255, 127, 127)),
    Odd("la", lambda: saved(flat("LA", (0, 51)), "PNG"), grey(204)),
    Odd("pa", lambda: saved(palette_picture(RED).convert("PA"), "TIFF"), RED),
    Odd("palette-one-clear", lambda: saved(palette_picture(RED), "PNG", transparency=0), WHITE),
    Odd("palette-half-clear", lambda: saved(palette_picture(RED, BLUE), "PNG",
                                            transparency=bytes([128, 255])), (255, 127, 127)),
    Odd("rgb-clear-colour", lambda: saved(flat("RGB", RED), "PNG", transparency=RED), WHITE),
    Odd("rgb-other-clear-colour", lambda: saved(flat("RGB", RED), "PNG", transparency=BLUE), RED),
    Odd("grey-clear-level", lambda: saved(flat("L", 7), "PNG", transparency=7), WHITE),
    Odd("one-bit-clear", lambda: saved(flat("1", 0), "PNG", transparency=0), WHITE),
    Odd("two-bit-clear", lambda: png((4, 1), 2, 0, b"\0\x1b", extra=chunk(b"tRNS", b"\0\2")),
        WHITE, (4, 1), (2, 0)),
    Odd("two-bit-not-clear", lambda: png((4, 1), 2, 0, b"\0\x1b", extra=chunk(b"tRNS", b"\0\2")),
        grey(85), (4, 1), (1, 0)),
    Odd("four-bit-clear", lambda: png(TWO, 4, 0, b"\0\x3c", extra=chunk(b"tRNS", b"\0\3")), WHITE,
        TWO),
    Odd("rgb16-clear", lambda: png(ONE, 16, 2, b"\0\x12\x34\x56\x78\x9a\xbc",
                                   extra=chunk(b"tRNS", b"\x12\x34\x56\x78\x9a\xbc")), WHITE, ONE),
    Odd("grey16-clear", lambda: png(TWO, 16, 0, b"\0\x12\x34\x80\x80",
                                    extra=chunk(b"tRNS", b"\x12\x34")), WHITE, TWO),
    Odd("grey16-not-clear", lambda: png(TWO, 16, 0, b"\0\x12\x34\x80\x80",
                                        extra=chunk(b"tRNS", b"\x12\x34")), grey(128), TWO, (1, 0)),
    # Stored colours are multiplied by alpha 128/255: 128 of red is full red.
    Odd("premultiplied-rgb", lambda: tiff_premultiplied((128, 0, 0, 128), 2), (255, 127, 127), ONE,
        tolerance=1),
    Odd("premultiplied-grey", lambda: tiff_premultiplied((0, 128), 1), grey(127), ONE, tolerance=1),
    # modes
    Odd("one-bit", lambda: saved(flat("1", 1), "PNG"), WHITE),
    Odd("grey", lambda: saved(flat("L", 77), "PNG"), grey(77)),
    Odd("palette", lambda: saved(palette_picture(BLUE), "PNG"), BLUE),
    Odd("cmyk-adobe", lambda: cmyk_jpeg(), (0, 255, 255), tolerance=2),
    Odd("cmyk-no-adobe-mark", lambda: cmyk_jpeg(adobe=False), (0, 255, 255), tolerance=2),
    Odd("cmyk-tiff", lambda: saved(flat("CMYK", (0, 255, 0, 51)), "TIFF"), (204, 0, 204)),
    Odd("ycbcr-tiff", lambda: saved(flat("YCbCr", (128, 128, 128)), "TIFF"), grey(128)),
    # Under D50, sRGB red is Lab (54.3, 80.8, 69.9); Pillow holds 2.55 L and a + 128, b + 128.
    Odd("lab-tiff", lambda: saved(flat("LAB", (138, 209, 198)), "TIFF"), RED, tolerance=6),
    # profiles
    # Y is 0.186 for L* 50.2; less the black point, 0.0115, it is 0.176, which is 117 in sRGB.
    Odd("cmyk-profile", lambda: cmyk_jpeg(profile=ink_profile()), grey(117), tolerance=2),
    Odd("cmyk-profile-black", lambda: cmyk_jpeg(profile=ink_profile(), black=255), BLACK,
        tolerance=2),
    Odd("cmyk-broken-profile", lambda: cmyk_jpeg(profile=ink_profile()[:200]),
        (0, 255, 255), tolerance=2),
    Odd("cmyk-profile-of-rgb", lambda: cmyk_jpeg(profile=SRGB), (0, 255, 255),
        tolerance=2),
    Odd("p3", lambda: saved(flat("RGB", (200, 100, 90)), "PNG", icc_profile=p3_profile()),
        p3_in_srgb((200, 100, 90)), tolerance=2),
    Odd("p3-alpha", lambda: saved(flat("RGBA", (0, 0, 0, 51)), "PNG", icc_profile=p3_profile()),
        grey(204), tolerance=1),
    Odd("p3-palette", lambda: saved(palette_picture((200, 100, 90)), "PNG",
                                    icc_profile=p3_profile()), p3_in_srgb((200, 100, 90)),
        tolerance=2),
    Odd("srgb-profile-is-exact", lambda: saved(flat("RGB", (1, 2, 3)), "PNG", icc_profile=SRGB),
        (1, 2, 3)),
    # 128/255 of linear light is 188 in sRGB.
    Odd("grey-profile", lambda: saved(flat("L", 128), "PNG", icc_profile=linear_grey_profile()),
        grey(188), tolerance=1),
    Odd("profile-of-junk", lambda: saved(flat("RGB", RED), "PNG", icc_profile=b"x" * 300), RED),
    Odd("profile-too-large", lambda: saved(flat("RGB", GREEN), "TIFF",
                                           icc_profile=p3_profile() + bytes(5 * 2**20)), GREEN),
    # deep samples
    Odd("grey16", lambda: png(TWO, 16, 0, b"\0\x80\x80\xff\xff"), grey(128), TWO),
    Odd("grey16-dark-stays-dark", lambda: png(TWO, 16, 0, b"\0\0\x64\0\xff"), BLACK, TWO),
    Odd("grey16-alpha", lambda: png(ONE, 16, 4, b"\0\0\0\x33\x33"), grey(204), ONE),
    Odd("rgb16", lambda: png(ONE, 16, 2, b"\0\xff\xff\x80\x80\0\0"), (255, 128, 0), ONE),
    Odd("tiff-rgb16", lambda: tiff(ONE, struct.pack("<3H", 65535, 32896, 0), bits=16,
                                   photometric=2, per_pixel=3), (255, 128, 0), ONE),
    Odd("tiff16-little", lambda: tiff(ONE, struct.pack("<H", 32896), bits=16), grey(128), ONE),
    Odd("tiff16-big", lambda: tiff(ONE, struct.pack(">H", 32896), bits=16, order=">"), grey(128),
        ONE),
    Odd("tiff16-white-is-zero", lambda: tiff(ONE, bytes(2), bits=16, photometric=0), WHITE, ONE),
    Odd("tiff12", lambda: tiff(TWO, b"\xff\xf8\x00", bits=12), grey(128), TWO, (1, 0)),
    Odd("int16-signed", lambda: tiff(TWO, struct.pack("<2h", -100, 300), bits=16,
                                     sample_format=2), WHITE, TWO, (1, 0)),
    Odd("int32-of-bytes", lambda: tiff(TWO, struct.pack("<2i", 9, 200), bits=32, sample_format=2),
        grey(200), TWO, (1, 0)),
    Odd("int32-of-shorts", lambda: tiff(TWO, struct.pack("<2i", 0, 32896), bits=32,
                                        sample_format=2), grey(128), TWO, (1, 0)),
    Odd("int32-wide", lambda: tiff((3, 1), struct.pack("<3i", -(2**31), 0, 2**31 - 1), bits=32,
                                   sample_format=2), grey(128), (3, 1), (1, 0), 1),
    Odd("uint32", lambda: tiff((3, 1), struct.pack("<3I", 0, 2**31, 2**32 - 1), bits=32),
        grey(128), (3, 1), (1, 0), 1),
    Odd("int32-constant", lambda: tiff(TWO, struct.pack("<2i", -7, -7), bits=32, sample_format=2),
        grey(128), TWO),
    Odd("float-unit", lambda: float_tiff(0, 0.5, 1), grey(128), (3, 1), (1, 0)),
    Odd("float-bytes", lambda: float_tiff(0, 40.2, 200), grey(40), (3, 1), (1, 0)),
    Odd("float-shorts", lambda: float_tiff(0, 32896, 60000), grey(128), (3, 1), (1, 0)),
    Odd("float-stretched", lambda: float_tiff(-1, 0, 1), grey(128), (3, 1), (1, 0)),
    Odd("float-huge", lambda: float_tiff(-3e38, 0, 3e38), grey(128), (3, 1), (1, 0)),
    Odd("float-constant-zero", lambda: float_tiff(0, 0, 0), BLACK, (3, 1)),
    Odd("float-constant-one", lambda: float_tiff(1, 1, 1), WHITE, (3, 1)),
    Odd("float-constant-far", lambda: float_tiff(1e9, 1e9, 1e9), grey(128), (3, 1)),
    Odd("float-nan", lambda: float_tiff(float("nan"), 0.5, 1), BLACK, (3, 1)),
    Odd("float-infinite", lambda: float_tiff(0, 0.5, float("inf")), WHITE, (3, 1), (2, 0)),
    Odd("float-all-nan", lambda: float_tiff(*[float("nan")] * 3), BLACK, (3, 1)),
    # metadata that is broken and does not matter
    Odd("exif-broken-jpeg", lambda: damaged_exif("JPEG"), GREEN, tolerance=2),
    Odd("exif-broken-webp", lambda: damaged_exif("WEBP"), GREEN, tolerance=4),
    Odd("exif-of-junk", lambda: saved(flat("RGB", RED), "PNG", exif=b"Exif\0\0junk"), RED),
    Odd("exif-orientation-99", lambda: saved(flat("RGB", RED, TWO), "PNG", exif=oriented(99)), RED,
        TWO),
    Odd("tiff-bad-tags", tiff_with_bad_tags, WHITE, TWO, (1, 0)),
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.id)
def test_odd_file_shows_its_colour(odd: Odd) -> None:
    encoded = odd.make()
    picture = decode_image(encoded)
    assert (type(picture), picture.mode, picture.size) == (Image.Image, "RGB", odd.size)
    assert picture.info == {}
    difference = np.asarray(picture, int)[odd.at[1], odd.at[0]] - odd.colour
    assert np.abs(difference).max() <= odd.tolerance
    assert image_size(encoded) == odd.size


MORE = "more than the limit of 178 million; scale it down"
TRUNCATED = "ends early: the file is truncated"
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is empty"),
    "text": (lambda: "No es una foto, está vacía.".encode(), "not a picture: it is text"),
    "text-cut-in-character": (lambda: ("é" * 4000).encode()[:-1], "not a picture: it is text"),
    "text-utf16": (lambda: "hola".encode("utf-16"), "not a picture: it is text"),
    "html": (lambda: b"\n<!DOCTYPE HTML><html><body>404</body></html>", "it is a web page"),
    "html-with-mark": (lambda: b"\xef\xbb\xbf<html lang=es>", "it is a web page"),
    "svg": (lambda: b'<?xml version="1.0"?>\n<!-- x -->\n<svg></svg>', "is an SVG drawing"),
    "pdf": (lambda: b"%PDF-1.7\n%\xe2\xe3", "is a PDF document"),
    "photoshop": (lambda: b"8BPS\0\1" + bytes(40), "is a Photoshop document"),
    "postscript": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is PostScript"),
    "postscript-binary": (lambda: b"\xc5\xd0\xd3\xc6" + bytes(40), "is PostScript"),
    "jpeg-xl": (lambda: b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20), "is JPEG XL"),
    "video": (lambda: b"\0\0\0\x20ftypisom" + bytes(40), "it is a video"),
    "zip": (zipped, "it is a zip archive"),
    "lfs": (lambda: b"version https://git-lfs.github.com/spec/v1\n", "it is a pointer of Git LFS"),
    "zeros": (lambda: bytes(9000), "holds zero bytes only"),
    "junk": (lambda: bytes(range(159, 0, -1)), "not a picture of a format that can be read (JPEG"),
    "three-bytes": (lambda: b"\x89PN", "not a picture of a format that can be read"),
    "jpeg-cut": (lambda: cut(saved(noise(), "JPEG")), TRUNCATED),
    "jpeg-cut-in-header": (lambda: saved(noise(), "JPEG")[:100], TRUNCATED),
    "jpeg-signature-only": (lambda: b"\xff\xd8\xff", TRUNCATED),
    "png-cut": (lambda: cut(saved(noise(), "PNG")), TRUNCATED),
    "png-cut-in-header": (lambda: saved(noise(), "PNG")[:20], TRUNCATED),
    "gif-cut": (lambda: cut(gif(noise().quantize())), TRUNCATED),
    "webp-cut": (lambda: cut(saved(noise(), "WEBP")), TRUNCATED),
    "bmp-cut": (lambda: cut(saved(noise(), "BMP")), TRUNCATED),
    "tiff-cut": (lambda: cut(saved(noise(), "TIFF"), 0.9), TRUNCATED),
    "ppm-cut": (lambda: b"P6 9 9 255 \0\0\0", TRUNCATED),
    "avif-cut": (lambda: cut(saved(noise(), "AVIF")), TRUNCATED),
    "heic-cut": (lambda: cut(heic(noise())), TRUNCATED),
    "jp2-cut": (lambda: cut(saved(noise(), "JPEG2000"), 0.3), TRUNCATED),
    "ico-empty": (lambda: b"\0\0\1\0\0\0", "is damaged"),
    "ico-bitmap-lies": (lying_icon, "is damaged: an icon of 16 x 16 pixels holds a bitmap"),
    "ico-points-outside": (
        lambda: b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", 8, 8, 0, 0, 1, 32, 99, 9999),
        "is damaged",
    ),
    "png-zero-sized": (lambda: png((0, 5), 8, 2, b""), "announces no pixels"),
    "png-bad-checksum": (
        lambda: saved(flat("RGB", RED), "PNG").replace(b"\x08\x02\0\0\0", b"\x08\x02\0\0\1"),
        "is damaged",
    ),
    "png-pixels-are-junk": (
        lambda: png((8, 8), 8, 2, b"")[:33] + chunk(b"IDAT", b"junk" * 9) + chunk(b"IEND", b""),
        "is damaged",
    ),
    "png-text-bomb": (nested_exif_bomb, "is damaged: Decompressed data too large"),
    "jpeg-12-bit": (
        lambda: saved(noise(), "JPEG").replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
        "is damaged: cannot handle 12-bit layers",
    ),
    "tiff-zero-sized": (lambda: tiff((0, 4), b""), "announces no pixels"),
    "tiff-unknown-samples": (lambda: tiff(ONE, bytes(8), bits=64, sample_format=3), "is damaged"),
    "tiff-no-directory": (lambda: b"II*\0\xff\xff\xff\x7f", "is damaged"),
    "tiff-unknown-compression": (
        lambda: tiff(ONE, b"\0").replace(b"\3\1\3\0\1\0\0\0\1", b"\3\1\3\0\1\0\0\0\x63"),
        "is damaged: its structure makes no sense",
    ),
    "tiff-few-samples": (lambda: tiff((99, 99), b"\0"), TRUNCATED),
    "avif-long-box-cut": (
        lambda: b"\0\0\0\x10ftypavif\0\0\0\0" + struct.pack(">I4sQ", 1, b"mdat", 10**6),
        TRUNCATED,
    ),
    "avif-of-junk": (lambda: b"\0\0\0\x1cftypavif" + bytes(60), "is damaged"),
    "heic-of-junk": (lambda: b"\0\0\0\x18ftypheic" + bytes(60), "is damaged"),
    "heic-size-lies": (partial(lying_heic, 16), "is damaged"),
    "webp-of-junk": (lambda: b"RIFF\x20\0\0\0WEBPVP8 " + b"\xff" * 24, "is damaged"),
    "p4-of-junk": (lambda: b"P6 abc def", "is damaged"),
    "ppm-negative": (lambda: b"P6 -5 9 255 ", "is damaged"),
    "jp2-codestream-lies": (
        lambda: lying_codestream(saved(flat("RGB", RED), "JPEG2000"), 40_000), "is damaged",
    ),
    **{f"gigapixel-{kind}": (partial(header_only, kind), MORE if kind not in ("gif-frame", "webp")
       else "has more pixels than Pillow reads in this format") for kind in GIGAPIXEL},
}  # fmt: skip


@pytest.mark.parametrize(("make", "reason"), BAD.values(), ids=BAD)
def test_bad_file_is_refused_with_its_reason(make: Callable[[], bytes], reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        decode_image(make(), name="photo.jpg")
    assert reason in caught.value.reason
    assert caught.value.path == "photo.jpg"
    assert "\n" not in caught.value.reason
    assert not caught.value.reason.endswith(".")


def test_there_are_enough_odd_files() -> None:
    assert len(ODD) + len(BAD) >= 60


# Orientation ------------------------------------------------------------------------------------

UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}  # EXIF 2.32, table 6: what row 0 and column 0 of the stored picture are
QUARTERS = np.kron(
    np.array([[RED, GREEN, WHITE], [BLUE, BLACK, (200, 100, 0)]], np.uint8),
    np.ones((32, 32, 1), np.uint8),
)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_orientation_is_applied_once(kind: str, orientation: int) -> None:
    picture = Image.fromarray(QUARTERS)
    exif = oriented(orientation)
    if kind == "HEIF":
        encoded = heic(picture, exif=exif.tobytes())
    else:
        options: dict[str, dict[str, Any]] = {
            "JPEG": {"quality": 100, "subsampling": "4:4:4"},
            "AVIF": {"quality": 100, "subsampling": "4:4:4"},
            "WEBP": {"lossless": True},
        }
        encoded = saved(picture, kind, exif=exif, **options.get(kind, {}))
    decoded = decode_image(encoded)
    expected = UPRIGHT[orientation](QUARTERS)
    assert decoded.size == image_size(encoded) == expected.shape[1::-1]
    # Borders ring in lossy formats, so only the middle of each part is compared.
    middles = (slice(8, None, 16), slice(8, None, 16))
    difference = np.asarray(decoded, int)[middles] - expected[middles]
    assert np.abs(difference).max() < 40
    assert decode_image(saved(decoded, "PNG")).size == decoded.size


def test_exif_after_the_pixels_of_a_png_counts() -> None:
    exif = chunk(b"eXIf", oriented(6).tobytes().removeprefix(b"Exif\0\0"))
    encoded = png(TWO, 8, 0, b"\0\0\xff", late=exif)
    assert image_size(encoded) == decode_image(encoded).size == (1, 2)


def test_exif_without_orientation_is_upright() -> None:
    exif = Image.Exif()
    exif[0x010F] = "maker"
    assert image_size(saved(flat("RGB", RED, TWO), "PNG", exif=exif)) == TWO


# Limits -----------------------------------------------------------------------------------------


def test_limit_is_on_pixels_and_inclusive() -> None:
    encoded = saved(flat("L", 0, (20, 30)), "PNG")
    assert decode_image(encoded, max_pixels=600).size == (20, 30)
    for read in (decode_image, image_size):
        with pytest.raises(
            ImageError, match="is 20 x 30 pixels, more than the limit of 599; scale"
        ):
            read(encoded, max_pixels=599)


def test_a_large_picture_under_the_limit_does_not_warn() -> None:
    # 100 million pixels are above the size at which Pillow warns.
    encoded = png((10_000, 10_000), 1, 0, bytes(1251 * 10_000))
    assert image_size(encoded) == (10_000, 10_000)


def test_lying_headers_allocate_nothing() -> None:
    files = [header_only(kind) for kind in GIGAPIXEL] + [BAD["jp2-codestream-lies"][0]()]
    script = """
import pickle, resource, sys
from pareja.datasets.images import decode_image
from pareja.errors import ImageError, MachineError
from PIL import Image
files = pickle.load(sys.stdin.buffer)
def refused(encoded):
    try:
        decode_image(encoded)
    except ImageError as error:
        return error.reason
    sys.exit("decoded")
for encoded in files:
    refused(encoded)
# Address space too: a block that is claimed and not yet touched shows in no other figure.
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 100 * 2**20,) * 2)
reasons = [refused(encoded) for encoded in files]
# Not ru_maxrss, in which the parent's memory at the fork counts.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(peak.split()[1], sum("memory" in reason for reason in reasons))
"""
    ran = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps(files), capture_output=True, check=True
    )
    peak, out_of_memory = map(int, ran.stdout.split())
    assert out_of_memory == 0
    assert peak < 150 * 1024, "KiB"


def test_memory_error_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(_: object) -> Image.Image:
        raise MemoryError

    monkeypatch.setattr(images, "to_rgb", exhausted)
    with pytest.raises(MachineError, match=r"<.* bytes>: the machine has too little free memory"):
        decode_image(saved(flat("RGB", RED), "PNG"))


def test_threads_get_the_same_pictures_and_keep_their_warnings() -> None:
    ids = ["jpeg", "cmyk-profile", "p3", "grey-profile", "tiff-bad-tags", "exif-broken-jpeg",
           "apng-announced-twice", "avif", "heic", "gif-first", "ico-largest"]  # fmt: skip
    files = [odd.make() for odd in ODD if odd.id in ids]
    assert len(files) == len(ids)
    alone = [decode_image(encoded).tobytes() for encoded in files]
    with ThreadPoolExecutor(8) as pool, warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        together = pool.map(lambda encoded: decode_image(encoded).tobytes(), files * 40)
        for number in range(100):
            warnings.warn(f"of the caller {number}", stacklevel=1)
        assert list(together) == alone * 40
    assert [str(w.message) for w in heard] == [f"of the caller {n}" for n in range(100)]
