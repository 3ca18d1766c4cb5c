from __future__ import annotations

import gc
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pareja
from pareja import notebook
from pareja.embedding import Embedded
from pareja.errors import CollectionError, DatasetError, MissingDependencyError
from pareja.search import Collection, Query

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

HOSTILE = '"><script>alert("1")</script>'
CARD = re.compile(r'<img src="(data:image/jpeg;base64,[^"]+)" alt="([^"]*)"')


@pytest.fixture
def collection(tmp_path: Path, colour_folder: Path, colours: ColourEncoder) -> Iterator[Collection]:
    with Collection.open(tmp_path / "collection", create=True) as collection:
        collection.index([colour_folder], colours)
        yield collection


@pytest.fixture
def hostile_folder(colour_folder: Path) -> Path:
    metadata = colour_folder / "metadata.csv"
    quoted = '"' + HOSTILE.replace('"', '""') + '"'
    metadata.write_text(
        metadata.read_text(encoding="utf-8").replace("A wall painted red,", f"{quoted},"),
        encoding="utf-8",
    )
    return colour_folder


def parts(widget: Any) -> tuple[Any, Any]:
    box, found = widget.children
    return box, found


def alts(html: str) -> list[str]:
    return [alt for _, alt in CARD.findall(html)]


def test_typing_fills_the_grid(collection: Collection, colours: ColourEncoder) -> None:
    box, found = parts(notebook.search(collection, model=colours, k=3))
    assert found.value == ""
    box.value = "something green"
    first = found.value
    assert len(alts(first)) == 3
    assert alts(first)[0] == "A wall painted green"
    assert re.search(r"cosine (1\.000|0\.99\d)", first)
    assert "bright" in first
    box.value = "something blue"
    assert alts(found.value)[0] == "A wall painted blue"


def test_a_search_by_a_part_says_which(collection: Collection, colours: ColourEncoder) -> None:
    found = collection.search(Query(like=1, box="0.5,0,0.5,1"), colours, k=1)
    assert "like picture 1 · only its part 0.5,0,0.5,1" in notebook.show(found)._repr_html_()
    (hit,) = found.hits
    left = (0.0, 0.0, hit.picture.width / 2, float(hit.picture.height))
    near = replace(found, hits=(replace(hit, part=left),))
    assert "mejor parte: a la izquierda" in notebook.show(near, lang="es")._repr_html_()


def test_maps_lie_over_what_was_found(collection: Collection, colours: ColourEncoder) -> None:
    box, found = parts(notebook.search(collection, model=colours, k=2, maps=True))
    box.value = "something green"
    plain = notebook.show(collection.search(Query(text="something green"), colours, k=2))
    assert alts(found.value) == alts(plain._repr_html_())
    assert CARD.findall(found.value)[0] != CARD.findall(plain._repr_html_())[0]
    assert "of the picture" in found.value
    box.value = ""
    assert found.value == ""


def test_places_are_shown_for_each_of_the_words(
    colour_folder: Path, colours: ColourEncoder
) -> None:
    located = pareja.locate(["red", "green"], colour_folder / "images" / "red.png", model=colours)
    shown = notebook.places(located, lang="es")
    assert alts(shown._repr_html_()) == ["red", "green"]
    assert repr(shown).startswith("red y green: ")
    assert "de la imagen" in repr(shown)


def test_an_empty_query_empties_the_grid(collection: Collection, colours: ColourEncoder) -> None:
    box, found = parts(notebook.search(collection, model=colours))
    box.value = "red"
    assert len(alts(found.value)) == 5
    box.value = "   "
    assert found.value == ""


