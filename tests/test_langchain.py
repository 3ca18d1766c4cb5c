"""LangChain: what its own code gets from a collection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from pareja.errors import CollectionError
from pareja.search import Collection

pytest.importorskip("langchain_core", reason="the extra langchain is not installed")

from pareja.langchain import PictureRetriever

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


@pytest.fixture
def retriever(
    colour_folder: Path, tmp_path: Path, colours: ColourEncoder
) -> Iterator[PictureRetriever]:
    with Collection.open(tmp_path / "index", create=True) as opened:
        opened.index([colour_folder], colours)
        yield PictureRetriever(collection=opened, model=colours, k=3)


def captions(documents: list[Any]) -> list[str]:
    return [document.page_content for document in documents]


def test_pictures_are_documents_best_first(retriever: PictureRetriever) -> None:
    found = retriever.invoke("red")
    assert captions(found)[0] == "A wall painted red"
    assert [document.metadata["rank"] for document in found] == [1, 2, 3]
    scores = [document.metadata["score"] for document in found]
    assert scores == sorted(scores, reverse=True)
    best = found[0]
    assert Path(best.metadata["path"]).name == "red.png"
    assert best.id == str(best.metadata["id"])
    assert best.metadata["captions"] == ["A wall painted red"]
    assert best.metadata["category"] == "dark"


def test_a_call_may_ask_for_something_else(retriever: PictureRetriever) -> None:
    assert len(retriever.invoke("red", k=1)) == 1
    (bright,) = retriever.invoke("red", k=1, category="bright")
    assert bright.metadata["category"] == "bright"
    assert retriever.invoke("red blue", k=1, minus="red")[0].page_content == "A wall painted blue"
    with pytest.raises(TypeError, match="kay"):
        retriever.invoke("red", kay=1)
    with pytest.raises(CollectionError, match="k"):
        retriever.invoke("red", k=0)


def test_what_it_does_not_know_is_refused(retriever: PictureRetriever) -> None:
    unknown: Any = {"kategory": "dark"}
    with pytest.raises(ValueError, match="kategory"):
        PictureRetriever(collection=retriever.collection, **unknown)
    with pytest.raises(TypeError, match="kategory"):
        retriever.invoke("red", **unknown)


def test_it_is_part_of_a_chain(retriever: PictureRetriever) -> None:
    assert (retriever | captions).invoke("blue")[0] == "A wall painted blue"
    assert captions(anyio.run(retriever.ainvoke, "blue"))[0] == "A wall painted blue"
    assert [captions(each)[0] for each in retriever.batch(["blue", "red"])] == [
        "A wall painted blue",
        "A wall painted red",
    ]


def test_nothing_is_returned_where_nothing_fits(
    retriever: PictureRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareja.search.searching.likely_relevant", lambda *_: False)
    assert len(retriever.invoke("red")) == 3
    assert retriever.invoke("red", only_relevant=True) == []
    strict = retriever.model_copy(update={"only_relevant": True})
    assert strict.invoke("red") == []
    assert len(strict.invoke("red", only_relevant=False)) == 3
