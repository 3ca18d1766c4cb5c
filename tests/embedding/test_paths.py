from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from tests.embedding.counting_encoder import CountingEncoder

from pareja.datasets import load_dataset
from pareja.embedding import Embedded
from pareja.embedding.cache import EmbeddingCache, picture_digest
from pareja.embedding.paths import embed_paths
from pareja.embedding.pipeline import Progress
from pareja.errors import DatasetError, EncoderError, ImageError, OutputError

Paint = Callable[..., list[Path]]
ROOT = Path(__file__).parents[2]


def test_a_zip(paint: Paint, tmp_path: Path, encoder: CountingEncoder) -> None:
    paths = paint(3)
    with ZipFile(tmp_path / "p.zip", "w") as archive:
        for path in paths:
            archive.write(path, path.name)
    out = tmp_path / "e.npz"
    result = embed_paths([tmp_path / "p.zip"], encoder, out)
    assert result.pictures == 3
    stored = Embedded.load(out)
    assert stored.digests == tuple(picture_digest(path.read_bytes()) for path in paths)
    assert stored.names[0] == "p.zip/0000.png"


def test_nothing_to_embed(tmp_path: Path, encoder: CountingEncoder) -> None:
    with pytest.raises(DatasetError, match="there are no pictures"):
        embed_paths([], encoder, tmp_path / "e.npz")
    (tmp_path / "a.jpg").write_text("no picture")
    with pytest.raises(DatasetError, match=r"none of 1 picture could be decoded.*a\.jpg"):
        embed_paths([tmp_path / "a.jpg"], encoder, tmp_path / "e.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


def test_rows_are_names_digests_and_embeddings(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder
) -> None:
    paths = paint(40)
    paths[7].write_text("no picture")
    seen: list[Progress] = []
    out = tmp_path / "e.parquet"
    result = embed_paths([paths[0].parent], encoder, out, batch_size=8, progress=seen.append)
    assert (result.pictures, result.cached, result.path) == (39, 0, out)
    assert [name for name, _ in result.skipped] == [str(paths[7])]
    assert (seen[-1].done, seen[-1].total) == (40, 40)
    good = [path for path in paths if path != paths[7]]
    stored = Embedded.load(out, encoder.image_fingerprint)
    assert stored.names == tuple(path.relative_to(tmp_path).as_posix() for path in good)
    assert stored.digests == tuple(picture_digest(path.read_bytes()) for path in good)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
@pytest.mark.parametrize("out", ["e.npz", "e.parquet"])
def test_names_that_are_no_unicode(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder, out: str
) -> None:
    folder = tmp_path / os.fsdecode(b"d\xe9")
    folder.mkdir()
    (picture,) = paint(1)
    shutil.copy(picture, folder / os.fsdecode(b"caf\xe9.png"))
    for asked in (folder, folder / os.fsdecode(b"caf\xe9.png")):
        embed_paths([asked], encoder, tmp_path / out, force=True)
        (name,) = Embedded.load(tmp_path / out).names
        assert name == "d%E9/caf%E9.png"


def test_the_table_finds_its_pictures_from_any_folder(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first, *_) = paint(2)
    monkeypatch.chdir(first.parent)
    beside = tmp_path / "e.parquet"
    embed_paths(["."], encoder, beside)
    monkeypatch.chdir("/")
    assert [record.source.read() for record in load_dataset(beside)] == [
        path.read_bytes() for path in sorted(first.parent.iterdir())
    ]
    elsewhere = tmp_path / "other" / "e.npz"
    embed_paths([first, "pareja20"], encoder, elsewhere)
    names = Embedded.load(elsewhere).names
    assert names[0] == first.as_posix()
    assert Path(names[1]).is_absolute()
    assert Path(names[1]).is_file()


def test_a_second_run_writes_the_same_file_and_embeds_nothing(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder
) -> None:
    folder = paint(50)[0].parent
    with EmbeddingCache(tmp_path / "cache.sqlite3") as cache:
        embed_paths([folder], encoder, tmp_path / "1.parquet", cache=cache, batch_size=4)
        encoder.batches.clear()
        result = embed_paths([folder], encoder, tmp_path / "2.parquet", cache=cache)
    assert encoder.batches == []
    assert result.cached == result.pictures == 50
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_a_file_that_exists_is_kept(paint: Paint, tmp_path: Path, encoder: CountingEncoder) -> None:
    folder = paint(2)[0].parent
    out = tmp_path / "e.npz"
    out.write_text("mine")
    with pytest.raises(OutputError, match="`force=True`"):
        embed_paths([folder], encoder, out)
    assert encoder.batches == []
    assert out.read_text() == "mine"
    embed_paths([folder], encoder, out, force=True)
    assert len(Embedded.load(out).names) == 2


def test_an_encoder_of_texts(tmp_path: Path) -> None:
    class Texts:
        name = "texts"
        text_dim = 3
        text_fingerprint = CountingEncoder().text_fingerprint

        def encode_texts(self, texts: object) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
            raise NotImplementedError

    with pytest.raises(EncoderError, match="'texts' embeds no pictures"):
        embed_paths([tmp_path], Texts(), tmp_path / "e.npz")


CHILD = """
import sys
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.paths import embed_paths
from tests.embedding.counting_encoder import CountingEncoder
folder, cache, out, seconds = sys.argv[1:]
encoder = CountingEncoder(seconds=float(seconds))
result = embed_paths([folder], encoder, out, cache=EmbeddingCache(cache), batch_size=20)
print(result.cached, sum(encoder.batches))
"""


def child(folder: Path, cache: Path, out: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, folder, cache, out, str(seconds)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stored_count(path: Path) -> int:
    if not path.exists():
        return 0
    with EmbeddingCache(path) as cache:
        return len(cache)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no kill -9")
def test_a_killed_run_goes_on_where_it_stopped(paint: Paint, tmp_path: Path) -> None:
    folder = paint(2000)[0].parent
    cache, out = tmp_path / "cache.sqlite3", tmp_path / "out" / "e.parquet"
    killed = child(folder, cache, out, 0.05)
    deadline = time.monotonic() + 60
    while stored_count(cache) < 300:
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not out.exists()
    before = stored_count(cache)
    assert 300 <= before < 2000
    again = child(folder, cache, out, 0)
    report, errors = again.communicate(timeout=60)
    assert again.returncode == 0, errors
    assert report.split() == [str(before), str(2000 - before)]
    uninterrupted = out.with_name("uninterrupted.parquet")
    embed_paths([folder], CountingEncoder(), uninterrupted, batch_size=20)
    assert out.read_bytes() == uninterrupted.read_bytes()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signal to one process")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_says_one_line_and_leaves_nothing_half_written(
    stop: signal.Signals, paint: Paint, tmp_path: Path
) -> None:
    paint(400)  # ten seconds' work, so that it is under way when the signal comes
    cache, out = tmp_path / "cache.sqlite3", tmp_path / "out" / "e.npz"
    asked = ["embed", tmp_path, "--cache-file", cache, "--batch-size", "1", "-o", out]
    running = subprocess.Popen(
        [sys.executable, "-m", "pareja", *map(str, asked)],
        stderr=subprocess.PIPE,
        text=True,
        # A program that a shell runs in the background ignores Ctrl+C, and so would its child.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while not stored_count(cache):
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(stop)
    _, errors = running.communicate(timeout=30)
    assert errors == "pareja: interrupted; nothing half-written is left\n"
    assert running.returncode == 128 + stop
    assert not list(tmp_path.rglob("*.part")) + list(tmp_path.rglob("*.npz"))


def test_two_processes_at_once_share_their_work(paint: Paint, tmp_path: Path) -> None:
    folder = paint(400)[0].parent
    cache = tmp_path / "cache.sqlite3"
    runs = [child(folder, cache, tmp_path / f"{n}.parquet", 0.01) for n in range(2)]
    for run in runs:
        _, errors = run.communicate(timeout=60)
        assert run.returncode == 0, errors
    assert stored_count(cache) == 400
    assert (tmp_path / "0.parquet").read_bytes() == (tmp_path / "1.parquet").read_bytes()


def test_the_command(command: Callable[..., str], paint: Paint, tmp_path: Path) -> None:
    paths = paint(5)
    paths[1].write_text("no picture")
    out, cache = tmp_path / "e.parquet", tmp_path / "cache.sqlite3"
    text = command(paths[0].parent, "-m", "counting", "-o", out, "--cache-file", cache)
    assert f"left out: {paths[1]}: " in text
    assert f"{out}: 4 pictures (0 embedded before) in " in text
    shown = command(paths[0].parent, "-o", out, "--cache-file", cache, "--force", "--json")
    assert '"cached": 4' in shown
    assert '"model": "counting"' in shown
    shown = command(paths[0].parent, "-o", out, "--no-cache", "--force", "--json")
    assert '"cached": 0' in shown
    command(paths[0].parent, "-o", out, "--no-cache", "--cache-file", cache, status=2)


def test_a_file_of_embeddings_shows_only_pictures_that_were_embedded(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = paint(2)
    beside, elsewhere = first.parent / "e.npz", tmp_path / "other" / "e.npz"
    for out in (beside, elsewhere):
        embed_paths([first, second], encoder, out)
    monkeypatch.chdir("/")
    for out in (beside, elsewhere):
        shown = [record.source.read() for record in Embedded.load(out).dataset()]
        assert shown == [first.read_bytes(), second.read_bytes()]
    second.write_bytes(b"private")
    source = Embedded.load(elsewhere).dataset().records[1].source
    with pytest.raises(ImageError, match="is not the picture that was embedded"):
        source.read()
