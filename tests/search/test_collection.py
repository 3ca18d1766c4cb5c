from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tests.colour_classifier import COLOUR_NAMES, colour_classifier

from pareja.datasets import load_dataset
from pareja.embedding import Embedded, text_vectors
from pareja.encoders import EncoderPair, Fingerprint, load, require_dual
from pareja.errors import (
    CollectionError,
    DatasetError,
    EncoderError,
    FingerprintMismatchError,
    ImageError,
    InputError,
    LostPictureError,
    NoSuchPictureError,
)
from pareja.search import Collection, Query, Shows, relevance
from pareja.sqlite import Schema

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


ELSEWHERE = Fingerprint("clip", "1", "224", "projection")


@pytest.fixture(params=[None, "qdrant://:memory:/test"], ids=["sqlite", "qdrant"])
def collection(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Collection]:
    with Collection.open(tmp_path / "collection", create=True, store=request.param) as collection:
        yield collection


@pytest.fixture
def indexed(collection: Collection, colour_folder: Path, colours: ColourEncoder) -> Collection:
    settle(colour_folder)
    collection.index([colour_folder], colours)
    return collection


def settle(folder: Path) -> None:
    """Make files old enough that their time stamps tell whether they change."""
    for path in folder.rglob("*"):
        os.utime(path, (1_600_000_000, 1_600_000_000))


