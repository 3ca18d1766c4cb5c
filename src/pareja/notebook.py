"""Search in a notebook: a box to type into, and results that stay in the notebook when saved."""

from __future__ import annotations

import weakref
from contextlib import ExitStack, suppress
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pareja.datasets.records import Record
from pareja.encoders import AnyEncoder, DualEncoder, ImageEncoder, require_dual
from pareja.errors import DatasetError, MissingDependencyError, ParejaError
from pareja.inputs import BytesSource
from pareja.regions.parts import box_as_typed
from pareja.report.html import data_uri, page_environment
from pareja.report.located import told_places
from pareja.report.overlay import place_in_words, warmed
from pareja.report.pictures import Thumbnail, thumbnail
from pareja.search.collection import Collection
from pareja.search.contents import read_picture
from pareja.search.contracts import Hit, Picture, Query, SearchResult
from pareja.search.database import FILE_NAME
from pareja.tasks.locating import Located, LocatedPicture, locate
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


def show(
    result: SearchResult,
    collection: Collection | None = None,
    *,
    lang: Lang = "en",
    maps: DualEncoder | None = None,
) -> Found:
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
    maps
        The encoder that searched: over each picture lies a map of what speaks for the words of the
        query, as `pareja.locate` finds it, and the lines say where that is. None leaves the
        pictures as they are, and so does a query without words.
    """
    words = Wording(lang)
    query, model = result.query, result.model
    parts = (
        query.text,
        None if query.image is None else words.text("found.image"),
        None if query.like is None else words.text("found.like", id=query.like),
        words.text("found.part", box=box_as_typed(query.box)) if query.box is not None else None,
        words.text("found.minus", words=query.minus) if query.minus else None,
        query.category,
        *(words.listing(one.labels) for one in query.shows),
    )
    title = " · ".join(part for part in parts if part)
    judged = collection.judgements(query.text) if collection and query.text else {}
    located = _located(result, collection, maps)
    shown = [
        _card(hit, collection, judged.get(hit.picture.id), located.get(hit.picture.id), words)
        for hit in result.hits
    ]
    pictures = words.count("picture", len(shown))
    summary = words.text("found.summary", pictures=pictures, model=model, ms=round(result.took_ms))
    return _found(
        shown,
        words,
        title=title,
        summary=summary if shown else words.text("found.nothing"),
        warning=words.text("found.irrelevant") if result.likely_relevant is False else "",
    )


def places(located: Located, *, lang: Lang = "en") -> Found:
    """Return the pictures of a `pareja.locate` with its maps, to be the last line of a cell.

    Parameters
    ----------
    located
        Where words are in pictures; each picture is shown once for each of the words.
    lang
        Language of everything but words and file names.
    """
    words = Wording(lang)
    shown = [
        {
            "rank": number,
            "name": place.words,
            **_pixels(warmed(picture, place, THUMBNAIL)),
            "lines": [picture.record.file_name, *told_places(picture, place, words)],
        }
        for number, (picture, place) in enumerate(
            ((picture, place) for picture in located.pictures for place in picture.places), 1
        )
    ]
    subtitle = words.text(
        "locate.subtitle",
        dataset=located.name,
        pictures=words.count("picture", len(located.pictures)),
        model=located.model,
    )
    title = words.listing(located.words)
    return _found(shown, words, title=title, summary=subtitle, warning="")


def _found(cards: list[dict[str, Any]], words: Wording, **texts: str) -> Found:
    """Return cards as a notebook shows them, and as text."""
    template = page_environment().get_template("search_results.html.jinja")
    lines = [f"{card['rank']}. {card['name']} ({', '.join(card['lines'])})" for card in cards]
    head = f"{texts['title']}: {words.count('picture', len(cards))}"
    return Found(template.render(lang=words.lang, cards=cards, **texts), "\n".join([head, *lines]))


def search(
    collection: Collection | Path | str,
    *,
    model: str | AnyEncoder | None = None,
    k: int = 5,
    lang: Lang = "en",
    index: Path | str | None = None,
    maps: bool = False,
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
    maps
        Whether it is shown where in each picture the words are. With ``starter`` five pictures then
        take about a second more; with an encoder that has no maps of its own they are embedded 26
        times each.

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
        looking = require_dual(encoder) if maps else None

        def answer(change: dict[str, Any]) -> None:
            text = change["new"]
            try:
                if text.strip():
                    result = opened.search(Query(text=text), encoder, k=k)
                    shown = show(result, opened, lang=lang, maps=looking)
                    found.value = shown._repr_html_()
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


def _located(
    result: SearchResult, collection: Collection | None, encoder: DualEncoder | None
) -> dict[int, LocatedPicture]:
    """Return where the words of a query are in the pictures found, by their numbers."""
    text = result.query.text
    if encoder is None or not text or not result.hits:
        return {}
    records = []
    for hit in result.hits:
        name = str(hit.picture.id)
        records.append(Record(name, BytesSource(name, _content(hit.picture, collection))))
    # Pictures that cannot be read are crossed-out frames without maps as well.
    with suppress(DatasetError):
        found = locate(text, records, model=encoder)
        return {int(picture.record.file_name): picture for picture in found.pictures}
    return {}


def _card(
    hit: Hit,
    collection: Collection | None,
    relevant: bool | None,
    located: LocatedPicture | None,
    words: Wording,
) -> dict[str, Any]:
    """Return what is shown of one picture."""
    picture = hit.picture
    if located is None:
        small = thumbnail(_content(picture, collection), THUMBNAIL)
        where = []
    else:
        small = warmed(located, located.places[0], THUMBNAIL)
        where = told_places(located, located.places[0], words)
    caption = picture.caption_es if words.lang == "es" else None
    part = None
    if hit.part is not None:
        place = place_in_words(hit.part, (picture.width, picture.height), words)
        part = words.text("found.best_part", place=place)
    told = (
        words.text("found.score", score=words.number(hit.score, 3), id=picture.id),
        *where,
        part,
        picture.category,
        None if relevant is None else words.text("found.right" if relevant else "found.wrong"),
        " · ".join(filter(None, (picture.author, picture.license))),
    )
    return {
        "rank": hit.rank,
        "name": caption or picture.caption or picture.shown_name,
        **_pixels(small),
        "lines": [line for line in told if line],
    }


def _pixels(small: Thumbnail) -> dict[str, Any]:
    return {"src": data_uri(small), "size": small.image.size}


def _content(picture: Picture, collection: Collection | None) -> bytes:
    """Return the bytes of a picture; none where it cannot be read, which is a crossed-out frame."""
    with suppress(ParejaError):
        return read_picture(picture) if collection is None else collection.read(picture.id)
    return b""
