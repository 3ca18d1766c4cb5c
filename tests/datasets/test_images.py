"""The decoder's sources, scaled decoding, threads, and what mutated files do to it."""

from __future__ import annotations

import io
import os
import socket
import struct
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin
from tests.datasets.picture_files import (
    GREEN,
    apng,
    bitmap_icon,
    cut,
    flat,
    float_tiff,
    gif,
    heic,
    ink_profile,
    mpo,
    noise,
    oriented,
    p3_profile,
    saved,
    tiff_with_bad_tags,
)

from pareja.datasets import images
from pareja.datasets.images import DEFAULT_MAX_PIXELS, decode_image, image_size, read_file
from pareja.errors import ImageError

# Sources ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Given:
    """A source that gives, or raises, what it was given."""

    answer: Any

    def __str__(self) -> str:
        return "archive.zip/a.png"

    def read(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def picture_file(tmp_path: Path) -> Path:
    path = tmp_path / "photo.jpg"  # content decides, not the name
    path.write_bytes(saved(flat("RGB", GREEN), "PNG"))
    return path


def test_every_kind_of_source(picture_file: Path) -> None:
    encoded = picture_file.read_bytes()
    stream = io.BytesIO(b"skipped" + encoded)
    for read in (decode_image, image_size):
        stream.seek(7)
        with picture_file.open("rb") as file:
            sources: list[Any] = [picture_file, str(picture_file), encoded, bytearray(encoded),
                                  memoryview(encoded), file, stream, Given(encoded)]  # fmt: skip
            for source in sources:
                answer = read(source)
                assert (answer.size if isinstance(answer, Image.Image) else answer) == (8, 8)
    with tempfile.SpooledTemporaryFile() as spooled, tempfile.NamedTemporaryFile() as named:
        for wrapper in (spooled, named):
            wrapper.write(encoded)
            wrapper.seek(0)
            assert decode_image(wrapper).size == (8, 8)
    assert read_file(picture_file) == encoded


@pytest.mark.parametrize(
    ("source", "path", "reason"),
    [
        (Given(b""), "archive.zip/a.png", "is empty"),
        (Given("text"), "archive.zip/a.png", "gives str instead of bytes: open it in binary mode"),
        (Given(PermissionError(13, "no")), "archive.zip/a.png", "may not be read: permission"),
        (Given(OSError(22, "Invalid argument")), "archive.zip/a.png", "cannot be read: [Errno 22]"),
        (Given(zipfile.BadZipFile("bad\n crc.")), "archive.zip/a.png", "cannot be read: bad crc"),
        (Given(RecursionError()), "archive.zip/a.png", "cannot be read: RecursionError"),
        (Given(ImageError("b.png", "is gone")), "b.png", "is gone"),
        (b"text", "<4 bytes>", "it is text"),
        (io.BytesIO(b""), "<stream>", "is empty"),
        (io.StringIO("text"), "<stream>", "gives str instead of bytes"),
        ("no\0name", "no%00name", "cannot be read: embedded null byte"),
        ("n" * 5000, "n" * 5000, "cannot be read"),
        (None, "None", "gives NoneType instead of bytes"),
        (7, "7", "gives int instead of bytes"),
    ],
    ids=["nothing", "str", "forbidden", "device", "archive", "recursion", "image-error", "bytes",
         "stream", "text-stream", "null-in-name", "long-name", "none", "number"],
)  # fmt: skip
@pytest.mark.parametrize("read", [decode_image, image_size])
def test_sources_that_fail(read: Callable[..., Any], source: Any, path: str, reason: str) -> None:
    with pytest.raises(ImageError) as caught:
        read(source)
    assert caught.value.path == path
    assert reason in caught.value.reason


def reason_of(path: Path) -> str:
    reasons = set()
    for read in (decode_image, image_size, read_file):
        with pytest.raises(ImageError) as caught:
            read(path)
        assert caught.value.path == str(path)
        reasons.add(caught.value.reason)
    assert len(reasons) == 1
    return reasons.pop()


def test_paths_that_are_no_picture_file(tmp_path: Path) -> None:
    assert reason_of(tmp_path) == "is a folder"
    assert reason_of(tmp_path / "missing.jpg") == "does not exist"
    (tmp_path / "a.jpg").symlink_to(tmp_path / "b.jpg")
    (tmp_path / "b.jpg").symlink_to(tmp_path / "a.jpg")
    assert reason_of(tmp_path / "a.jpg") == "is a symbolic link that leads back to itself"
    (tmp_path / "file").write_text("")
    assert reason_of(tmp_path / "file" / "a.jpg") == "does not exist"
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(images.MAX_FILE_BYTES + 2**20)
    assert reason_of(huge) == "has 513 MiB, more than the limit of 512 MiB"


def test_pipes_and_devices_do_not_block(tmp_path: Path) -> None:
    special = "is no regular file but a pipe, socket or device"
    os.mkfifo(tmp_path / "pipe.jpg")
    assert reason_of(tmp_path / "pipe.jpg") == special
    assert reason_of(Path("/dev/zero")) == special
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        assert reason_of(tmp_path / "s") == special


def test_a_file_that_becomes_a_pipe_does_not_block(
    picture_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = picture_file.stat()
    picture_file.unlink()
    os.mkfifo(picture_file)
    monkeypatch.setattr(Path, "stat", lambda *_, **__: status)
    with pytest.raises(ImageError, match="is no regular file"):
        decode_image(picture_file)


def test_a_file_without_permission(picture_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> int:
        raise PermissionError(13, "Permission denied", "photo.jpg")

    monkeypatch.setattr(os, "open", forbidden)  # root, in a container, may read every file
    assert reason_of(picture_file) == "may not be read: permission denied"


def test_empty_and_growing_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    assert reason_of(tmp_path / "empty.jpg") == "is empty"
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 10)
    with pytest.raises(ImageError, match="more than the limit"):
        decode_image(io.BytesIO(bytes(11)))


def test_size_reads_the_header_only(picture_file: Path) -> None:
    encoded = saved(noise(512), "JPEG")
    picture_file.write_bytes(cut(encoded))
    assert image_size(picture_file) == (512, 512)
    with pytest.raises(ImageError, match="ends early: the file is truncated"):
        decode_image(picture_file)
    picture_file.write_bytes(encoded[:100])
    assert reason_of_size(picture_file) == "ends early: the file is truncated"


def reason_of_size(path: Path) -> str:
    with pytest.raises(ImageError) as caught:
        image_size(path)
    return caught.value.reason


def test_heic_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = heic(noise())
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"pip install 'pareja\[heif\]'"):
        decode_image(encoded)


@pytest.mark.parametrize(
    ("brands", "kind"), [(b"mif1avif", "damaged"), (b"mif1heic", "pip install"), (b"", "pip")]
)
def test_the_brand_decides_in_a_neutral_container(
    monkeypatch: pytest.MonkeyPatch, brands: bytes, kind: str
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    box = struct.pack(">I", 16 + len(brands)) + b"ftypmif1\0\0\0\0" + brands
    with pytest.raises(ImageError, match=kind):
        decode_image(box + bytes(8))


# Scaled decoding --------------------------------------------------------------------------------


@cache
def photograph() -> Image.Image:
    """A picture with the spectrum of a photograph: noise whose amplitude falls with frequency."""
    rng = np.random.default_rng(1)
    picture = np.zeros((1200, 1600, 3))
    for side in (4, 16, 64, 256):
        levels = rng.integers(0, 256, (side, side, 3), np.uint8)
        picture += np.asarray(Image.fromarray(levels).resize((1600, 1200)), float) / side**0.5
    picture -= picture.min()
    return Image.fromarray((picture * (255 / picture.max())).astype(np.uint8))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_scaled_decoding_looks_the_same(mode: str) -> None:
    encoded = saved(photograph().convert(mode), "JPEG", quality=90)
    full, scaled = decode_image(encoded), decode_image(encoded, network_side=224)
    assert full.size == (1600, 1200)
    assert scaled.size == (800, 600)
    small = [
        np.asarray(picture.resize((224, 224), Image.Resampling.BICUBIC), float)
        for picture in (full, scaled)
    ]
    assert np.abs(small[0] - small[1]).mean() < 1
    one, other = ((array - array.mean()).ravel() for array in small)
    assert one @ other / (np.linalg.norm(one) * np.linalg.norm(other)) > 0.999


@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 450), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_scaled_side_never_falls_below_twice_the_network(
    width: int, height: int, side: int, orientation: int
) -> None:
    encoded = saved(Image.new("L", (width, height)), "JPEG", exif=oriented(orientation))
    full = image_size(encoded)
    scaled = decode_image(encoded, network_side=side).size
    assert min(scaled) >= min(2 * side, *full)
    # No larger than needed either, up to the eighth that JPEG can do.
    assert min(scaled) <= max(4 * side, min(full) // 8 + 1)
    assert (scaled[0] >= scaled[1]) == (full[0] >= full[1]) or abs(full[0] - full[1]) < 9


def test_only_jpeg_is_scaled() -> None:
    for kind in ("PNG", "WEBP", "TIFF", "AVIF"):
        assert decode_image(saved(noise(256), kind), network_side=8).size == (256, 256)
    assert decode_image(mpo(), network_side=1).size == (2, 2)


# Threads, warnings, fuzz ------------------------------------------------------------------------


def test_warnings_of_pillow_stay_inside_and_filters_do_not_pile_up() -> None:
    encoded = tiff_with_bad_tags()
    with pytest.warns(UserWarning, match="Truncated File Read|too many entries"):
        Image.open(io.BytesIO(encoded)).close()
    with warnings.catch_warnings():
        for _ in range(5):
            warnings.simplefilter("error")
            decode_image(encoded)
        assert [str(f[1]) for f in warnings.filters].count(str(images._QUIET)) == 1
        with pytest.raises(UserWarning, match="of the caller"):
            warnings.warn("of the caller", stacklevel=1)


FUZZED: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: saved(noise(24), "JPEG", exif=oriented(6), icc_profile=p3_profile()),
    "PNG": lambda: saved(noise(24).quantize(), "PNG", transparency=bytes(20), exif=oriented(6)),
    "APNG": lambda: apng(default_image=False),
    "GIF": lambda: gif(noise(24).quantize(), flat("P", 1, (24, 24)), transparency=1),
    "WEBP": lambda: saved(noise(24).convert("RGBA"), "WEBP", exif=oriented(6)),
    "TIFF": lambda: saved(noise(24), "TIFF", compression="tiff_lzw", exif=oriented(6)),
    "TIFF-CMYK": lambda: saved(flat("CMYK", 9), "TIFF", icc_profile=ink_profile()),
    "TIFF-float": lambda: float_tiff(0, 1, 2),
    "BMP": lambda: saved(noise(24).quantize(), "BMP"),
    "ICO": bitmap_icon,
    "AVIF": lambda: saved(noise(24), "AVIF", exif=oriented(6)),
    "HEIC": lambda: heic(noise(24)),
    "JPEG2000": lambda: saved(noise(24), "JPEG2000"),
    "PPM": lambda: b"P6 4 4 255 " + bytes(48),
    "QOI": lambda: saved(noise(24), "QOI"),
}


@cache
def valid(kind: str) -> bytes:
    return FUZZED[kind]()


@pytest.mark.parametrize("kind", FUZZED)
@given(data=st.data())
@settings(
    max_examples=40, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
def test_mutated_files_raise_image_errors_only(kind: str, data: st.DataObject) -> None:
    encoded = bytearray(valid(kind))
    # Headers are short and decide most, so half of the changes fall there.
    places = st.integers(0, min(64, len(encoded) - 1)) | st.integers(0, len(encoded) - 1)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8)):
        encoded[place] = byte
    end = data.draw(st.none() | st.integers(0, len(encoded)))
    mutated = bytes(encoded[:end])
    with suppress(ImageError):
        picture = decode_image(
            mutated, max_pixels=10**6, network_side=data.draw(st.none() | st.just(4))
        )
        assert picture.mode == "RGB"
        assert picture.width * picture.height <= 10**6
    with suppress(ImageError):
        width, height = image_size(mutated, max_pixels=10**6)
        assert 0 < width * height <= 10**6


def test_the_default_limit_is_within_what_pillow_reads() -> None:
    assert Image.MAX_IMAGE_PIXELS is not None
    assert DEFAULT_MAX_PIXELS <= 2 * Image.MAX_IMAGE_PIXELS
    assert TiffImagePlugin.READ_LIBTIFF is False
