"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from functools import cache

import jinja2
from markupsafe import Markup

from pareja.report.document import Document, StudentPlace
from pareja.report.drawing import Drawing
from pareja.report.formulas import load_formulas
from pareja.report.pictures import Thumbnail
from pareja.words.wording import Wording

_NOTES = ("title", "save", "load", "file", "where", "kept", "not_kept", "saved", "no_file")


def render_html(
    document: Document, drawings: Mapping[str, Drawing], pictures: Sequence[Thumbnail]
) -> str:
    """Return the document as a page with its figures and pictures inside.

    Parameters
    ----------
    document
        What it says.
    drawings
        The figures that the document names.
    pictures
        Thumbnails, in the dataset's order.
    """
    words = Wording(document.lang)
    notes = {key: words.text(f"notes.{key}") for key in _NOTES}
    places = any(isinstance(block, StudentPlace) for block in document.blocks())
    return (
        page_environment()
        .get_template("report.html.jinja")
        .render(
            document=document,
            notes=notes if places else None,
            figures={name: Markup(drawing.inline()) for name, drawing in drawings.items()},  # noqa: S704  our own
            shares={name: round(drawing.share, 3) for name, drawing in drawings.items()},
            pictures={i: data_uri(pictures[i]) for i in document.pictures()},
            sizes={i: pictures[i].image.size for i in document.pictures()},
            formulas={key: Markup(form.mathml) for key, form in load_formulas().items()},  # noqa: S704  our own
        )
    )


def data_uri(picture: Thumbnail) -> str:
    """Return a picture as an address that holds the picture itself."""
    return "data:image/jpeg;base64," + base64.b64encode(picture.jpeg).decode()


@cache
def page_environment() -> jinja2.Environment:
    """Return where the templates of pages are found, with everything escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pareja.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    # Which macro shows a block is decided by its class.
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment
