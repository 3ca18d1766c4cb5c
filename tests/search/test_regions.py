"""Pictures that are found by a part of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests.colour_classifier import colour_classifier
from tests.conftest import COLOURS

import pareja
from pareja.embedding import EmbeddingCache
from pareja.regions.windows import WINDOWS, WindowsEncoder, window
from pareja.search import Collection, Hit, Shows
from pareja.sqlite import row_sum

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

EACH = len(WINDOWS)


@pytest.fixture(autouse=True)
def _old_files_are_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pareja.embedding.cache._SETTLED_NS", 0)


def quarters(path: Path, *names: str) -> None:
    """Write a picture of four colours, 80 x 60."""
    picture = Image.new("RGB", (80, 60))
    for number, name in enumerate(names):
        left, top = 40 * (number % 2), 30 * (number // 2)
        picture.paste(COLOURS[name], (left, top, left + 40, top + 30))
    picture.save(path)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """One picture with a blue quarter, one that is bluish, and two of one colour each."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    quarters(folder / "mixed.png", "red", "green", "blue", "yellow")
    for name, colour in (
        ("bluish", (100, 110, 180)),
        ("pink", COLOURS["pink"]),
        ("brown", COLOURS["brown"]),
    ):
        Image.new("RGB", (80, 60), colour).save(folder / f"{name}.png")
    return folder


@pytest.fixture(params=[None, "qdrant://:memory:/test"], ids=["sqlite", "qdrant"])
def shelf(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Collection]:
    with pareja.open(tmp_path / "index", create=True, store=request.param) as opened:
        yield opened


def best(shelf: Collection, encoder: ColourEncoder, text: str) -> tuple[str, object]:
    hit = shelf.search(text, encoder, k=1)[0]
    return hit.picture.path.stem, hit.part


def test_a_small_thing_is_found_and_where_it_is(
    shelf: Collection, pictures: Path, colours: ColourEncoder
) -> None:
    report = shelf.index(pictures, colours)
    assert report.regions == 0
    assert best(shelf, colours, "blue") == ("bluish", None)
    report = shelf.index(pictures, colours, regions=True)
    assert (report.regions, report.added, report.unchanged) == (4, 0, 4)
    assert best(shelf, colours, "blue") == ("mixed", (0, 30, 40, 30))
    assert best(shelf, colours, "yellow") == ("mixed", (40, 30, 40, 30))
    found = shelf.search("blue", colours, k=9)
    assert sorted(hit.picture.path.stem for hit in found) == ["bluish", "brown", "mixed", "pink"]
    # Its parts are as near as the whole: that counts.
    assert {hit.picture.path.stem: hit.part for hit in found}["pink"] is None
    mixed = found[0].picture
    like = shelf.search(like=mixed, model=colours, k=9)
    assert mixed.id not in [hit.picture.id for hit in like]
    part = shelf.search(like=mixed, box=(0, 30, 40, 30), model=colours, k=9)
    assert mixed.id not in [hit.picture.id for hit in part]


def test_the_best_of_a_picture_and_its_parts_counts(
    shelf: Collection, tmp_path: Path, colours: ColourEncoder
) -> None:
    folder = tmp_path / "noise"
    folder.mkdir()
    noise = np.random.default_rng(3).integers(0, 255, (12, 4, 4, 3), dtype=np.uint8)
    for number, pixels in enumerate(noise):
        picture = Image.fromarray(pixels).resize((48, 32), Image.Resampling.NEAREST)
        picture.save(folder / f"{number:02}.png")
    shelf.index(folder, colours, regions=True)
    paths = [picture.path for picture in shelf.pictures()]
    images = [Image.open(path) for path in paths]
    whole = colours.encode_images(images)
    parts = WindowsEncoder(colours).encode_images(images).reshape(12, EACH, -1)
    every = np.concatenate([whole[:, None], parts], axis=1).astype(np.float16).astype(float)
    classifier = colour_classifier(colours)
    for text in ("red", "green", "pink"):
        cosines = every @ colours.encode_texts(text)
        order = np.argsort(-cosines.max(axis=1), kind="stable")

        def agrees(hits: list[Hit], expected: list[int], cosines: np.ndarray = cosines) -> None:
            assert [hit.picture.path for hit in hits] == [paths[number] for number in expected]
            for hit, number in zip(hits, expected, strict=True):
                assert hit.score == pytest.approx(cosines[number].max(), abs=2e-3)
                slot = int(cosines[number].argmax())
                assert hit.part == (window(slot - 1, (48, 32)) if slot else None)

        for k in (1, 5, 12):
            agrees(list(shelf.search(text, colours, k=k)), order[:k].tolist())
        agrees(list(shelf.search(text, colours, k=4, offset=5)), order[5:9].tolist())
        labels = shelf.labels(classifier).having(["green"])
        shown = [n for n in order.tolist() if shelf.pictures()[n].id in labels]
        filtered = shelf.search(text, colours, k=12, shows=Shows(classifier, ("green",)))
        agrees(list(filtered), shown)


