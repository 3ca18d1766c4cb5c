"""Search in a notebook: a box to type into, and results that stay in the notebook when saved."""

from __future__ import annotations

import weakref
from contextlib import ExitStack, suppress
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pareja.encoders import AnyEncoder, ImageEncoder
from pareja.errors import MissingDependencyError, ParejaError
from pareja.report.html import data_uri, page_environment
from pareja.report.pictures import Thumbnail, thumbnail
from pareja.search.collection import Collection
from pareja.search.contracts import Hit, Picture, Query, SearchResult
from pareja.search.database import FILE_NAME
from pareja.words.wording import Lang, Wording

if TYPE_CHECKING:
    from ipywidgets import VBox

THUMBNAIL = 320
"""Pixels of the longer side: two for each of a screen with a high resolution."""


class Found:
    """The answer to a query, which a notebook shows with its pictures.

    The pictures are inside, so that it is shown the same way after the collection has been
    closed, in a saved notebook, and on a page made from one.

    Parameters
    ----------
    html
        What a notebook shows.
    text
        What is shown where there is no HTML.
    """

    def __init__(self, html: str, text: str) -> None:
        self._html = html
        self._text = text

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self._text


def show(result: SearchResult, collection: Collection | None = None, *, lang: Lang = "en") -> Found:
    """Return the pictures that a search found, to be the last line of a cell.

    Parameters
    ----------
    result
        The answer of `Collection.search`: hits with their pictures, best first.
    collection
        Where it was searched: pictures in archives are then shown too, and those that were judged
        for these words are marked. A picture that cannot be read is a crossed-out frame.
    lang
        Language of everything but the captions; Spanish captions are taken where there are some.
    """
    words = Wording(lang)
    query, model = result.query, result.model
    parts = (
        query.text,
        None if query.image is None else words.text("found.image"),
        None if query.like is None else words.text("found.like", id=query.like),
        words.text("found.minus", words=query.minus) if query.minus else None,
        query.category,
        *(words.listing(one.labels) for one in query.shows),
    )
    title = " · ".join(part for part in parts if part)
    judged = collection.judgements(query.text) if collection and query.text else {}
    shown = [_card(hit, collection, judged.get(hit.picture.id), words) for hit in result.hits]
    pictures = words.count("picture", len(shown))
    html = (
        page_environment()
        .get_template("search_results.html.jinja")
        .render(
            lang=lang,
            title=title,
            summary=words.text(
                "found.summary", pictures=pictures, model=model, ms=round(result.took_ms)
            )
            if shown
            else words.text("found.nothing"),
            warning=words.text("found.irrelevant") if result.likely_relevant is False else "",
            cards=shown,
        )
    )
    lines = [f"{card['rank']}. {card['name']} ({', '.join(card['lines'])})" for card in shown]
    return Found(html, "\n".join([f"{title}: {pictures}", *lines]))


def search(
    collection: Collection | Path | str,
    *,
    model: str | AnyEncoder | None = None,
    k: int = 5,
    lang: Lang = "en",
    index: Path | str | None = None,
) -> VBox:
    """Return a box to type into, which shows the pictures closest to the words.

    Works in Jupyter, VS Code and whatever else shows ipywidgets. The search runs when Enter is
    pressed, or the box is left.

    Parameters
    ----------
    collection
        An open collection, the folder of one, or anything that `load_dataset` reads: pictures are
        indexed first then, which takes a while.
    model
        The encoder, or its name; by default the collection's first, or
        ``"starter"``.
    k
        How many pictures to show, at least 1.
    lang
        Language of the widget: ``"en"`` or ``"es"``.
    index
        For pictures that are no collection yet: the folder of the one that is made of them, or
        brought up to date. By default it is temporary, and goes with the widget.

    Raises
    ------
    MissingDependencyError
        If ipywidgets is not installed.
    DatasetError, CollectionError, EncoderError
        If there are no pictures there, or they cannot be searched with this encoder.
    """
    try:
        import ipywidgets
    except ImportError as error:
        raise MissingDependencyError("ipywidgets", "to search in a notebook", "notebook") from error
    words = Wording(lang)
    with ExitStack() as stack:
        opened, encoder = _ready(collection, model, index, stack)

        def answer(change: dict[str, Any]) -> None:
            text = change["new"]
            try:
                if text.strip():
                    result = opened.search(Query(text=text), encoder, k=k)
                    found.value = show(result, opened, lang=lang)._repr_html_()
                else:
                    found.value = ""
            except ParejaError as error:
                # What a widget's callback raises ends in the kernel's log, where nobody looks.
                found.value = f'<p role="alert">{escape(str(error))}</p>'

        box = ipywidgets.Text(
            description=words.text("found.label"),
            placeholder=words.text("found.prompt"),
            continuous_update=False,
            layout=ipywidgets.Layout(width="100%", max_width="40rem"),
            style={"description_width": "initial"},
        )
        found = ipywidgets.HTML()
        box.observe(answer, names="value")
        widget = ipywidgets.VBox([box, found])
        # An unknown model or k is an error now, not at the first word.
        opened.search(Query(text=words.text("found.label")), encoder, k=k)
        weakref.finalize(widget, stack.pop_all().close)
    return widget


def _ready(
    collection: Collection | Path | str,
    model: str | AnyEncoder | None,
    index: Path | str | None,
    stack: ExitStack,
) -> tuple[Collection, ImageEncoder]:
    """Open what is to be searched, until the stack closes, and load what searches it."""
    if isinstance(collection, Collection):
        return collection, collection.encoder(model)
    if (Path(collection).expanduser() / FILE_NAME).is_file():
        opened = stack.enter_context(Collection.open(collection, read_only=True))
        return opened, opened.encoder(model)
    folder = index or stack.enter_context(TemporaryDirectory(prefix="pareja-"))
    opened = stack.enter_context(Collection.open(folder, create=True))
    opened.index(collection, model)
    return opened, opened.encoder(model)


def _card(
    hit: Hit, collection: Collection | None, relevant: bool | None, words: Wording
) -> dict[str, Any]:
    """Return what is shown of one picture."""
    picture = hit.picture
    small = _thumbnail(picture, collection)
    caption = picture.caption_es if words.lang == "es" else None
    told = (
        words.text("found.score", score=words.number(hit.score, 3), id=picture.id),
        picture.category,
        None if relevant is None else words.text("found.right" if relevant else "found.wrong"),
        " · ".join(filter(None, (picture.author, picture.license))),
    )
    return {
        "rank": hit.rank,
        "name": caption or picture.caption or picture.shown_name,
        "src": data_uri(small),
        "size": small.image.size,
        "lines": [line for line in told if line],
    }


def _thumbnail(picture: Picture, collection: Collection | None) -> Thumbnail:
    source: Path | bytes = picture.path
    if collection is not None:
        # Decoding the path says the same about a file that has gone: a crossed-out frame.
        with suppress(ParejaError):
            source = collection.read(picture.id)
    return thumbnail(source, THUMBNAIL)
