from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image
from tests.embedding.counting_encoder import CountingEncoder

from pareja.datasets import load_dataset
from pareja.embedding import Embedded, embed_parts
from pareja.embedding.cache import picture_digest
from pareja.embedding.partitions import planned
from pareja.embedding.paths import embed_paths
from pareja.errors import DatasetError, FingerprintMismatchError, InputError, OutputError

Paint = Callable[..., list[Path]]
ROOT = Path(__file__).parents[2]


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows(folder: Path) -> list[dict[str, object]]:
    found = []
    for path in sorted(folder.iterdir()):
        found += pyarrow.parquet.read_table(path).to_pylist()
    return found


def test_parts_of_three_machines_are_what_one_machine_makes(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder
) -> None:
    paths = paint(25)
    one = embed_parts(paths[0].parent, encoder, tmp_path / "one", partition_size=4)
    assert (one.written, one.found, one.missing, one.pictures) == (7, 0, (), 25)
    left = [(2, 3, 5, 6), (3, 6), ()]
    for number in range(3):
        run = embed_parts(
            paths[0].parent, encoder, tmp_path / "all", part=(number + 1, 3), partition_size=4
        )
        assert run.missing == left[number]
    assert shards(tmp_path / "all") == shards(tmp_path / "one")
    whole = embed_paths([paths[0].parent], encoder, tmp_path / "e.npz")
    stored = Embedded.load(whole.path)
    found = rows(tmp_path / "all")
    assert [row["place"] for row in found] == [path.as_posix() for path in paths]
    assert tuple(row["sha256"] for row in found) == stored.digests
    vectors = np.array([row["embedding"] for row in found])
    assert np.allclose(vectors, stored.vectors, atol=1e-6)


def test_what_is_written_about_a_picture_is_in_its_row(
    colour_folder: Path, tmp_path: Path, encoder: CountingEncoder
) -> None:
    embed_parts(colour_folder, encoder, tmp_path / "out")
    found = rows(tmp_path / "out")
    for row, record in zip(found, load_dataset(colour_folder), strict=True):
        assert row["file_name"] == record.file_name
        assert row["captions"] == list(record.captions)
        assert (row["category"], row["author"]) == (record.category, record.author)
        assert row["sha256"] == picture_digest(record.source.read())
        assert row["error"] is None


def test_a_picture_that_failed_is_a_row_with_its_reason(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder
) -> None:
    paths = paint(5)
    paths[2].write_text("no picture")
    outside = tmp_path / "outside.png"
    outside.write_bytes(paths[0].read_bytes())
    (paths[0].parent / "z.png").symlink_to(outside)
    run = embed_parts(paths[0].parent, encoder, tmp_path / "out", batch_size=2)
    assert [name for name, _ in run.skipped] == [str(paths[2]), "z.png"]
    found = rows(tmp_path / "out")
    assert [row["error"] for row in found] == [
        *(None, None, run.skipped[0][1], None, None),
        "is a link that leads out of the dataset",
    ]
    assert found[2]["embedding"] is None
    (shard,) = (tmp_path / "out").iterdir()
    assert Embedded.load(shard).vectors.shape == (4, 12)


def test_only_what_is_missing_is_done(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder
) -> None:
    folder = paint(12)[0].parent
    out = tmp_path / "out"
    embed_parts(folder, encoder, out, partition_size=3)
    before = shards(out)
    lost = sorted(before)[2]
    (out / lost).unlink()
    encoder.batches.clear()
    again = embed_parts(folder, encoder, out, partition_size=3)
    assert (again.written, again.found, encoder.batches) == (1, 3, [3])
    assert shards(out) == before


def test_shards_of_another_run_are_refused(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder
) -> None:
    folder = paint(4)[0].parent
    out = tmp_path / "out"
    embed_parts(folder, encoder, out)
    before = shards(out)
    with pytest.raises(FingerprintMismatchError, match="Choose another folder, or the same model"):
        embed_parts(folder, CountingEncoder(revision="2"), out)
    with pytest.raises(OutputError, match="`partition_size`"):
        embed_parts(folder, encoder, out, partition_size=3)
    (folder / "new.png").write_bytes((folder / "0000.png").read_bytes())
    with pytest.raises(OutputError, match="is of other pictures"):
        embed_parts(folder, encoder, out)
    assert shards(out) == before


def test_a_plan_does_not_depend_on_where_the_pictures_are(paint: Paint, tmp_path: Path) -> None:
    folder = paint(5)[0].parent
    moved = folder.rename(tmp_path / "elsewhere")
    here = planned(moved, partition_size=2)
    moved.rename(folder)
    there = planned(folder, partition_size=2)
    assert here.digest == there.digest
    assert [len(partition.listed) for partition in here.partitions] == [2, 2, 1]
    assert planned(folder, partition_size=3).digest != there.digest


def pack(folder: Path, shard: str, pictures: list[Path]) -> None:
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / shard, "w") as tar:
        for path in pictures:
            tar.add(path, path.name)


