"""A collection is called as one would write it down, without reading how."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import pareja
from pareja.embedding import Embedded
from pareja.encoders import Fingerprint
from pareja.encoders.origins import origin_of
from pareja.errors import (
    CollectionError,
    DatasetError,
    FingerprintMismatchError,
    ImageError,
    InputError,
    ModelUnavailableError,
)
from pareja.search import Collection, Query

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch, colours: ColourEncoder) -> list[object]:
    """What was loaded by its name; every name is that of the colours."""
    asked: list[object] = []

    def load(given: object, **_: object) -> object:
        if not isinstance(given, str | Path):
            return given
        asked.append(given)
        return colours

    monkeypatch.setattr("pareja.encoders.load", load)
    return asked


@pytest.fixture
def shelf(tmp_path: Path, colour_folder: Path, colours: ColourEncoder) -> Iterator[Collection]:
    with pareja.open(tmp_path / "index", create=True) as made:
        made.index(colour_folder, colours)
    with pareja.open(tmp_path / "index") as shelf:
        yield shelf


def stems(result: object) -> list[str]:
    return [hit.picture.path.stem for hit in result]  # type: ignore[attr-defined]


def test_the_collection_knows_its_encoder(shelf: Collection, loaded: list[object]) -> None:
    result = shelf.search("something red", k=3)
    assert len(result) == 3
    assert [hit.rank for hit in result] == [1, 2, 3]
    assert result[0].picture.path.stem == "red"
    assert stems(shelf.search("green", k=1)) == ["green"]
    assert loaded == ["colours"]


def test_an_encoder_can_be_given_or_named(
    shelf: Collection, loaded: list[object], colours: ColourEncoder
) -> None:
    assert stems(shelf.search("a red wall", colours, k=1)) == ["red"]
    assert stems(shelf.search("blue", "colours", k=1)) == ["blue"]
    assert shelf.encoder() is colours
    assert loaded == []


def pictures_of(path: Path) -> dict[str, object]:
    with Image.open(path) as image:
        image.load()
        return {
            "path": path,
            "text that names a file": str(path),
            "bytes": path.read_bytes(),
            "PIL": image.copy(),
            "pixels": np.asarray(image.convert("RGB")),
        }


@pytest.mark.parametrize("kind", ["path", "text that names a file", "bytes", "PIL", "pixels"])
def test_pictures_of_every_kind_are_searched_by(
    shelf: Collection, colour_folder: Path, colours: ColourEncoder, kind: str
) -> None:
    picture = pictures_of(colour_folder / "images" / "pink.png")[kind]
    assert stems(shelf.search(picture, colours, k=1)) == ["pink"]  # type: ignore[arg-type]
    both = shelf.search("white", colours, image=picture, k=8)  # type: ignore[arg-type]
    alone = shelf.search("white", colours, k=8)
    assert stems(both).index("pink") < stems(alone).index("brown")
    assert [hit.score for hit in both] != [hit.score for hit in alone]


def test_what_was_embedded_is_searched_by(
    shelf: Collection, colour_folder: Path, colours: ColourEncoder
) -> None:
    folder = colour_folder / "images"
    assert stems(shelf.search(pareja.embed(folder / "blue.png", colours), colours, k=1)) == ["blue"]
    assert stems(shelf.search(pareja.embed_texts("green", colours), colours, k=1)) == ["green"]
    with pytest.raises(InputError, match="stands for 8 pictures"):
        shelf.search(pareja.embed(folder, colours), colours)
    other = replace(colours, name="tones")
    elsewhere = pareja.embed(folder / "blue.png", other)
    for query in (elsewhere, Query(image=elsewhere), elsewhere.vectors):
        with pytest.raises(FingerprintMismatchError) as refused:
            shelf.search(query, colours)  # type: ignore[arg-type]
        assert "\n" not in str(refused.value)


def test_a_part_of_a_picture_is_searched_by(
    shelf: Collection, tmp_path: Path, colours: ColourEncoder
) -> None:
    picture = Image.open(tmp_path / "colours" / "images" / "pink.png")
    picture.paste((30, 60, 210), (300, 240, 400, 320))
    file = tmp_path / "corner.png"
    picture.save(file)
    for box in ((300, 240, 100, 80), "0.75,0.75,0.25,0.25"):
        for given in (file, picture, file.read_bytes()):
            assert stems(shelf.search(given, colours, box=box, k=1)) == ["blue"]
        assert stems(shelf.search(Query(image=file, box=box), colours, k=1)) == ["blue"]
    assert stems(shelf.search(file, colours, box=(0, 0, 290, 230), k=1)) == ["pink"]
    both = shelf.search("blue", colours, image=file, box=(0, 0, 290, 230), k=2)
    assert set(stems(both)) == {"pink", "blue"}
    shelf.index(file, colours)
    stored = shelf.search(file, colours, k=1)[0]
    assert stored.picture.path == file
    found = shelf.search(like=stored, box=(310, 250, 60, 60), model=colours, k=9)
    assert stems(found)[0] == "blue"
    assert "corner" not in stems(found)
    assert "red" not in stems(shelf.search(Query("red", without=(1, 2, 3, 4, 5, 6, 7, 8)), colours))


def test_a_part_of_nothing_is_refused(shelf: Collection, colours: ColourEncoder) -> None:
    box = (1, 2, 3, 4)
    for wanted, said in (
        (Query("red", box=box), "there is no picture. Give `image` or `like` too"),
        (Query("red", image="a.jpg", like=1, box=box), "`image` and `like` are two"),
        (Query(image=pareja.embed_texts("red", colours), box=box), "needs the picture itself"),
        (Query(like=1, box=(300, 10, 400, 320)), "two corners, give left, top, width and height"),
    ):
        with pytest.raises(InputError, match=said):
            shelf.search(wanted, colours)


def test_filters_and_likeness_go_together(shelf: Collection, colours: ColourEncoder) -> None:
    red = shelf.search("red", colours, k=1)[0]
    for like in (red, red.picture, red.picture.id):
        near = stems(shelf.search(model=colours, like=like, k=8))
        assert len(near) == 7
        assert "red" not in near
    dark = shelf.search("pink", colours, category="dark", k=8)
    assert {hit.picture.category for hit in dark} == {"dark"}
    assert stems(shelf.search("red", colours, minus="brown", k=8)) != stems(
        shelf.search("red", colours, k=8)
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda shelf, e: shelf.search(7, e), InputError, "a int cannot be searched for"),
        (lambda shelf, e: shelf.search(["a", "b"], e), InputError, "a list cannot be searched"),
        (lambda shelf, e: shelf.search(None, e), CollectionError, "nothing is looked for"),
        (lambda shelf, e: shelf.search("red", e, k="3"), InputError, "k is of type str"),
        (lambda shelf, e: shelf.search("red", e, like="red"), InputError, "like is of type str"),
        (lambda shelf, e: shelf.search("nowhere.jpg", e), ImageError, "nowhere.jpg: does not"),
        (lambda shelf, e: shelf.search(Query("red"), e, minus="a"), InputError, "minus besides"),
        (
            lambda shelf, e: shelf.search(Query("red"), e, image=np.zeros((4, 4, 3), np.uint8)),
            InputError,
            "image besides",
        ),
        (lambda shelf, e: shelf.search("red", 7), TypeError, "a int is no encoder"),
        (lambda shelf, e: shelf.index(7, e), InputError, "a int is at no place"),
        (lambda shelf, e: shelf.index([b"x"], e), InputError, "a bytes is at no place"),
        (lambda shelf, e: shelf.index(b"x", e), InputError, "a bytes is at no place"),
        (lambda shelf, e: shelf.index([], e), DatasetError, "nothing to index"),
        (lambda shelf, e: shelf.index("p", e), DatasetError, "p does not exist"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    shelf: Collection,
    colours: ColourEncoder,
    call: Callable[[Collection, object], object],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message) as refused:
        call(shelf, colours)
    assert "\n" not in str(refused.value)
    assert shelf.count() == 8


@pytest.mark.parametrize("kind", ["folder", "list", "dataset", "pattern", "text"])
def test_places_of_every_kind_are_indexed(
    tmp_path: Path, colour_folder: Path, colours: ColourEncoder, kind: str
) -> None:
    places: dict[str, object] = {
        "folder": colour_folder,
        "text": str(colour_folder),
        "list": [str(path) for path in sorted((colour_folder / "images").iterdir())],
        "dataset": pareja.load_dataset(colour_folder),
        "pattern": str(colour_folder / "**" / "*.png"),
    }
    with pareja.open(tmp_path / "index", create=True) as shelf:
        report = shelf.index(places[kind], colours)  # type: ignore[arg-type]
        assert (report.added, report.model) == (8, "colours")
        assert stems(shelf.search("red", k=1)) == ["red"]


def test_a_bundled_name_is_one_place(tmp_path: Path, colours: ColourEncoder) -> None:
    with pareja.open(tmp_path / "index", create=True) as shelf:
        assert shelf.index("pareja20", colours).added == 20


def test_a_part_of_a_dataset_sends_no_other_away(
    shelf: Collection, colour_folder: Path, colours: ColourEncoder
) -> None:
    dataset = pareja.load_dataset(colour_folder)
    few = replace(dataset, records=dataset.records[:2])
    report = shelf.index(few, colours)
    assert (report.removed, shelf.count()) == (0, 8)


def test_pictures_in_memory_have_no_place(
    shelf: Collection, colours: ColourEncoder, tmp_path: Path
) -> None:
    from pareja.inputs import find_pictures

    given = find_pictures([Image.new("RGB", (9, 9), "red")])
    with pytest.raises(InputError, match="in memory alone"):
        shelf.index(given.dataset, colours)


def test_an_encoder_that_changed_is_noticed(
    shelf: Collection, monkeypatch: pytest.MonkeyPatch, colours: ColourEncoder
) -> None:
    changed = replace(colours, image_side=4)
    monkeypatch.setattr(
        type(colours),
        "image_fingerprint",
        property(lambda self: Fingerprint(self.name, "2", f"{self.image_side}", "mean")),
    )
    monkeypatch.setattr("pareja.encoders.load", lambda *_, **__: changed)
    with pytest.raises(FingerprintMismatchError, match=r"embedded by colours@.* is colours@.* now"):
        shelf.search("red")


def test_an_encoder_that_cannot_be_loaded_is_named(
    shelf: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ModelUnavailableError("colours is not on this machine.")

    monkeypatch.setattr("pareja.encoders.load", refuse)
    with pytest.raises(CollectionError, match=r"were embedded by colours, which cannot be loaded"):
        shelf.search("red")


def test_the_folder_of_a_model_is_remembered_from_any_folder(
    tmp_path: Path,
    colour_folder: Path,
    colours: ColourEncoder,
    loaded: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "my-model").mkdir()
    (tmp_path / "my-model" / "config.json").touch()
    # A folder that happens to be called like another encoder holds no model.
    (tmp_path / "colours-of-mine").mkdir()
    assert origin_of(replace(colours, name="colours-of-mine")) == "colours-of-mine"
    monkeypatch.chdir(tmp_path)
    tuned = replace(colours, name="./my-model")
    with pareja.open("index", create=True) as shelf:
        shelf.index(colour_folder, tuned)
    monkeypatch.chdir(colour_folder)

    def load(given: object, **_: object) -> object:
        loaded.append(given)
        return tuned

    monkeypatch.setattr("pareja.encoders.load", load)
    with pareja.open(tmp_path / "index") as shelf:
        assert stems(shelf.search("red", k=1)) == ["red"]
        assert stems(shelf.search("red", "./my-model", k=1)) == ["red"]
    assert loaded == [os.fspath(tmp_path / "my-model")]


def test_a_collection_of_an_older_version_learns_its_encoder(
    shelf: Collection, colour_folder: Path, colours: ColourEncoder, loaded: list[object]
) -> None:
    with shelf._database.write() as connection:
        connection.execute("UPDATE space SET origin = NULL, described = NULL")
    assert stems(shelf.search("red", k=1)) == ["red"]
    assert loaded == ["colours"]
    shelf.index(colour_folder, colours)
    (space,) = shelf._catalogue.spaces()
    assert space.whole_fingerprint == colours.image_fingerprint


def test_an_empty_collection_says_what_to_do(tmp_path: Path) -> None:
    shelf = pareja.open(tmp_path / "index", create=True)
    with pytest.raises(CollectionError, match="holds no pictures yet"):
        shelf.search("red")
    shelf.close()


def test_a_failed_first_run_leaves_nothing(tmp_path: Path, colours: ColourEncoder) -> None:
    place = tmp_path / "deep" / "index"
    with pytest.raises(DatasetError), pareja.open(place, create=True) as shelf:
        shelf.index(tmp_path / "nowhere", colours)
    assert not place.exists()
    with pytest.raises(CollectionError, match="no address of a store"):
        pareja.open(place, create=True, store="mysql://x")
    assert not place.exists()


def index_both(shelf: Collection, first: Path, then: Path, encoder: ColourEncoder) -> None:
    shelf.index(first, encoder)
    shelf.index(then, encoder)


def test_a_later_failure_takes_nothing_away(
    tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    place = tmp_path / "index"
    with pytest.raises(DatasetError), pareja.open(place, create=True) as shelf:
        index_both(shelf, colour_folder, tmp_path / "nowhere", colours)
    with pytest.raises(DatasetError), pareja.open(place, create=True) as shelf:
        shelf.index(tmp_path / "nowhere", colours)
    with pareja.open(place) as shelf:
        assert shelf.count() == 8


def test_what_somebody_else_has_open_is_not_taken_away(
    tmp_path: Path, colours: ColourEncoder
) -> None:
    place = tmp_path / "index"
    shelf = pareja.open(place, create=True)
    other = pareja.open(place)
    with pytest.raises(DatasetError), shelf:
        shelf.index(tmp_path / "nowhere", colours)
    other.create_query_set("walls", ["red"])
    other.close()
    with pareja.open(place) as again:
        assert again.query_sets() == ("walls",)


def test_vectors_are_of_the_encoder(shelf: Collection, colours: ColourEncoder) -> None:
    red = shelf.search("red", colours, k=1)[0]
    ids, rows = shelf.embeddings(colours, [red.picture.id])
    again = Embedded.of(rows[0], colours.image_fingerprint)
    assert shelf.search(again, colours, k=1)[0].picture.id == ids[0]
