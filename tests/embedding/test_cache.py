from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.embedding.counting_encoder import CountingEncoder

from pareja.datasets.formats.folders import FileSource
from pareja.embedding import cache as cache_module
from pareja.embedding.cache import (
    SCHEMA,
    EmbeddingCache,
    Stamp,
    default_cache_path,
    picture_digest,
    text_digest,
)
from pareja.embedding.pipeline import embed_sources, stream_images
from pareja.encoders.protocols import Fingerprint
from pareja.errors import OutputError

Paint = Callable[..., list[Path]]
SPACE = Fingerprint("model", "1", "none", "none")
VECTOR = np.array([0.6, -0.8], np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inside" / "cache.sqlite3"


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the stamps of files that were written just now."""
    monkeypatch.setattr(cache_module, "_SETTLED_NS", -1)


def cached(paths: list[Path], encoder: CountingEncoder, path: Path) -> int:
    """Embed pictures and return how many the cache had."""
    with EmbeddingCache(path) as cache:
        return sum(batch.cached for batch in stream_images(paths, encoder, cache=cache))


def test_vectors_come_back_as_they_were(path: Path) -> None:
    with EmbeddingCache(path) as cache:
        cache.store(SPACE, {"aa": VECTOR, "bb": 2 * VECTOR})
    with EmbeddingCache(path) as cache:
        found = cache.find(SPACE, ["aa", "cc", "bb"])
        assert set(found) == {"aa", "bb"}
        np.testing.assert_array_equal(found["aa"], VECTOR)
        assert found["aa"].dtype == np.float32
        assert cache.find(replace(SPACE, revision="2"), ["aa"]) == {}
        assert len(cache) == 2


def test_more_digests_than_sqlite_takes_at_once(path: Path) -> None:
    with EmbeddingCache(path) as cache:
        cache.store(SPACE, {f"{n:x}": VECTOR for n in range(2000)})
        assert len(cache.find(SPACE, [f"{n:x}" for n in range(40_000)])) == 2000


def test_a_second_run_embeds_nothing(paint: Paint, encoder: CountingEncoder, path: Path) -> None:
    paths = paint(50)
    with EmbeddingCache(path) as cache:
        first = embed_sources(paths, encoder, cache=cache)
        encoder.batches.clear()
        second = embed_sources(paths, encoder, cache=cache)
    assert encoder.batches == []
    np.testing.assert_array_equal(first.vectors, second.vectors)


@pytest.mark.usefixtures("settled")
def test_unchanged_files_are_not_read(
    paint: Paint, encoder: CountingEncoder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = paint(5)
    cached(paths, encoder, path)

    def refuse(source: FileSource) -> bytes:
        raise AssertionError(f"{source} is read again")

    monkeypatch.setattr(FileSource, "read", refuse)
    assert cached(paths, encoder, path) == 5


@pytest.mark.usefixtures("settled")
def test_moved_and_renamed_files_are_found(
    paint: Paint, encoder: CountingEncoder, path: Path, tmp_path: Path
) -> None:
    paths = paint(4)
    cached(paths, encoder, path)
    (tmp_path / "elsewhere").mkdir()
    moved = [file.rename(tmp_path / "elsewhere" / f"new {file.name}") for file in paths]
    copied = [Path(shutil.copy(file, f"{file}.copy.png")) for file in moved]
    assert cached(moved + copied, encoder, path) == 8


@pytest.mark.usefixtures("settled")
def test_a_file_with_new_content_and_old_dates_is_noticed(
    paint: Paint, encoder: CountingEncoder, path: Path
) -> None:
    first, second = paint(2)
    # What follows the end of a PNG is ignored.
    contents = [file.read_bytes().ljust(200, b"\0") for file in (first, second)]
    first.write_bytes(contents[0])
    cached([first], encoder, path)
    before = first.stat()
    first.write_bytes(contents[1])
    os.utime(first, ns=(before.st_atime_ns, before.st_mtime_ns))
    with EmbeddingCache(path) as cache:
        result = embed_sources([first], encoder, cache=cache)
    fresh = embed_sources([second], CountingEncoder())
    np.testing.assert_array_equal(result.vectors, fresh.vectors)


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_file_from_before_the_clock_was_set_is_known_again(
    paint: Paint, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    (file,) = paint(1)
    stamp = Stamp.of(file)
    assert stamp is not None
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + jump * 10**9)
    assert stamp.settled


def test_a_file_that_was_written_just_now_is_read_again(
    paint: Paint, encoder: CountingEncoder, path: Path
) -> None:
    (file,) = paint(1)
    stamp = Stamp.of(file)
    assert stamp is not None
    assert not stamp.settled
    cached([file], encoder, path)
    with EmbeddingCache(path) as cache:
        assert cache.known_digest(stamp) is None
    assert cached([file], encoder, path) == 1


def test_copies_within_one_run_are_embedded_once(
    paint: Paint, encoder: CountingEncoder, path: Path
) -> None:
    one, two = paint(2)
    with EmbeddingCache(path) as cache:
        result = embed_sources([one, two, one] * 20, encoder, batch_size=8, cache=cache)
    assert sum(encoder.batches) == 2
    np.testing.assert_array_equal(
        result.vectors, embed_sources([one, two, one] * 20, encoder).vectors
    )


def test_another_fingerprint_is_embedded_anew(
    paint: Paint, encoder: CountingEncoder, path: Path
) -> None:
    paths = paint(3)
    cached(paths, encoder, path)
    assert cached(paths, replace(encoder, revision="2"), path) == 0
    assert cached(paths, encoder, path) == 3


def test_a_text_is_never_taken_for_a_picture() -> None:
    assert text_digest("a") != picture_digest(b"a")
    assert text_digest("a") != text_digest("A")
    assert len(text_digest("\ud800")) == 64


def test_threads_share_one_cache(path: Path) -> None:
    with EmbeddingCache(path) as cache, ThreadPoolExecutor(8) as pool:

        def use(number: int) -> bool:
            cache.store(SPACE, {str(number): VECTOR})
            return str(number) in cache.find(SPACE, [str(number)])

        assert all(pool.map(use, range(200)))
        assert len(cache) == 200


STORE_MANY = """
import sys
import numpy as np
from pareja.embedding.cache import EmbeddingCache
from pareja.encoders.protocols import Fingerprint
space = Fingerprint("model", "1", "none", "none")
for number in range(100):
    with EmbeddingCache(sys.argv[1]) as cache:
        vector = np.zeros(8, np.float32)
        cache.store(space, {f"{sys.argv[2]} {number}": vector, f"{number}": vector})
"""


def test_processes_share_one_cache(path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", STORE_MANY, path, name], stderr=subprocess.PIPE)
        for name in "abc"
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors
    with EmbeddingCache(path) as cache:
        assert len(cache) == 400


def test_a_half_stored_batch_is_not_stored(path: Path) -> None:
    with EmbeddingCache(path) as cache:
        with pytest.raises(ValueError, match="could not convert"):
            cache.store(SPACE, {"aa": VECTOR, "bb": np.array(["x"])})
        assert len(cache) == 0
        cache.store(SPACE, {"aa": VECTOR})


def test_a_full_disk_is_named_and_the_cache_goes_on_working(path: Path) -> None:
    with EmbeddingCache(path) as cache:
        cache._database.execute("PRAGMA max_page_count = 20")
        many = {f"{number:064x}": np.ones(512, np.float32) for number in range(200)}
        with pytest.raises(OutputError, match="no room left on its disk"):
            cache.store(SPACE, many)
        assert len(cache) == 0
        cache.store(SPACE, dict(list(many.items())[:1]))
        assert len(cache) == 1


def test_a_vector_that_was_damaged_is_computed_again(path: Path) -> None:
    with EmbeddingCache(path) as cache:
        cache.store(SPACE, {"aa": VECTOR, "bb": VECTOR, "cc": VECTOR})
        for change in (
            "vector = x'3d0ad73e000080bf' WHERE digest = 'aa'",
            "digest = 'bc' WHERE digest = 'bb'",
        ):
            cache._database.execute(f"UPDATE embedding SET {change}")  # noqa: S608
        assert list(cache.find(SPACE, ["aa", "bb", "bc", "cc"])) == ["cc"]
        cache.store(SPACE, {"aa": VECTOR, "bc": VECTOR})
        assert sorted(cache.find(SPACE, ["aa", "bc"])) == ["aa", "bc"]


def test_a_file_that_is_no_database(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("something else " * 100)
    with pytest.raises(OutputError, match=r"cache\.sqlite3 is damaged: file is not a data"):
        EmbeddingCache(path)
    assert path.read_text().startswith("something else")


def test_a_database_that_is_damaged_inside(path: Path) -> None:
    with EmbeddingCache(path) as cache:
        cache.store(SPACE, {f"{n:064x}": np.zeros(512, np.float32) for n in range(200)})
    content = bytearray(path.read_bytes())
    content[8192:-8192] = bytes(len(content) - 16384)
    path.write_bytes(content)
    with EmbeddingCache(path) as cache, pytest.raises(OutputError, match="delete it if it is one"):
        cache.find(SPACE, [f"{n:064x}" for n in range(200)])


def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE embedding (mine)")
    database.close()
    with pytest.raises(OutputError, match="no embedding cache of this version"):
        EmbeddingCache(path)


def test_a_cache_of_a_newer_version(path: Path) -> None:
    EmbeddingCache(path).close()
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {SCHEMA.newest + 1}")
    database.close()
    with pytest.raises(OutputError, match="no embedding cache of this version"):
        EmbeddingCache(path)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"cannot be used: .* or do without a cache"):
        EmbeddingCache(tmp_path / "file" / "cache.sqlite3")
    with pytest.raises(
        OutputError, match=r"cannot be opened for writing: .* or do without a cache"
    ):
        EmbeddingCache(tmp_path)


def test_the_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with EmbeddingCache() as cache:
        assert cache.path == default_cache_path()
        assert cache.path.is_file()
