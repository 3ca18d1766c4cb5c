from __future__ import annotations

import errno
import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np
import pytest
from PIL import Image
from tests.conftest import ColourEncoder

from pareja import shortages
from pareja.datasets import decode_image, load_dataset
from pareja.datasets.formats.archives import ZipSource
from pareja.datasets.formats.folders import FileSource
from pareja.datasets.formats.webdataset import TarSource
from pareja.datasets.inspection import inspect_pictures
from pareja.embedding.pipeline import embed_sources, text_vectors
from pareja.encoders.protocols import Embeddings, Pixels
from pareja.errors import ImageError, MachineError
from pareja.search import Collection
from pareja.shortages import shortage_of


def png(number: int) -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (8, 8), (20 * number, 100, 0)).save(encoded, "PNG")
    return encoded.getvalue()


@dataclass(eq=False)
class Short:
    """A picture that cannot be read the first few times, for want of something."""

    number: int
    error: Exception
    times: int
    reads: Counter[int] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)

    def read(self) -> bytes:
        with self.lock:
            self.reads[self.number] += 1
            if self.reads[self.number] <= self.times:
                raise self.error
        return png(self.number)


SHORT = [
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError(errno.EMFILE, "Too many open files"),
    OSError(errno.ENFILE, "Too many open files in system"),
    OSError(errno.EIO, "Input/output error"),
    OSError("out of memory error when reading image file"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("std::bad_alloc"),
]


@pytest.mark.parametrize("error", SHORT, ids=repr)
def test_a_picture_is_tried_again_and_never_left_out(
    error: Exception, colours: ColourEncoder
) -> None:
    once = [Short(number, error, number % 2) for number in range(8)]
    result = embed_sources(once, colours, batch_size=4)
    assert (len(result.vectors), result.skipped) == (8, ())
    with pytest.raises(MachineError, match="Nothing is known to be wrong with it"):
        embed_sources([Short(0, error, 0), Short(1, error, 9)], colours)


@pytest.mark.parametrize(
    "error", [ValueError("no"), FileNotFoundError(2, "no"), RuntimeError("no")], ids=repr
)
def test_other_errors_are_not_the_machines(error: Exception) -> None:
    assert shortage_of(error) is None


def test_a_batch_that_does_not_fit_is_encoded_in_parts(
    colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [Short(number, MemoryError(), 0) for number in range(8)]
    whole = embed_sources(pictures, colours).vectors
    texts = text_vectors(["a", "b", "c", "d"], colours)
    room = 3
    encode_pixels, encode_texts = ColourEncoder._embed_pixels, ColourEncoder._embed_texts

    def pixels(encoder: ColourEncoder, given: Pixels) -> Embeddings:
        if len(given) > room:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return encode_pixels(encoder, given)

    def words(encoder: ColourEncoder, given: Sequence[str]) -> Embeddings:
        if len(given) > room:
            raise MemoryError
        return encode_texts(encoder, given)

    monkeypatch.setattr(ColourEncoder, "_embed_pixels", pixels)
    monkeypatch.setattr(ColourEncoder, "_embed_texts", words)
    np.testing.assert_array_equal(embed_sources(pictures, colours).vectors, whole)
    np.testing.assert_array_equal(text_vectors(["a", "b", "c", "d"], colours), texts)
    room = 0
    with pytest.raises(MachineError, match="a batch of 1: the machine has too little free memory"):
        embed_sources(pictures, colours)


def test_an_index_keeps_pictures_that_cannot_be_read_at_the_moment(
    tmp_path: Path, colour_folder: Path, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collection.open(tmp_path / "collection", create=True) as collection:
        collection.index(colour_folder, colours)
        for path in (colour_folder / "images").iterdir():
            path.write_bytes(path.read_bytes() + b"\0")

        def short(_: FileSource) -> bytes:
            raise MachineError("a.png", "too many files are open")

        with monkeypatch.context() as patch:
            patch.setattr(FileSource, "read", short)
            with pytest.raises(MachineError):
                collection.index(colour_folder, colours)
        assert collection.count() == 8
        report = collection.index(colour_folder, colours)
        assert (report.updated, report.removed, report.skipped) == (8, 0, ())


def test_what_decoders_call_broken_may_lack_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = io.BytesIO()
    Image.new("RGB", (64, 64)).save(encoded, "JPEG", progressive=True)
    broken = encoded.getvalue()[:-200]
    with pytest.raises(ImageError, match="truncated"):
        decode_image(broken)
    monkeypatch.setattr("pareja.datasets.images.has_memory", lambda _: False)
    with pytest.raises(MachineError, match="too little free memory"):
        decode_image(broken)
    with pytest.raises(ImageError, match="it is text"):
        decode_image(b"text")


def test_no_source_and_no_check_calls_a_picture_broken(
    tmp_path: Path, colour_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("a.png", png(0))
    (record, *_) = load_dataset(colour_folder)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(shortages, "has_memory", lambda _: True)
    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr("pareja.datasets.formats.archives.ZipFile", refuse)
    monkeypatch.setattr("pareja.datasets.images.os.open", refuse)
    sources = ZipSource(archive, "a.png"), TarSource(archive, "a.png", 0, 3), record.source
    for source in sources:
        with pytest.raises(MachineError, match="too many files are open"):
            source.read()
    with pytest.raises(MachineError):
        list(inspect_pictures([record]))
