from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.embedding.counting_encoder import CountingEncoder
from typer import Typer
from typer.testing import CliRunner

import pareja
from pareja.cli.index import index
from pareja.embedding import Embedded, embed_parts
from pareja.errors import CollectionError, DatasetError, FingerprintMismatchError
from pareja.search import Collection
from pareja.search.shards import ShardMemory


@pytest.fixture
def encoder() -> CountingEncoder:
    return CountingEncoder()


@pytest.fixture
def shards(colour_folder: Path, tmp_path: Path, encoder: CountingEncoder) -> Path:
    """The eight pictures of `colour_folder`, embedded in four shards."""
    embed_parts(colour_folder, encoder, tmp_path / "shards", partition_size=2)
    encoder.batches.clear()
    return tmp_path / "shards"


@pytest.fixture
def shelf(tmp_path: Path) -> Collection:
    return pareja.open(tmp_path / "index", create=True)


def test_shards_are_indexed_without_embedding(
    colour_folder: Path, shards: Path, shelf: Collection, encoder: CountingEncoder, tmp_path: Path
) -> None:
    with shelf, pareja.open(tmp_path / "usual", create=True) as usual:
        report = shelf.index(colour_folder, encoder, embedded=shards)
        assert (report.added, report.skipped, encoder.batches) == (8, (), [])
        usual.index(colour_folder, encoder, cache=False)
        ids, vectors = shelf.embeddings(encoder)
        usual_ids, usual_vectors = usual.embeddings(encoder)
        assert ids.tolist() == usual_ids.tolist()
        assert np.allclose(vectors, usual_vectors, atol=1e-3)
        for ours, theirs in zip(shelf.pictures(), usual.pictures(), strict=True):
            assert ours == theirs
        again = shelf.index(colour_folder, encoder, embedded=shards)
        assert (again.added, again.unchanged + again.duplicates) == (0, 8)
        assert shelf.count() == 8


def test_pictures_may_lie_elsewhere_under_other_names(
    colour_folder: Path, shards: Path, shelf: Collection, encoder: CountingEncoder, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    for number, path in enumerate(sorted((colour_folder / "images").iterdir())):
        shutil.move(path, tmp_path / "here" / f"{number}.png")
    with shelf:
        assert shelf.index(tmp_path / "here", encoder, embedded=shards).added == 8


def test_what_was_changed_what_is_new_and_what_is_gone_is_named(
    colour_folder: Path, shards: Path, shelf: Collection, encoder: CountingEncoder
) -> None:
    images = colour_folder / "images"
    shutil.copy(images / "red.png", images / "new.png")
    with (images / "new.png").open("ab") as stream:
        stream.write(b"\0")
    (images / "blue.png").unlink()
    (colour_folder / "metadata.csv").unlink()
    with shelf:
        report = shelf.index(colour_folder, encoder, embedded=shards)
        assert report.added == shelf.count() == 7
        assert encoder.batches == []
        reasons = {Path(name).name: reason for name, reason in report.skipped}
    assert reasons["new.png"].endswith("it is new, or was changed since it was embedded")
    assert reasons["blue.png"] == "was embedded, and is not among the pictures that are indexed"
    assert len(reasons) == 2


def test_a_link_that_leads_out_of_the_folder_is_not_followed(
    colour_folder: Path, shards: Path, shelf: Collection, encoder: CountingEncoder, tmp_path: Path
) -> None:
    red = colour_folder / "images" / "red.png"
    red.rename(tmp_path / "red.png")
    red.symlink_to(tmp_path / "red.png")
    (colour_folder / "metadata.csv").unlink()
    with shelf:
        report = shelf.index(colour_folder, encoder, embedded=shards)
        assert report.added == 7
        assert [name for name, reason in report.skipped if "was embedded" in reason] == [str(red)]


def test_a_missing_shard_is_named(
    colour_folder: Path, shards: Path, shelf: Collection, encoder: CountingEncoder
) -> None:
    for number in (2, 3):
        next(shards.glob(f"part-0000{number}-*")).unlink()
    with shelf, pytest.raises(DatasetError, match="lacks 2 of 4 shards, of the partitions 2, 3"):
        shelf.index(colour_folder, encoder, embedded=shards)


def test_a_damaged_shard_is_named(
    colour_folder: Path, shards: Path, shelf: Collection, encoder: CountingEncoder
) -> None:
    damaged = sorted(shards.iterdir())[1]
    vectors = Embedded.load(damaged).vectors
    content = bytearray(damaged.read_bytes())
    content[content.index(vectors.tobytes())] ^= 0xFF
    damaged.write_bytes(content)
    with shelf, pytest.raises(DatasetError, match=damaged.name):
        shelf.index(colour_folder, encoder, embedded=shards)


def test_shards_of_two_runs_and_none_at_all(
    colour_folder: Path, shards: Path, tmp_path: Path, encoder: CountingEncoder
) -> None:
    embed_parts(colour_folder, encoder, tmp_path / "other", partition_size=5)
    for path in (tmp_path / "other").iterdir():
        shutil.copy(path, shards)
    with pytest.raises(DatasetError, match="shards of several runs"):
        ShardMemory(shards)
    with pytest.raises(DatasetError, match="holds no shards"):
        ShardMemory(tmp_path / "nothing")


def test_another_model_is_refused(colour_folder: Path, shards: Path, shelf: Collection) -> None:
    with shelf, pytest.raises(FingerprintMismatchError, match="Name the `model`"):
        shelf.index(colour_folder, CountingEncoder(revision="2"), embedded=shards)


def test_the_wrong_folder_is_refused(
    shards: Path, shelf: Collection, encoder: CountingEncoder, tmp_path: Path
) -> None:
    (tmp_path / "wrong").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "wrong" / "a.png")
    with shelf, pytest.raises(DatasetError, match="no picture there is one of the 8 pictures"):
        shelf.index(tmp_path / "wrong", encoder, embedded=shards)


def test_parts_of_pictures_are_in_no_shard(
    colour_folder: Path, shards: Path, shelf: Collection, encoder: CountingEncoder
) -> None:
    with shelf, pytest.raises(CollectionError, match="`regions=False`"):
        shelf.index(colour_folder, encoder, embedded=shards, regions=True)


def test_copies_of_a_picture_are_one(
    colour_folder: Path, shelf: Collection, encoder: CountingEncoder, tmp_path: Path
) -> None:
    shutil.copytree(colour_folder / "images", colour_folder / "copies")
    (colour_folder / "metadata.csv").unlink()
    embed_parts(colour_folder, encoder, tmp_path / "shards", partition_size=3)
    with shelf:
        report = shelf.index(colour_folder, encoder, embedded=tmp_path / "shards")
        assert (report.added, report.duplicates, report.skipped, shelf.count()) == (8, 8, (), 8)


def test_the_command(
    colour_folder: Path,
    shards: Path,
    encoder: CountingEncoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pareja.encoders.load", lambda name, **options: encoder)
    app = Typer()
    app.command()(index)
    asked = ["--index", str(tmp_path / "index"), "--embedded", str(shards)]
    done = CliRunner().invoke(app, [str(colour_folder), *asked])
    assert "8 added" in done.output
    assert encoder.batches == []
    for wrong in (asked, [str(colour_folder), *asked, "--watch"]):
        assert "--embedded" in CliRunner().invoke(app, wrong).output
