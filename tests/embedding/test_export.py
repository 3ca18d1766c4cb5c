from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from pareja.embedding import Embedded
from pareja.embedding.export import Rows, writer_for
from pareja.encoders.protocols import Fingerprint
from pareja.errors import (
    DatasetError,
    FingerprintMismatchError,
    MissingDependencyError,
    OutputError,
)

SPACE = Fingerprint("modelo ñ", "1", "224", "cls")
COUNT, DIM = 2500, 3
VECTORS = np.random.default_rng(0).standard_normal((COUNT, DIM)).astype(np.float32)


def rows(step: int, count: int = COUNT) -> Iterator[Rows]:
    for start in range(0, count, step):
        which = range(start, min(start + step, count))
        yield Rows(
            [f"b/{n}.jpg" for n in which],
            [f"{n:064x}" for n in which],
            VECTORS[which.start : which.stop],
        )


def write(path: Path, step: int = 32, count: int = COUNT) -> Path:
    stream = io.BytesIO()
    writer_for(path)(stream, rows(step, count), SPACE, DIM)
    path.write_bytes(stream.getvalue())
    return path


@pytest.mark.parametrize("name", ["e.parquet", "e.npz", "E.NPZ"])
@pytest.mark.parametrize("count", [0, 1, COUNT])
def test_what_is_written_is_read(tmp_path: Path, name: str, count: int) -> None:
    stored = Embedded.load(write(tmp_path / name, count=count), SPACE)
    assert stored.names == tuple(f"b/{n}.jpg" for n in range(count))
    assert stored.digests == tuple(f"{n:064x}" for n in range(count))
    assert stored.space == SPACE
    assert stored.vectors.dtype == np.float32
    np.testing.assert_array_equal(stored.vectors, VECTORS[:count])


@pytest.mark.parametrize("name", ["e.parquet", "e.npz"])
def test_bytes_do_not_tell_how_the_rows_came(tmp_path: Path, name: str) -> None:
    assert write(tmp_path / name, 32).read_bytes() == write(tmp_path / f"2{name}", 700).read_bytes()


def test_other_programs_see_plain_columns(tmp_path: Path) -> None:
    file = pyarrow.parquet.ParquetFile(write(tmp_path / "e.parquet"))
    assert file.schema_arrow.names == ["file_name", "sha256", "embedding"]
    assert str(file.schema_arrow.field("embedding").type) == "fixed_size_list<element: float>[3]"
    assert json.loads(file.schema_arrow.metadata[b"pareja.fingerprint"])["model"] == "modelo ñ"


@pytest.mark.parametrize("name", ["e.parquet", "e.npz"])
def test_another_space_is_refused(tmp_path: Path, name: str) -> None:
    other = Fingerprint("modelo ñ", "2", "224", "cls")
    with pytest.raises(FingerprintMismatchError, match=r"modelo ñ@.*those of modelo"):
        Embedded.load(write(tmp_path / name, count=1), other)


def test_files_that_are_something_else(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "other.parquet")
    np.savez(tmp_path / "other.npz", a=1)
    for name in ("text.parquet", "text.npz"):
        (tmp_path / name).write_text("no embeddings")
    for name in ("other.parquet", "other.npz", "text.parquet", "text.npz"):
        with pytest.raises(DatasetError, match=f"{name} holds no embeddings"):
            Embedded.load(tmp_path / name)
    with pytest.raises(DatasetError, match=r"missing\.parquet cannot be read"):
        Embedded.load(tmp_path / "missing.parquet")


def test_an_ending_that_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"as \.parquet or \.npz"):
        writer_for("e.csv")


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingDependencyError, match="pyarrow"):
        writer_for("e.parquet")
    writer_for("e.npz")


def test_an_array_that_claims_to_be_huge_is_one_line(tmp_path: Path) -> None:
    whole = write(tmp_path / "e.npz", count=1)
    header = io.BytesIO()
    claim = {"descr": "<f4", "fortran_order": False, "shape": (10**12, DIM)}
    np.lib.format.write_array_header_1_0(header, claim)
    with zipfile.ZipFile(whole) as read, zipfile.ZipFile(tmp_path / "huge.npz", "w") as written:
        for name in read.namelist():
            huge = name == "embedding.npy"
            written.writestr(name, header.getvalue() if huge else read.read(name))
    with pytest.raises(DatasetError, match="claims to hold more than fits into memory"):
        Embedded.load(tmp_path / "huge.npz")
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(DatasetError, match="it is no regular file"):
        Embedded.load(tmp_path / "pipe.npz")
