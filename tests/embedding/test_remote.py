from __future__ import annotations

import re
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from tests.embedding.counting_encoder import CountingEncoder
from tests.embedding.test_parts import pack, rows, shards

from pareja.datasets.formats import remote
from pareja.embedding import embed_parts
from pareja.embedding.partitions import planned
from pareja.errors import DatasetError, MachineError, MetadataError, MissingDependencyError
from pareja.inputs import find_pictures

Paint = Callable[..., list[Path]]


@pytest.fixture
def bucket() -> Iterator[Callable[[Path], str]]:
    """Put a folder into a storage that is in memory; return its URL."""
    storage = fsspec.filesystem("memory")

    def put(folder: Path) -> str:
        storage.put(str(folder), f"/bucket/{folder.name}", recursive=True)
        return f"memory:///bucket/{folder.name}"

    yield put
    storage.store.clear()
    storage.pseudo_dirs[:] = [""]


def without_places(folder: Path) -> list[dict[str, object]]:
    return [{key: row[key] for key in row if key != "place"} for row in rows(folder)]


def test_a_folder_on_other_storage_is_read_as_one_here(
    colour_folder: Path, tmp_path: Path, encoder: CountingEncoder, bucket: Callable[[Path], str]
) -> None:
    (colour_folder / "images" / "broken.png").write_text("no picture")
    (colour_folder / ".hidden.png").write_text("no picture")
    url = bucket(colour_folder)
    there = embed_parts(url, encoder, tmp_path / "there", partition_size=4)
    embed_parts(colour_folder, encoder, tmp_path / "here", partition_size=4)
    assert without_places(tmp_path / "there") == without_places(tmp_path / "here")
    assert there.skipped == ((f"{url}/images/broken.png", "not a picture: it is text"),)
    assert (
        rows(tmp_path / "there")[0]["place"] == f"{url}/{rows(tmp_path / 'here')[0]['file_name']}"
    )
    again = embed_parts(url, encoder, tmp_path / "there", partition_size=4)
    assert (again.written, again.found) == (0, 3)


def test_shards_on_other_storage_are_fetched_one_by_one(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder, bucket: Callable[[Path], str]
) -> None:
    paths = paint(6)
    pack(tmp_path / "tars", "train-0.tar", paths[:4])
    pack(tmp_path / "tars", "test-0.tar", paths[4:])
    url = bucket(tmp_path / "tars")
    plan = planned(url)
    assert plan.digest == planned(tmp_path / "tars").digest
    assert [part.shard for part in plan.partitions] == [f"{url}/test-0.tar", f"{url}/train-0.tar"]
    embed_parts(url, encoder, tmp_path / "there")
    embed_parts(tmp_path / "tars", encoder, tmp_path / "here")
    assert without_places(tmp_path / "there") == without_places(tmp_path / "here")
    assert rows(tmp_path / "there")[0]["place"] == f"{url}/test-0.tar/0004.png"
    # The bytes are gone from this machine's disk, and the names are those of one that stays.
    assert set(shards(tmp_path / "there")) == set(shards(tmp_path / "here"))
    split = embed_parts(url, encoder, tmp_path / "split", split="test")
    assert split.pictures == 2


def test_one_shard_alone_is_a_partition(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder, bucket: Callable[[Path], str]
) -> None:
    pack(tmp_path / "tars", "only.tar", paint(3))
    run = embed_parts(f"{bucket(tmp_path / 'tars')}/only.tar", encoder, tmp_path / "out")
    assert (run.written, run.pictures) == (1, 3)


def test_a_damaged_or_absent_shard_fails_alone(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder, bucket: Callable[[Path], str]
) -> None:
    pack(tmp_path / "tars", "a.tar", paint(3))
    with tarfile.open(tmp_path / "tars" / "b.tar", "w"):
        pass
    (tmp_path / "tars" / "b.tar").write_bytes(b"no tar at all" * 100)
    run = embed_parts(bucket(tmp_path / "tars"), encoder, tmp_path / "out")
    assert (run.written, len(run.failed)) == (1, 1)
    assert run.failed[0][0] == "memory:///bucket/tars/b.tar"


@pytest.mark.parametrize("url", ["memory://bucket/none", "nowhere://bucket/x"])
def test_where_there_is_nothing(url: str) -> None:
    with pytest.raises(DatasetError, match=re.escape(url)):
        planned(url)


def test_other_storage_is_for_partitions_alone() -> None:
    with pytest.raises(DatasetError, match=r"s3://bucket/x is on other storage.*`part`"):
        find_pictures("s3://bucket/x")


def test_a_row_without_its_picture_is_named(
    colour_folder: Path, bucket: Callable[[Path], str]
) -> None:
    (colour_folder / "images" / "red.png").unlink()
    with pytest.raises(MetadataError, match=r"metadata\.csv:2"):
        planned(bucket(colour_folder))


def test_a_storage_that_does_not_answer_makes_no_broken_pictures(
    colour_folder: Path,
    tmp_path: Path,
    encoder: CountingEncoder,
    bucket: Callable[[Path], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = bucket(colour_folder)

    def refuse(*_: Any, **__: Any) -> bytes:
        raise ConnectionResetError("reset by peer")

    monkeypatch.setattr(MemoryFileSystem, "cat_file", refuse)
    with pytest.raises(MachineError, match="the storage does not answer"):
        embed_parts(f"{url}/images", encoder, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_without_fsspec_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingDependencyError, match=r"pareja\[cluster\]"):
        remote.RemoteTree("s3://bucket/pictures")
