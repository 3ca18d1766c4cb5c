"""Every form in which a picture says how it is to be turned, compared with what Pillow does."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps
from tests.datasets.picture_files import chunk, heic, noise, oriented, saved

from pareja.datasets import decode_image, image_size
from pareja.datasets.signatures import picture_format

STORED = Image.new("RGB", (40, 20), "white")
STORED.paste((255, 0, 0), (0, 0, 20, 10))
JPEG = saved(STORED, "JPEG", quality=100, subsampling=0)
PNG = saved(STORED, "PNG")
TIFF = oriented(6).tobytes().removeprefix(b"Exif\0\0")
EXIF = b"Exif\0\0"
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    'syntax-ns#"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    'tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)
PROFILE = f"\nexif\n{len(EXIF + TIFF):8}\n{(EXIF + TIFF).hex()}\n".encode()


def tiff(order: str, kind: int, value: bytes) -> bytes:
    """EXIF with one tag."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(f"{order}HHI", 0x0112, kind, 1) + value.ljust(4, b"\0")
    return mark + struct.pack(f"{order}IH", 8, 1) + entry + bytes(4)


def in_jpeg(content: bytes) -> bytes:
    return JPEG[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + JPEG[2:]


def in_png(kind: bytes, content: bytes, *, late: bool = False) -> bytes:
    at = PNG.index(b"IEND") - 4 if late else 33
    return PNG[:at] + chunk(kind, content) + PNG[at:]


def itxt(text: str) -> bytes:
    return b"XML:com.adobe.xmp\0\0\0\0\0" + text.encode()


FORMS = {
    "once": in_jpeg(EXIF + TIFF),
    "twice": in_jpeg(EXIF + EXIF + TIFF),
    "xmp": in_jpeg(b"http://ns.adobe.com/xap/1.0/\0" + XMP.encode()),
    "exif-wins": in_jpeg(EXIF + TIFF)[: 2 + 4 + len(EXIF + TIFF)]
    + in_jpeg(b"http://ns.adobe.com/xap/1.0/\0" + XMP.replace('"6"', '"3"').encode())[2:],
    "long": in_jpeg(EXIF + tiff("<", 4, struct.pack("<I", 6))),
    "long-of-motorola": in_jpeg(EXIF + tiff(">", 4, struct.pack(">I", 6))),
    "short-of-motorola": in_jpeg(EXIF + tiff(">", 3, struct.pack(">H", 6))),
    "png": in_png(b"eXIf", TIFF),
    "png-with-header": in_png(b"eXIf", EXIF + TIFF),
    "png-late": in_png(b"eXIf", TIFF, late=True),
    "png-profile": in_png(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(PROFILE)),
    "png-profile-late": in_png(b"tEXt", b"Raw profile type exif\0" + PROFILE, late=True),
    "png-xmp": in_png(b"iTXt", itxt(XMP)),
    "png-xmp-late": in_png(b"iTXt", itxt(XMP), late=True),
    "webp-xmp": saved(STORED, "WEBP", lossless=True, xmp=XMP.encode()),
}


@pytest.mark.parametrize("form", FORMS)
def test_pictures_are_turned_as_pillow_turns_them(form: str) -> None:
    encoded = FORMS[form]
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded))).convert("RGB")
    assert expected.size == (20, 40)
    assert image_size(encoded) == (20, 40)
    np.testing.assert_array_equal(np.asarray(decode_image(encoded)), np.asarray(expected))


@pytest.mark.parametrize(
    "content",
    [
        b"Raw profile type exif\0\n\n\nzz",
        b"Raw profile type exif\0",
        b"XML:com.adobe.xmp\0tiff:Orientation=",
        b"XML:com.adobe.xmp\0tiff:Orientation>9",
    ],
)
def test_what_says_nothing_turns_nothing(content: bytes) -> None:
    for late in (False, True):
        encoded = in_png(b"tEXt", content, late=late)
        assert image_size(encoded) == decode_image(encoded).size == (40, 20)


@pytest.mark.parametrize("brand", [b"miaf", b"MiHE", b"mif1", b"heic"])
def test_heic_by_its_compatible_brands(brand: bytes) -> None:
    encoded = heic(noise(64))
    assert encoded[8:12] == b"heic"
    changed = encoded[:8] + brand + encoded[12:]
    assert decode_image(changed).size == decode_image(encoded).size == (64, 64)


@pytest.mark.parametrize("brand", [b"miaf", b"MA1B", b"MA1A", b"mif1", b"avif"])
def test_avif_by_its_compatible_brands(brand: bytes) -> None:
    encoded = saved(noise(64), "AVIF")
    changed = encoded[:8] + brand + encoded[12:]
    assert picture_format(changed) == "AVIF"
    assert decode_image(changed).size == (64, 64)


def test_a_video_has_none_of_these_brands() -> None:
    boxes = struct.pack(">I", 24) + b"ftypisom" + bytes(4) + b"isommp41"
    assert picture_format(boxes) is None