@pytest.fixture(autouse=True)
def _old_files_are_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of change cannot be set back, so the patience is shortened instead."""
    monkeypatch.setattr("pareja.embedding.cache._SETTLED_NS", 0)


def names(collection: Collection, encoder: ColourEncoder, text: str, k: int = 1) -> list[str]:
    hits = collection.search(Query(text=text), encoder, k=k).hits
    return [hit.picture.path.stem for hit in hits]


def test_pictures_are_found_by_words(indexed: Collection, colours: ColourEncoder) -> None:
    for colour in ("red", "green", "blue", "yellow", "pink"):
        result = indexed.search(Query(text=f"something {colour}"), colours, k=3)
        assert [hit.rank for hit in result.hits] == [1, 2, 3]
        best = result.hits[0].picture
        assert best.path.stem == colour
        assert best.caption == f"A wall painted {colour}"
        assert (best.author, best.license, best.width, best.height) == ("Ana", "CC0-1.0", 400, 320)
        assert result.model == "colours"
        assert result.took_ms > 0
    assert indexed.models() == ("colours",)
    assert indexed.categories() == {"bright": 4, "dark": 4}
    assert indexed.count() == 8


def test_a_second_run_embeds_and_reads_nothing(
    indexed: Collection,
    colour_folder: Path,
    colours: ColourEncoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(source: object) -> None:
        raise AssertionError(f"{source} did not change and was read")

    monkeypatch.setattr("pareja.datasets.formats.folders.FileSource.read", refuse)
    monkeypatch.setattr("pareja.datasets.formats.folders.read_file", refuse)
    monkeypatch.setattr("pareja.datasets.images.read_file", refuse)
    report = indexed.index([colour_folder], colours)
    assert (report.unchanged, report.added, report.skipped) == (8, 0, ())


def test_moved_renamed_deleted_modified_and_copied_files_are_noticed(
    collection: Collection, tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    album = tmp_path / "album"
    shutil.copytree(colour_folder / "images", album)
    report = collection.index([album], colours)
    assert report.added == 8
    red = collection.search(Query(text="red"), colours).hits[0].picture.id

    (album / "trip").mkdir()
    (album / "red.png").rename(album / "trip" / "año nuevo 紅.png")
    (album / "green.png").unlink()
    shutil.copy(album / "blue.png", album / "copy of blue.png")
    Image.new("RGB", (40, 40), (110, 60, 20)).save(album / "pink.png")
    report = collection.index([album], colours)
    assert (report.moved, report.removed, report.duplicates, report.updated) == (1, 1, 1, 1)
    assert (report.added, report.unchanged) == (0, 5)
    assert report.moves == ((str(album / "red.png"), str(album / "trip" / "año nuevo 紅.png")),)

    assert names(collection, colours, "red") == ["año nuevo 紅"]
    assert collection.search(Query(text="red"), colours).hits[0].picture.id == red
    assert collection.count() == 7
    assert "green" not in names(collection, colours, "green", k=10)
    assert set(names(collection, colours, "brown", k=2)) == {"brown", "pink"}
    assert collection.verify().ok
    again = collection.index([album], colours)
    assert (again.unchanged, again.added, again.moved, again.duplicates) == (8, 0, 0, 0)


@pytest.mark.parametrize("order", [1, -1], ids=["left first", "joined first"])
def test_a_picture_that_moved_to_another_folder_is_not_embedded_again(
    collection: Collection,
    tmp_path: Path,
    colour_folder: Path,
    colours: ColourEncoder,
    monkeypatch: pytest.MonkeyPatch,
    order: int,
) -> None:
    left, joined = tmp_path / "left", tmp_path / "joined"
    shutil.copytree(colour_folder / "images", left)
    joined.mkdir()
    (left / "blue.png").rename(joined / "blue.png")
    collection.index([left, joined], colours)
    red = collection.search(Query(text="red"), colours).hits[0].picture.id
    collection.judge("warm", red, True)
    monkeypatch.setattr(type(colours), "encode_pixels", pytest.fail)

    (left / "red.png").rename(joined / "red.png")
    (left / "green.png").unlink()
    report = collection.index([left, joined][::order], colours)
    assert (report.moved, report.removed, report.added, report.unchanged) == (1, 1, 0, 6)
    found = collection.search(Query(text="red"), colours).hits[0].picture
    assert (found.id, found.path) == (red, joined / "red.png")
    assert collection.judgements("warm") == {red: True}
    assert collection.verify().ok


def test_a_folder_below_another_one_is_a_place_of_its_own(
    indexed: Collection, colour_folder: Path, colours: ColourEncoder
) -> None:
    (below := colour_folder / "unlisted").mkdir()
    Image.new("RGB", (30, 30), (1, 200, 200)).save(below / "teal.png")
    assert indexed.index([colour_folder, below], colours).added == 1
    again = indexed.index([colour_folder, below], colours)
    assert (again.unchanged, again.added, again.removed) == (9, 0, 0)


@pytest.mark.parametrize("settles", [0, 10**15], ids=["trusted stamps", "recent files"])
def test_a_folder_of_a_dataset_by_itself_takes_no_captions_away(
    collection: Collection,
    tmp_path: Path,
    colour_folder: Path,
    colours: ColourEncoder,
    monkeypatch: pytest.MonkeyPatch,
    settles: int,
) -> None:
    monkeypatch.setattr("pareja.embedding.cache._SETTLED_NS", settles)
    shutil.copytree(colour_folder, tmp_path / "walls")
    collection.index([tmp_path / "walls"], colours)
    before = collection.pictures()
    assert all(picture.caption for picture in before)
    below = tmp_path / "walls" / "images"
    report = collection.index([below], colours)
    assert (report.unchanged, report.updated) == (8, 0)
    assert collection.pictures() == before
    (below / "red.png").write_bytes((below / "pink.png").read_bytes())
    collection.index([below], colours)
    assert {picture.caption for picture in collection.pictures()} >= {"A wall painted blue"}
    (below / "red.png").unlink()
    assert collection.index([tmp_path / "walls"], colours).removed == 1
    assert collection.verify().ok


def test_folders_of_a_part_of_a_dataset_take_no_captions_away(
    collection: Collection, tmp_path: Path, colours: ColourEncoder
) -> None:
    album, rows = tmp_path / "album", ["file_name,caption,category"]
    for place, colour in (("walls/a", "red"), ("walls/b", "blue")):
        (album / place).mkdir(parents=True)
        Image.new("RGB", (9, 9), colour).save(album / place / "1.png")
        rows.append(f"{place}/1.png,A wall painted {colour},{colour}")
    (album / "metadata.csv").write_text("\n".join(rows))
    collection.index([album], colours)
    before = collection.pictures()
    assert {picture.category for picture in before} == {"red", "blue"}
    assert collection.index([album / "walls"], colours).unchanged == 2
    assert collection.pictures() == before
    # Where nothing else was said, folders that are indexed by themselves give the categories.
    (album / "metadata.csv").unlink()
    collection.index([album], colours)
    collection.index([album / "walls"], colours)
    assert {picture.category for picture in collection.pictures()} == {"a", "b"}


def test_a_copy_keeps_a_picture_when_its_first_file_goes(
    collection: Collection, tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    album = tmp_path / "album"
    shutil.copytree(colour_folder / "images", album)
    shutil.copy(album / "red.png", album / "zz.png")
    assert collection.index([album], colours).duplicates == 1
    (album / "red.png").unlink()
    report = collection.index([album], colours)
    assert (report.removed, collection.count()) == (1, 8)
    assert names(collection, colours, "red") == ["zz"]


def test_other_folders_stay_and_missing_ones_are_no_reason_to_forget(
    indexed: Collection, tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    other = tmp_path / "colours-2"  # its name begins like the first folder's
    other.mkdir()
    Image.new("RGB", (30, 30), (1, 200, 200)).save(other / "teal.png")
    indexed.index([other], colours)
    assert indexed.count() == 9
    (other / "teal.png").rename(tmp_path / "away.png")
    with pytest.raises(DatasetError):
        indexed.index([other], colours)
    assert indexed.count() == 9
    indexed.index([colour_folder], colours)
    assert indexed.count() == 9


def test_a_place_that_is_gone_for_good_can_be_forgotten(
    indexed: Collection, tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(colour_folder / "images" / "red.png", other)
    Image.new("RGB", (30, 30), (1, 200, 200)).save(other / "teal.png")
    indexed.index([other], colours)
    shutil.rmtree(other)
    with pytest.raises(DatasetError, match=r"knows from there: 2 files.*let it forget"):
        indexed.index([other], colours)
    assert indexed.forget(other) == 1
    assert indexed.count() == 8
    assert names(indexed, colours, "red") == ["red"]
    assert "teal" not in names(indexed, colours, "teal", k=9)
    with pytest.raises(CollectionError, match=r"nothing in .* comes from .*other"):
        indexed.forget(other)
    assert indexed.forget(tmp_path) == 8
    assert indexed.verify().ok


def test_missing_files_stay_on_request(
    indexed: Collection, colour_folder: Path, colours: ColourEncoder
) -> None:
    rows = (colour_folder / "metadata.csv").read_text(encoding="utf-8").splitlines()
    (colour_folder / "metadata.csv").write_text("\n".join(rows[:-1]), encoding="utf-8")
    assert indexed.index([colour_folder], colours, remove_missing=False).removed == 0
    assert indexed.count() == 8
    report = indexed.index([colour_folder], colours)
    assert report.removed == 1
    assert report.skipped == (("images/brown.png", "is not listed in the dataset's metadata"),)


def test_metadata_can_change_without_the_pictures(
    indexed: Collection, colour_folder: Path, colours: ColourEncoder
) -> None:
    table = colour_folder / "metadata.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("A wall painted red,dark", "Una pared,wall"), encoding="utf-8")
    report = indexed.index([colour_folder], colours)
    assert (report.updated, report.unchanged, report.added) == (1, 7, 0)
    assert indexed.categories() == {"bright": 4, "dark": 3, "wall": 1}
    hits = indexed.search(Query(text="red", category="wall"), colours).hits
    assert [hit.picture.caption for hit in hits] == ["Una pared"]
    dark = indexed.search(Query(text="red", category="dark"), colours, k=9).hits
    assert len(dark) == 3


@dataclass(frozen=True)
class Gloomy:
    """Another encoder, for a second space."""

    colours: ColourEncoder
    name: str = "gloomy"

    def __getattr__(self, attribute: str) -> object:
        return getattr(self.colours, attribute)

    @property
    def image_fingerprint(self) -> Fingerprint:
        return Fingerprint("gloomy", "1", "8x8", "mean")

    text_fingerprint = image_fingerprint


def test_encoders_live_side_by_side(
    indexed: Collection, colour_folder: Path, colours: ColourEncoder
) -> None:
    gloomy = Gloomy(colours)
    with pytest.raises(CollectionError, match="vectors of: colours"):
        indexed.search(Query(text="red"), gloomy)  # type: ignore[arg-type]
    report = indexed.index([colour_folder], gloomy)  # type: ignore[arg-type]
    assert report.added == 8
    assert indexed.models() == ("colours", "gloomy")
    assert indexed.count() == 8
    for encoder in (colours, gloomy):
        assert names(indexed, encoder, "red") == ["red"]  # type: ignore[arg-type]
        ids, rows = indexed.embeddings(encoder)  # type: ignore[arg-type]
        assert rows.shape == (8, 4)
        assert ids.tolist() == [picture.id for picture in indexed.pictures()]
    (colour_folder / "images" / "red.png").write_bytes(b"no picture any more")
    report = indexed.index([colour_folder], gloomy)  # type: ignore[arg-type]
    assert report.removed == 1
    assert len(report.skipped) == 1
    assert names(indexed, colours, "red") != ["red"]


class Failing(Gloomy):
    """Fails at its first picture, as a model whose weights are broken."""

    def encode_pixels(self, pixels: Any) -> Any:
        raise EncoderError("gloomy: its weights are broken.")


def test_an_encoder_that_cannot_embed_leaves_nothing_behind(
    tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    failing: Any = Failing(colours)
    shelf = tmp_path / "shelf"
    with pytest.raises(EncoderError), Collection.open(shelf, create=True) as collection:
        collection.index([colour_folder], failing)
    assert not shelf.exists()
    with Collection.open(shelf, create=True) as collection:
        with pytest.raises(EncoderError):
            collection.index([colour_folder], failing)
        assert collection.models() == ()
        collection.index([colour_folder], colours)
        with pytest.raises(EncoderError):
            collection.index([colour_folder], failing)
        assert collection.models() == ("colours",)
        assert names(collection, colours, "red") == ["red"]


def test_pictures_that_do_not_decode_are_listed_with_the_reason(
    collection: Collection, tmp_path: Path, colours: ColourEncoder
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    (album / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a picture")
    Image.new("RGB", (30, 30), (1, 200, 200)).save(album / "fine.png")
    report = collection.index([album], colours)
    assert report.added == 1
    ((path, reason),) = report.skipped
    assert path.endswith("broken.jpg")
    assert reason


def test_a_folder_without_pictures_is_an_error(
    collection: Collection, tmp_path: Path, colours: ColourEncoder
) -> None:
    with pytest.raises(DatasetError):
        collection.index([tmp_path], colours)


def test_one_picture_can_be_indexed(
    collection: Collection, colour_folder: Path, colours: ColourEncoder
) -> None:
    report = collection.index([colour_folder / "images" / "red.png"], colours)
    assert report.added == 1
    assert collection.index([colour_folder / "images" / "red.png"], colours).unchanged == 1


def test_pictures_in_a_zip_are_found_and_read(
    collection: Collection, tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    archive = tmp_path / "album.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for path in sorted(colour_folder.rglob("*.*")):
            target.write(path, path.relative_to(colour_folder).as_posix())
    assert collection.index([archive], colours).added == 8
    hit = collection.search(Query(text="red"), colours).hits[0]
    assert hit.picture.caption == "A wall painted red"
    assert collection.read(hit.picture.id) == (colour_folder / "images" / "red.png").read_bytes()
    assert collection.index([archive], colours).unchanged == 8
    report = collection.index([colour_folder], colours)
    assert report.duplicates == 8
    assert collection.count() == 8
    archive.unlink()
    assert collection.count() == 8


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_was_replaced_is_not_shown_for_the_one_before(
    collection: Collection, tmp_path: Path, colours: ColourEncoder, packed: bool
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    source = album
    for colour in ("red", "blue"):
        Image.new("RGB", (9, 9), colour).save(album / "wall.png")
        if packed:
            source = tmp_path / "album.zip"
            with zipfile.ZipFile(source, "w") as target:
                target.write(album / "wall.png", "wall.png")
        if colour == "red":
            collection.index([source], colours)
    (picture,) = collection.pictures()
    with pytest.raises(ImageError, match=r"wall\.png: .*another one than when it was indexed"):
        collection.read(picture.id)
    collection.index([source], colours)
    (picture,) = collection.pictures()
    assert collection.read(picture.id) == (album / "wall.png").read_bytes()


@pytest.mark.parametrize("loss", ["gone", "replaced", "damaged"])
def test_a_picture_is_read_from_the_copy_that_still_holds_it(
    collection: Collection, tmp_path: Path, colours: ColourEncoder, loss: str
) -> None:
    album, other = tmp_path / "album", tmp_path / "other.zip"
    album.mkdir()
    first, second = album / "1.png", album / "2.png"
    Image.new("RGB", (9, 9), "red").save(first)
    content = first.read_bytes()
    second.write_bytes(content)
    with zipfile.ZipFile(other, "w") as target:
        target.writestr("3.png", content)
    collection.index([album, other], colours)
    (picture,) = collection.pictures()

    def lose(path: Path) -> None:
        if loss == "gone":
            path.unlink()
        elif loss == "replaced":
            Image.new("RGB", (9, 9), "blue").save(path)
        else:
            path.write_bytes(content[:-20])

    for path in (first, second):
        lose(path)
        assert collection.read(picture.id) == content
    other.unlink()
    with pytest.raises(LostPictureError, match=r"1\.png: ") as raised:
        collection.read(picture.id)
    assert raised.value.loss == loss


def test_a_picture_that_its_archive_lacks_now_is_named(
    collection: Collection, tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    archive = tmp_path / "album.zip"
    for name in ("red", "blue"):
        with zipfile.ZipFile(archive, "w") as target:
            target.write(colour_folder / "images" / f"{name}.png", f"{name}.png")
        if name == "red":
            collection.index([archive], colours)
    (picture,) = collection.pictures()
    with pytest.raises(LostPictureError, match=r"red\.png: is not in .*album\.zip any") as raised:
        collection.read(picture.id)
    assert raised.value.loss == "gone"


def test_an_archive_is_listed_once_for_all_its_pictures(
    collection: Collection,
    tmp_path: Path,
    colour_folder: Path,
    colours: ColourEncoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    archive = tmp_path / "album.zip"
    red, blue = (colour_folder / "images" / f"{name}.png" for name in ("red", "blue"))

    def write(picture: Path) -> None:
        with zipfile.ZipFile(archive, "w") as target:
            # A row without its picture is skipped, and must not keep others from being read.
            target.writestr("metadata.csv", "file_name,caption\na.png,x\nb.png,y\ngone.png,z\n")
            target.write(picture, "a.png")
            target.write(colour_folder / "images" / "green.png", "b.png")

    write(red)
    collection.index([archive], colours)
    listed = []

    def counted(location: str, **options: Any) -> Any:
        listed.append(location)
        return load_dataset(location, **options)

    monkeypatch.setattr("pareja.search.members.load_dataset", counted)
    ids = [picture.id for picture in collection.pictures()]
    assert [collection.read(ids[0]) for _ in range(5)] == [red.read_bytes()] * 5
    assert collection.read(ids[1]) == (colour_folder / "images" / "green.png").read_bytes()
    assert listed == [str(archive)]
    write(blue)
    assert collection.read(ids[1]) == (colour_folder / "images" / "green.png").read_bytes()
    assert listed == [str(archive)] * 2


def test_copies_are_looked_at_once_and_not_once_for_each_copy(
    collection: Collection,
    tmp_path: Path,
    colour_folder: Path,
    colours: ColourEncoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    for number in range(100):
        shutil.copy(colour_folder / "images" / "red.png", copies / f"{number:03}.png")
    looked_at = []
    exists = os.path.lexists

    def counted(path: Any) -> bool:
        looked_at.append(path)
        return exists(path)

    monkeypatch.setattr("pareja.search.catalogue.os.path.lexists", counted)
    report = collection.index([copies], colours)
    assert (report.added, report.duplicates) == (1, 99)
    for number in range(100):
        shutil.copy(copies / f"{number:03}.png", copies / f"again-{number:03}.png")
    (copies / "000.png").unlink()
    report = collection.index([copies], colours)
    assert (report.moved, report.duplicates, report.unchanged) == (1, 99, 99)
    assert len(looked_at) < 300


def test_a_file_is_read_from_where_it_is(indexed: Collection, colour_folder: Path) -> None:
    picture = indexed.pictures()[0]
    assert indexed.read(picture.id) == picture.path.read_bytes()
    with pytest.raises(NoSuchPictureError, match="no picture 999"):
        indexed.read(999)
    with pytest.raises(NoSuchPictureError):
        indexed.picture(999)


def test_pages_of_pictures(indexed: Collection) -> None:
    everything = indexed.pictures()
    assert indexed.pictures(offset=2, limit=3) == everything[2:5]
    assert indexed.pictures(offset=2, limit=10**20) == everything[2:]
    assert indexed.pictures(offset=10**20) == []
    assert {picture.category for picture in indexed.pictures(category="dark")} == {"dark"}
    with pytest.raises(CollectionError, match="`offset` must be 0 or more, got -1"):
        indexed.pictures(offset=-1)
    with pytest.raises(CollectionError, match="`limit` must be 0 or more, got -1"):
        indexed.pictures(limit=-1)


def test_numbers_that_sqlite_cannot_hold_are_of_no_picture(
    indexed: Collection, colours: ColourEncoder
) -> None:
    for ask in (
        indexed.picture,
        indexed.read,
        indexed.files,
        lambda number: indexed.judge("red", number, True),
        lambda number: indexed.search(Query(like=number), colours),
    ):
        with pytest.raises(NoSuchPictureError, match=str(10**20)):
            ask(10**20)
    assert indexed.embeddings(colours, [10**20, 1])[0].tolist() == [1]


def test_queries_of_every_kind(indexed: Collection, colours: ColourEncoder) -> None:
    red = indexed.search(Query(text="red"), colours).hits[0].picture
    pink = Embedded.of(colours.encode_texts(["pink"])[0], colours.image_fingerprint)
    assert names(indexed, colours, "red", k=1) == ["red"]
    by_picture = indexed.search(Query(image=pink), colours, k=1).hits
    assert by_picture[0].picture.path.stem == "pink"
    like = indexed.search(Query(like=red.id), colours, k=8).hits
    assert red.id not in [hit.picture.id for hit in like]
    assert len(like) == 7
    both = indexed.search(Query(text="white", like=red.id), colours, k=1).hits
    assert both[0].picture.path.stem == "pink"
    plain = [hit.picture.path.stem for hit in indexed.search(Query(text="red"), colours, k=8).hits]
    minus = indexed.search(Query(text="red", minus="brown"), colours, k=8).hits
    assert [hit.picture.path.stem for hit in minus].index("brown") > plain.index("brown")


def test_queries_that_cannot_be_answered_say_why(
    indexed: Collection, colours: ColourEncoder
) -> None:
    cases: list[tuple[Query, type[Exception], str]] = [
        (Query(), CollectionError, "nothing is looked for"),
        (Query(text="  "), CollectionError, "empty"),
        (Query(text="red", minus=""), CollectionError, "to move away from are empty"),
        (Query(text="red", category="drak"), CollectionError, "Did you mean 'dark'"),
        (Query(like=999), NoSuchPictureError, "999"),
        (Query(image=np.ones(4, np.float32)), FingerprintMismatchError, "in which space"),
        (Query(image=Embedded.of(np.ones(4), ELSEWHERE)), FingerprintMismatchError, "clip@"),
        (Query(text=["red"]), InputError, "text is of type list"),  # type: ignore[arg-type]
    ]
    for query, error, message in cases:
        with pytest.raises(error, match=message):
            indexed.search(query, colours)


def test_no_pictures_cannot_be_asked_for(indexed: Collection, colours: ColourEncoder) -> None:
    with pytest.raises(CollectionError, match="`k` must be 1 or more"):
        indexed.search(Query(text="red"), colours, k=0)
    with pytest.raises(CollectionError, match="`offset` must be 0 or more, got -1"):
        indexed.search(Query(text="red"), colours, offset=-1)
    with pytest.raises(InputError, match="offset is of type float"):
        indexed.search(Query(text="red"), colours, offset=1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "query", [Query(text="red"), Query(like=1), Query(text="red", category="dark")], ids=repr
)
def test_the_pages_of_a_search_are_the_whole_search(
    indexed: Collection, colours: ColourEncoder, query: Query
) -> None:
    whole = indexed.search(query, colours, k=99)
    pages = [indexed.search(query, colours, k=3, offset=offset) for offset in (0, 3, 6, 9)]
    assert [hit for page in pages for hit in page] == list(whole)
    assert [hit.rank for hit in whole] == list(range(1, len(whole) + 1))
    assert [page.more for page in pages] == [len(whole) > end for end in (3, 6, 9, 12)]
    assert (whole.more, pages[-1].hits, pages[-1].offset) == (False, (), 9)
    assert indexed.search(query, colours, offset=10**9).hits == ()


def test_words_cannot_search_across_two_spaces(
    indexed: Collection, colour_folder: Path, colours: ColourEncoder
) -> None:
    words = replace(colours, name="words")
    pair = EncoderPair("colours+words", colours, words)
    with pytest.raises(FingerprintMismatchError, match="no words in the space"):
        indexed.search(Query(text="red"), pair)
    assert indexed.search(Query(like=indexed.pictures()[0].id), pair).hits


def test_a_query_in_another_script_is_a_query(indexed: Collection, colours: ColourEncoder) -> None:
    assert len(indexed.search(Query(text="赤い壁 ﷽ 🦆"), colours).hits) == 5


@pytest.mark.parametrize("labels", [None, COLOUR_NAMES], ids=["all", "with a label"])
def test_searches_go_on_while_indexing(
    indexed: Collection, tmp_path: Path, colours: ColourEncoder, labels: tuple[str, ...] | None
) -> None:
    shows = (Shows(colour_classifier(colours), labels),) if labels else ()
    album = tmp_path / "album"
    album.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (60, 3))
    for n, rgb in enumerate(pixels):
        Image.new("RGB", (16, 16), tuple(rgb.tolist())).save(album / f"{n}.png")
    failures: list[BaseException] = []
    finished = threading.Event()

    def search() -> None:
        try:
            while not finished.is_set():
                result = indexed.search(Query(text="red", shows=shows), colours, k=5)
                scores = [hit.score for hit in result.hits]
                assert len(scores) == 5
                assert scores == sorted(scores, reverse=True)
        except BaseException as error:
            failures.append(error)

    searchers = [threading.Thread(target=search) for _ in range(3)]
    for thread in searchers:
        thread.start()
    for _ in range(3):
        indexed.index([album], colours, batch_size=4)
        for path in list(album.iterdir())[:15]:
            path.unlink()
    finished.set()
    for thread in searchers:
        thread.join()
    assert not failures
    assert indexed.verify().ok


def test_ids_are_never_used_again(
    collection: Collection, tmp_path: Path, colours: ColourEncoder
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    Image.new("RGB", (9, 9), (9, 9, 9)).save(album / "0.png")
    Image.new("RGB", (9, 9), (90, 9, 9)).save(album / "1.png")
    collection.index([album], colours)
    last = collection.pictures()[-1]
    last.path.unlink()
    collection.index([album], colours)
    Image.new("RGB", (9, 9), (9, 90, 9)).save(album / "2.png")
    collection.index([album], colours)
    assert collection.pictures()[-1].id > last.id


def test_rows_that_lead_nowhere_are_found_and_removed(
    indexed: Collection, colours: ColourEncoder
) -> None:
    with indexed._database.write() as connection:
        connection.execute("DELETE FROM file WHERE picture = 1")
        connection.execute("DELETE FROM picture WHERE id = 2")
    report = indexed.verify()
    assert not report.ok
    assert len(report.problems) == 2
    assert indexed.verify(repair=True).repaired
    assert indexed.verify().ok
    assert indexed.count() == 6


def test_what_unrelated_words_are_compared_by_comes_with_pareja(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder = require_dual(load("starter"))
    computed = text_vectors(relevance.BACKGROUND, encoder)
    monkeypatch.delattr(relevance, "text_vectors")  # they are not computed again
    spaces = set()
    for pillow in ("12.3.0", "13.0.0"):
        monkeypatch.setattr("PIL.__version__", pillow)
        spaces.add(encoder.text_fingerprint)
        assert np.abs(relevance.background(encoder) - computed).max() < 1e-5
    assert len(spaces) == 2


def test_unrelated_words_are_told_from_related_ones(
    collection: Collection, tmp_path: Path, colours: ColourEncoder
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    for n in range(30):
        Image.new("RGB", (9, 9), (200 + n, 20, 30)).save(album / f"{n}.png")
    collection.index([album], colours)
    # All of them are, so that none stands out.
    assert collection.search(Query(text="red"), colours).likely_relevant is True
    assert collection.search(Query(text="blue"), colours).likely_relevant is False
    assert collection.search(Query(like=1), colours).likely_relevant is None
    assert collection.search(Query(text="red", minus="blue"), colours).likely_relevant is None


def test_what_is_unrelated_is_measured_again_when_the_pictures_are_others(
    collection: Collection, tmp_path: Path, colours: ColourEncoder
) -> None:
    (album := tmp_path / "album").mkdir()
    for n in range(10):
        Image.new("RGB", (9, 9), (20, 200 + n, 30)).save(album / f"{n}.png")
    collection.index([album], colours)
    before = collection._catalogue.space_of(colours)
    assert before.unrelated_rows == 10
    Image.new("RGB", (9, 9), (200, 20, 30)).save(album / "red.png")
    collection.index([album], colours)
    assert collection._catalogue.space_of(colours) == before
    Image.new("RGB", (9, 9), (20, 20, 200)).save(album / "blue.png")
    collection.index([album], colours)
    after = collection._catalogue.space_of(colours)
    assert after.unrelated_rows == 12
    assert after.unrelated_score != before.unrelated_score


def test_a_place_that_is_not_there_changes_nothing(
    tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    with Collection.open(tmp_path / "index", create=True) as collection:
        with pytest.raises(DatasetError, match="nowhere does not exist"):
            collection.index([colour_folder, tmp_path / "nowhere"], colours)
        assert (collection.count(), collection.models()) == (0, ())
        with pytest.raises(CollectionError, match="holds no pictures yet"):
            collection.search(Query(text="red"), colours)


def test_an_error_about_a_picture_survives_another_process() -> None:
    error = pickle.loads(pickle.dumps(NoSuchPictureError(7, "index")))  # noqa: S301
    assert (error.picture_id, str(error)) == (7, str(NoSuchPictureError(7, "index")))


def test_what_lies_in_a_folder_that_cannot_be_listed_stays(
    indexed: Collection,
    colour_folder: Path,
    colours: ColourEncoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (colour_folder / "metadata.csv").unlink()
    shutil.copy(next((colour_folder / "images").iterdir()), colour_folder / "other.png")
    with monkeypatch.context() as patch:
        scandir = os.scandir

        def scan(path: Path | str) -> object:
            if Path(path).name == "images":
                raise PermissionError(13, "Permission denied", str(path))
            return scandir(path)

        patch.setattr(os, "scandir", scan)
        report = indexed.index([colour_folder], colours)
    assert (indexed.count(), report.removed) == (8, 0)
    assert ("images", "cannot be listed: Permission denied; what it holds is left out.") in (
        report.skipped
    )


def test_a_first_index_that_finds_no_room_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Schema, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Schema, "migrate", full)
    with pytest.raises(CollectionError):
        Collection.open(tmp_path / "new", create=True)
    assert list(tmp_path.iterdir()) == []