def test_parts_come_and_go_with_their_pictures(
    shelf: Collection, pictures: Path, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.index(pictures, colours, regions=True)
    assert shelf.verify().regions == 4 * EACH
    with monkeypatch.context() as patched:
        patched.setattr(type(colours), "_embed_pixels", None)
        again = shelf.index(pictures, colours)
        assert (again.regions, again.unchanged) == (0, 4)
    # The collection remembers it; a new picture is found by its parts, and a changed one by its
    # new ones alone.
    quarters(pictures / "new.png", "white", "white", "white", "black")
    quarters(pictures / "mixed.png", "red", "green", "green", "yellow")
    assert shelf.index(pictures, colours).regions == 2
    assert best(shelf, colours, "black") == ("new", (40, 30, 40, 30))
    assert best(shelf, colours, "blue") == ("bluish", None)
    (pictures / "new.png").unlink()
    shelf.index(pictures, colours)
    assert best(shelf, colours, "black")[0] != "new"
    assert (shelf.verify().ok, shelf.verify().regions) == (True, 4 * EACH)
    # A picture under another name, or twice, is the same one.
    (pictures / "mixed.png").rename(pictures / "moved.png")
    assert shelf.index(pictures, colours).regions == 0
    assert best(shelf, colours, "yellow") == ("moved", (40, 30, 40, 30))
    shelf.index(pictures, colours, regions=False)
    assert best(shelf, colours, "yellow")[1] is None
    assert shelf.verify().regions == 0
    shelf.index(pictures, colours, regions=True)
    shelf.forget(pictures)
    assert shelf.verify().regions == 0


def test_parts_have_the_category_of_their_picture(
    shelf: Collection, pictures: Path, colours: ColourEncoder
) -> None:
    def tell(category: str) -> None:
        rows = "".join(f"{n}.png,plain\n" for n in ("bluish", "pink", "brown"))
        text = f"file_name,category\nmixed.png,{category}\n{rows}"
        (pictures / "metadata.csv").write_text(text)

    tell("mosaic")
    shelf.index(pictures, colours, regions=True)
    assert shelf.search("blue", colours, category="mosaic", k=1)[0].part == (0, 30, 40, 30)
    tell("plain")
    assert shelf.index(pictures, colours).regions == 0
    found = shelf.search("blue", colours, category="plain", k=1)[0]
    assert (found.picture.path.stem, found.part) == ("mixed", (0, 30, 40, 30))


def test_what_was_interrupted_goes_on(
    shelf: Collection, pictures: Path, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(WindowsEncoder, "_embed_pixels", stop)
        with pytest.raises(KeyboardInterrupt):
            shelf.index(pictures, colours, regions=True)
    assert best(shelf, colours, "blue") == ("bluish", None)
    assert shelf.verify().problems == (
        "4 pictures have no parts by colours; index their folders again",
    )
    assert shelf.index(pictures, colours).regions == 4
    assert best(shelf, colours, "blue")[0] == "mixed"
    assert shelf.verify().ok


def test_each_model_has_its_own_parts(
    shelf: Collection, pictures: Path, colours: ColourEncoder
) -> None:
    hues = replace(colours, name="hues")
    shelf.index(pictures, colours, regions=True)
    shelf.index(pictures, hues)
    assert best(shelf, colours, "blue")[0] == "mixed"
    assert best(shelf, hues, "blue") == ("bluish", None)


def test_damaged_and_stray_parts_are_named_and_made_again(
    tmp_path: Path, pictures: Path, colours: ColourEncoder
) -> None:
    with pareja.open(tmp_path / "index", create=True) as shelf:
        shelf.index(pictures, colours, regions=True)
        mixed = shelf.search("blue", colours, k=1)[0].picture.id
    with sqlite3.connect(tmp_path / "index" / "collection.sqlite3") as database:
        database.execute(
            "UPDATE vector SET vector = zeroblob(8) WHERE space < 0 AND picture = ?",
            (mixed * EACH + 6,),
        )
        stray = -1, 4711 * EACH, None, bytes(8)
        database.execute(
            "INSERT INTO vector (space, picture, category, vector, checksum) "
            "VALUES (?, ?, ?, ?, ?)",
            (*stray, row_sum(*stray)),
        )
    database.close()
    with pareja.open(tmp_path / "index") as shelf:
        found = shelf.verify(repair=True).problems
        assert found == (
            f"1 vector is damaged: pictures {mixed}",
            "parts by colours of 1 picture that are not here",
            "1 picture has no parts by colours; index their folders again",
        )
        shelf.index(pictures, colours)
        assert shelf.verify(repair=True).regions == 4 * EACH
        assert shelf.verify().ok
        assert best(shelf, colours, "blue") == ("mixed", (0, 30, 40, 30))


def test_a_copy_has_the_parts_and_a_table_the_pictures(
    shelf: Collection, tmp_path: Path, pictures: Path, colours: ColourEncoder
) -> None:
    shelf.index(pictures, colours, regions=True)
    for store in (None, "qdrant://:memory:/copy"):
        out = tmp_path / f"copy-{store is None}"
        report = shelf.export(out, store=store)
        assert (report.vectors, report.regions) == (4, 4 * EACH)
        if store is None:
            with pareja.open(out) as copy:
                assert copy.verify().ok
                assert best(copy, colours, "blue") == ("mixed", (0, 30, 40, 30))
    report = shelf.export(tmp_path / "pictures.parquet")
    assert (report.vectors, report.regions) == (4, 0)


def test_parts_that_are_cached_are_not_embedded_again(
    tmp_path: Path, pictures: Path, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddingCache(tmp_path / "cache") as cache:
        for name in ("first", "second"):
            with pareja.open(tmp_path / name, create=True) as shelf:
                assert shelf.index(pictures, colours, regions=True, cache=cache).regions == 4
                assert best(shelf, colours, "blue")[0] == "mixed"
            monkeypatch.setattr(type(colours), "_embed_pixels", None)