def test_each_file_of_several_is_one_partition(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder
) -> None:
    paths = paint(6)
    for number in range(3):
        pack(tmp_path / "tars", f"s-{number}.tar", paths[2 * number : 2 * number + 2])
    plan = planned(tmp_path / "tars", partition_size=1)
    assert [partition.listed for partition in plan.partitions] == [(), (), ()]
    run = embed_parts(tmp_path / "tars", encoder, tmp_path / "out")
    assert (run.written, run.pictures) == (3, 6)
    found = rows(tmp_path / "out")
    # The names and digests are those of the dataset as a whole.
    assert [(row["file_name"], row["sha256"]) for row in found] == [
        (record.file_name, picture_digest(record.source.read()))
        for record in load_dataset(tmp_path / "tars")
    ]
    assert found[0]["place"] == f"{tmp_path.as_posix()}/tars/s-0.tar/0000.png"


def test_a_damaged_file_of_several_is_named_and_the_others_are_done(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder
) -> None:
    paths = paint(4)
    for number in range(2):
        pack(tmp_path / "tars", f"s-{number}.tar", paths[2 * number : 2 * number + 2])
    whole = (tmp_path / "tars" / "s-0.tar").read_bytes()
    (tmp_path / "tars" / "s-0.tar").write_bytes(whole[:700])
    run = embed_parts(tmp_path / "tars", encoder, tmp_path / "out")
    assert (run.written, run.missing) == (1, (1,))
    ((name, reason),) = run.failed
    assert name == str(tmp_path / "tars" / "s-0.tar")
    assert "damaged" in reason
    (tmp_path / "tars" / "s-0.tar").write_bytes(whole)
    again = embed_parts(tmp_path / "tars", encoder, tmp_path / "out")
    assert (again.written, again.found, again.missing) == (1, 1, ())


def test_one_split_of_several_files(paint: Paint, tmp_path: Path, encoder: CountingEncoder) -> None:
    paths = paint(5)
    pack(tmp_path / "tars", "train-0.tar", paths[:3])
    pack(tmp_path / "tars", "test-0.tar", paths[3:])
    run = embed_parts(tmp_path / "tars", encoder, tmp_path / "out", split="test")
    assert (run.written, run.pictures) == (2, 2)
    with pytest.raises(DatasetError, match="no pictures of this `split`"):
        embed_parts(tmp_path / "tars", encoder, tmp_path / "other", split="validation")


@pytest.mark.parametrize("part", [(0, 2), (3, 2), (1, 0)])
def test_a_part_that_is_none(
    part: tuple[int, int], paint: Paint, tmp_path: Path, encoder: CountingEncoder
) -> None:
    with pytest.raises(InputError, match="`part` is"):
        embed_parts(paint(1), encoder, tmp_path / "out", part=part)


def test_pictures_in_memory_are_refused(tmp_path: Path, encoder: CountingEncoder) -> None:
    with pytest.raises(InputError, match="other processes read"):
        embed_parts([Image.new("RGB", (2, 2))], encoder, tmp_path / "out")  # type: ignore[list-item]


CHILD = """
import sys
from pareja.embedding import embed_parts
from tests.embedding.counting_encoder import CountingEncoder
folder, out = sys.argv[1:]
embed_parts(folder, CountingEncoder(seconds=0.1), out, partition_size=10)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no kill -9")
def test_a_killed_run_leaves_whole_shards_and_goes_on(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder
) -> None:
    folder = paint(150)[0].parent
    out = tmp_path / "out"
    killed = subprocess.Popen([sys.executable, "-c", CHILD, folder, out], cwd=ROOT)
    deadline = time.monotonic() + 60
    while len(list(out.glob("part-*"))) < 3:
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    there = shards(out)
    again = embed_parts(folder, encoder, out, partition_size=10)
    assert 3 <= again.found < 15
    assert again.found + again.written == 15
    embed_parts(folder, encoder, tmp_path / "uninterrupted", partition_size=10)
    whole = shards(tmp_path / "uninterrupted")
    assert shards(out) == whole
    assert {
        name: whole[name] for name in there if name.endswith(".parquet")
    }.items() <= there.items()


def test_the_command(command: Callable[..., str], paint: Paint, tmp_path: Path) -> None:
    paths = paint(5)
    paths[1].write_text("no picture")
    out = tmp_path / "out"
    arguments = (paths[0].parent, "-m", "counting", "-o", out, "--partition-size", 2)
    text = command(*arguments, "--part", "1/2")
    assert f"failed: {paths[1]}: " in text
    assert f"{out}: 2 pictures in 2 shards, 0 there before, 1 still missing" in text
    shown = command(*arguments, "--part", "2/2", "--json")
    assert '"missing": []' in shown
    for wrong in ("2", "a/b", "1/"):
        assert "Give i/n, as 2/8." in command(*arguments, "--part", wrong, status=2)
    assert "--partition-size" in command(
        paths[0].parent, "-o", out, "--partition-size", 2, status=2
    )
    assert "--part" in command(*arguments, "--part", "1/2", "--force", status=2)


def test_a_folder_for_shards_is_on_this_machine(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = paint(2)[0].parent
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    with pytest.raises(OutputError, match="is on other storage"):
        embed_parts(folder, encoder, "s3://bucket/out")
    assert encoder.batches == []
    assert set(tmp_path.iterdir()) == before
