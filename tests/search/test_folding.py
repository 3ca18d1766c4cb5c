"""Near duplicates that are shown as one."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tests.colour_classifier import COLOUR_NAMES, colour_classifier

import pareja
from pareja.datasets.records import Source
from pareja.embedding import EmbeddingCache
from pareja.embedding.pipeline import Progress
from pareja.search import Collection, SearchResult, Shows
from pareja.search.folding import noticed_of

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


def scene(seed: int) -> Image.Image:
    """Return a reddish picture with shapes of its own, 96 x 96."""
    blocks = np.random.default_rng(seed).integers(0, 120, (8, 8, 3), dtype=np.uint8)
    blocks[..., 0] += 130
    return Image.fromarray(blocks).resize((96, 96), Image.Resampling.BICUBIC)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Four scenes; of the first there are two smaller copies."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(4):
        scene(seed).save(folder / f"scene{seed}.png")
    for side in (48, 64):
        scene(0).resize((side, side)).save(folder / f"scene0-{side}.png")
    return folder


def shown(result: SearchResult) -> list[set[str]]:
    return [
        {hit.picture.path.stem for hit in (card, *card.near_duplicates)} for card in result.hits
    ]


COPIES = {"scene0", "scene0-48", "scene0-64"}


def test_near_duplicates_are_one_hit_and_pages_fit_together(
    tmp_path: Path, pictures: Path, colours: ColourEncoder
) -> None:
    with pareja.open(tmp_path / "index", create=True) as shelf:
        shelf.index(pictures, colours)
        plain = shelf.search("red", colours, k=9)
        assert (len(plain), plain.more) == (6, False)
        assert not any(hit.near_duplicates for hit in plain)
        whole = shelf.search("red", colours, k=9, fold=True)
        assert COPIES in shown(whole)
        assert [hit.rank for hit in whole] == [1, 2, 3, 4]
        pages = [shelf.search("red", colours, k=1, offset=n, fold=True) for n in range(5)]
        assert [page.more for page in pages] == [True, True, True, False, False]
        assert [hit for page in pages for hit in page] == list(whole)
        for card in whole:
            better = {hit.picture.id: hit.score for hit in plain}
            assert card.score == pytest.approx(better[card.picture.id])
            for hit in card.near_duplicates:
                assert hit.rank == card.rank
                assert hit.score == pytest.approx(better[hit.picture.id])
                assert hit.score <= card.score


def test_a_fold_holds_no_picture_that_the_search_leaves_out(
    tmp_path: Path, pictures: Path, colours: ColourEncoder
) -> None:
    with pareja.open(tmp_path / "index", create=True) as shelf:
        shelf.index(pictures, colours)
        by_name = {picture.path.stem: picture.id for picture in shelf.pictures()}
        like = shelf.search(like=by_name["scene0"], model=colours, k=9, fold=True)
        assert COPIES - {"scene0"} in shown(like)
        (pictures / "scene0-48.png").unlink()
        shelf.index(pictures, colours)
        assert {"scene0", "scene0-64"} in shown(shelf.search("red", colours, k=9, fold=True))
        scene(0).resize((80, 80)).save(pictures / "later.png")
        shelf.index(pictures, colours)
        found = shown(shelf.search("red", colours, k=9, fold=True))
        assert {"scene0", "scene0-64", "later"} in found


def test_a_list_folds_what_passes_its_filters_and_its_pages_fit_together(
    tmp_path: Path, pictures: Path, colours: ColourEncoder
) -> None:
    categories = {"scene0.png": "a", "scene0-48.png": "b", "scene0-64.png": "b", "scene1.png": "b"}
    rows = (f"{path.name},{categories.get(path.name, 'c')}" for path in sorted(pictures.iterdir()))
    (pictures / "metadata.csv").write_text("\n".join(["file_name,category", *rows]))
    with pareja.open(tmp_path / "index", create=True) as shelf:
        shelf.index(pictures, colours)
        every = {picture.id: picture.path.stem for picture in shelf.pictures()}
        anything = Shows(colour_classifier(colours), COLOUR_NAMES)
        copies = {name: id_ for id_, name in every.items() if name in COPIES}

        def listed(**asked: Any) -> list[set[str]]:
            shown = shelf.pictures(fold=True, **asked)
            below = shelf.near_duplicates(
                shown, **{name: asked[name] for name in asked if name in {"category", "shows"}}
            )
            assert below.keys() <= {picture.id for picture in shown}
            return [
                {each.path.stem for each in (picture, *below.get(picture.id, ()))}
                for picture in shown
            ]

        whole = listed()
        assert sorted(map(sorted, whole)) == [sorted(COPIES), ["scene1"], ["scene2"], ["scene3"]]
        assert [listed(offset=n, limit=1) for n in range(5)] == [*([card] for card in whole), []]
        of_b = [{"scene0-48", "scene0-64"}, {"scene1"}]
        assert sorted(listed(category="b"), key=len, reverse=True) == of_b
        assert listed(category="a") == [{"scene0"}]
        assert listed(shows=[anything]) == whole
        assert listed(shows=[anything], category="b") == listed(category="b")
        # What the group is called after leaves it.
        (pictures / f"{every[min(copies.values())]}.png").unlink()
        shelf.index(pictures, colours)
        assert COPIES - {every[min(copies.values())]} in listed()


def test_a_collection_of_an_older_format_is_looked_at_when_it_is_indexed_again(
    tmp_path: Path, pictures: Path, colours: ColourEncoder
) -> None:
    index = tmp_path / "index"
    with pareja.open(index, create=True) as shelf:
        shelf.index(pictures, colours)
    with sqlite3.connect(index / "collection.sqlite3") as database:
        # As it is once it has been brought up to date.
        database.execute("DELETE FROM look")
    database.close()
    with pareja.open(index) as shelf:
        assert len(shelf.search("red", colours, k=9, fold=True)) == 6
        told: list[Progress] = []
        assert shelf.index(pictures, colours, progress=told.append).unchanged == 6
        shelf.index(pictures, colours, progress=told.append)
        looks = [(each.done, each.total) for each in told if each.stage == "near duplicates"]
        assert looks == [(6, 6)]
        assert COPIES in shown(shelf.search("red", colours, k=9, fold=True))
        assert shelf.verify().ok


def test_what_one_collection_has_seen_another_does_not_look_at(
    tmp_path: Path, pictures: Path, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []

    def count(sources: Mapping[str, Source]) -> dict[str, bytes]:
        decoded.extend(map(str, sources.values()))
        return noticed_of(sources)

    monkeypatch.setattr("pareja.search.looking.noticed_of", count)
    with EmbeddingCache(tmp_path / "cache.sqlite3") as cache:
        # What another command embeds is not looked at by it.
        pareja.embed(pictures / "scene1.png", colours, cache=cache)
        for place, looked_at in (("one", 1), ("two", 0), ("three", 6)):
            if place == "three":
                # One that is damaged is as good as none.
                cache._database.execute("UPDATE look SET look = zeroblob(288)")
            with pareja.open(tmp_path / place, create=True) as shelf:
                shelf.index(pictures, colours, cache=cache)
                assert COPIES in shown(shelf.search("red", colours, k=9, fold=True))
            assert len(decoded) == looked_at
            decoded.clear()


def test_what_is_known_of_looks_goes_with_a_copy_and_is_checked(
    tmp_path: Path, pictures: Path, colours: ColourEncoder
) -> None:
    index, copy = tmp_path / "index", tmp_path / "copy"
    with pareja.open(index, create=True) as shelf:
        shelf.index(pictures, colours)
        shelf.export(copy)
    with pareja.open(copy) as shelf:
        assert COPIES in shown(shelf.search("red", colours, k=9, fold=True))
    with sqlite3.connect(copy / "collection.sqlite3") as database:
        database.execute("UPDATE look SET alike = 2 WHERE picture = 1")
    database.close()
    with Collection.open(copy) as shelf:
        assert "look like is damaged" in shelf.verify(repair=True).problems[0]
        shelf.index(pictures, colours)
        assert shelf.verify().ok
        assert COPIES in shown(shelf.search("red", colours, k=9, fold=True))