def test_what_goes_wrong_while_typing_is_shown_and_escaped(
    collection: Collection, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, found = parts(notebook.search(collection, model=colours))

    def fail(*_: object, **__: object) -> None:
        raise CollectionError(f"no {HOSTILE}")

    monkeypatch.setattr(collection, "search", fail)
    box.value = "red"
    assert "<script" not in found.value
    assert "&lt;script&gt;" in found.value
    monkeypatch.undo()
    box.value = "green"
    assert alts(found.value)[0] == "A wall painted green"


def test_hostile_words_stay_words(hostile_folder: Path, colours: ColourEncoder) -> None:
    box, found = parts(notebook.search(hostile_folder, model=colours))
    box.value = f"red {HOSTILE}"
    assert "<script" not in found.value
    assert found.value.count("&lt;script&gt;") == 3
    assert "&#34;&gt;&lt;script" in alts(found.value)[0]


def test_pictures_are_indexed_in_a_folder_that_goes_with_the_widget(
    colour_folder: Path, colours: ColourEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    widget = notebook.search(colour_folder, model=colours)
    box, found = parts(widget)
    box.value = "pink"
    assert alts(found.value)[0] == "A wall painted pink"
    assert list(place.iterdir())
    for each in (widget, box, found):
        each.close()
    del widget, box, found, each
    gc.collect()
    assert not list(place.iterdir())


def test_pictures_are_indexed_in_a_given_folder_which_can_be_opened_again(
    colour_folder: Path, colours: ColourEncoder, tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    notebook.search(colour_folder, model=colours, index=folder)
    shutil.rmtree(colour_folder)
    box, found = parts(notebook.search(folder, model=colours, lang="es"))
    box.value = "brown"
    assert alts(found.value)[0] == "A wall painted brown"
    assert "8 imágenes" not in found.value
    assert "5 imágenes" in found.value


def test_the_model_of_a_collection_is_its_first(
    collection: Collection, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def load(given: object, **_: object) -> object:
        if isinstance(given, str):
            asked.append(given)
        return colours

    collection._encoders._loaded.clear()
    monkeypatch.setattr("pareja.encoders.load", load)
    notebook.search(collection)
    notebook.search(collection, model="another")
    assert asked == ["colours", "another"]


def test_bad_input_is_refused_at_once(
    collection: Collection, colours: ColourEncoder, tmp_path: Path
) -> None:
    with pytest.raises(CollectionError, match="1 or more"):
        notebook.search(collection, model=colours, k=0)
    with pytest.raises(DatasetError, match="nowhere"):
        notebook.search(tmp_path / "nowhere", model=colours)


def test_without_ipywidgets_the_error_says_how_to_get_it(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'pareja\[notebook\]'"):
        notebook.search(collection)


def test_a_result_is_shown_without_widgets(
    collection: Collection, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    result = collection.search(Query(text="yellow", minus="black"), colours, k=2)
    found = notebook.show(result, lang="es")
    html = found._repr_html_()
    assert alts(html)[0] == "A wall painted yellow"
    assert "yellow · sin «black»" in html
    assert re.search(r"coseno [01],\d{3}", html)
    # The pictures are in the result: nothing is fetched, and the text beside it stays short.
    assert not re.findall(r'(?:src|href)="(?!data:)', html)
    assert len(repr(found)) < 300
    assert "1. A wall painted yellow (coseno" in repr(found)


def test_judged_pictures_are_marked(collection: Collection, colours: ColourEncoder) -> None:
    result = collection.search(Query(text="green"), colours, k=3)
    collection.judge("green", result.hits[0].picture.id, True)
    collection.judge("green", result.hits[1].picture.id, False)
    cards = notebook.show(result, collection)._repr_html_().split('role="listitem"')[1:]
    assert ["✓" in card for card in cards] == [True, False, False]
    assert ["✗" in card for card in cards] == [False, True, False]


def test_a_query_by_example_is_named(collection: Collection, colours: ColourEncoder) -> None:
    result = collection.search(Query(like=collection.pictures()[0].id), colours, k=2)
    assert "like picture 1" in notebook.show(result)._repr_html_()
    picture = Embedded.of(colours.encode_texts(["red"])[0], colours.image_fingerprint)
    result = collection.search(Query(image=picture), colours, k=2)
    assert "like a given picture" in notebook.show(result)._repr_html_()


def test_pictures_in_an_archive_are_shown_with_their_collection(
    tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    archive = shutil.make_archive(str(tmp_path / "colours"), "zip", colour_folder)
    with Collection.open(tmp_path / "collection", create=True) as collection:
        collection.index([archive], colours)
        result = collection.search(Query(text="red"), colours, k=1)
        inside = notebook.show(result, collection)._repr_html_()
        outside = notebook.show(result)._repr_html_()
    assert alts(inside) == alts(outside) == ["A wall painted red"]
    assert len(CARD.findall(inside)[0][0]) != len(CARD.findall(outside)[0][0])


@pytest.mark.parametrize("known", [True, False])
def test_a_picture_that_has_gone_leaves_its_place(
    collection: Collection, colours: ColourEncoder, colour_folder: Path, known: bool
) -> None:
    result = collection.search(Query(text="red"), colours, k=2)
    here = collection if known else None
    before = notebook.show(result, here)._repr_html_()
    first, second = (hit.picture.path for hit in result.hits)
    shutil.copy(second, first)
    replaced = notebook.show(result, here)._repr_html_()
    shutil.rmtree(colour_folder)
    gone = notebook.show(result, here)._repr_html_()
    assert len(alts(gone)) == 2
    shown = [[src for src, *_ in CARD.findall(page)] for page in (before, replaced, gone)]
    assert shown[1] == [shown[2][0], shown[0][1]]


def test_an_answer_that_is_probably_none_says_so(
    collection: Collection, colours: ColourEncoder
) -> None:
    result = collection.search(Query(text="red"), colours, k=1)
    unlikely = notebook.show(replace(result, likely_relevant=False))._repr_html_()
    likely = notebook.show(replace(result, likely_relevant=True))._repr_html_()
    assert "Probably nothing here" in unlikely
    assert "Probably nothing here" not in likely
    assert "no pictures" in notebook.show(replace(result, hits=()))._repr_html_()
