"""The report as PDF, set by Typst."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pareja.report.document import Document
from pareja.report.drawing import Drawing
from pareja.report.formulas import load_formulas
from pareja.report.pictures import Thumbnail

# A word longer than a line has no place to break, and would run off the page. Paths and names of
# models break where their parts meet.
_ENDLESS = re.compile(r"[/_+](?=[^\s/_+]{4})|[^\s/_+-]{18}(?=[^\s/_+-]{4})")


def render_pdf(
    document: Document, drawings: Mapping[str, Drawing], pictures: Sequence[Thumbnail]
) -> bytes:
    """Return the document as a PDF file, tagged for screen readers.

    The document goes to Typst as JSON, never as source, so no caption can be taken for markup.
    """
    files = {
        "document.json": json.dumps(breakable(_as_tree(document))).encode(),
        "shares.json": json.dumps({k: drawing.share for k, drawing in drawings.items()}).encode(),
    }
    files |= {f"{name}.svg": drawing.svg.encode() for name, drawing in drawings.items()}
    files |= {f"{i}.jpg": pictures[i].jpeg for i in document.pictures()}
    return typeset("report.typ", files)


def typeset(template: str, files: Mapping[str, bytes]) -> bytes:
    """Return the PDF of a template of this package, tagged for screen readers (PDF/UA-1).

    Parameters
    ----------
    template
        Its name in ``templates``.
    files
        What it reads, by name.
    """
    import typst

    sources = resources.files("pareja.report") / "templates"
    with TemporaryDirectory(prefix="pareja-report-") as folder:
        for name in (template, "page.typ"):
            (Path(folder) / name).write_bytes((sources / name).read_bytes())
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        pdf = typst.compile(
            f"{folder}/{template}",
            root=folder,
            font_paths=[_figure_fonts()],
            pdf_standards=["ua-1"],
        )
    return bytes(pdf).replace(_SUSPECTS, b" " * len(_SUSPECTS))


# The default, which Typst spells out and Poppler 22.12 (Debian 12) calls a syntax error. Spaces in
# its stead leave every other object at its place.
_SUSPECTS = b"/Suspects false"

_NO_TEXT = frozenset({"href", "formulas", "kind", "name", "key", "with_"})


def _figure_fonts() -> str:
    """Return the folder of the font that the figures are drawn with."""
    import matplotlib as mpl

    return str(Path(mpl.get_data_path()) / "fonts" / "ttf")


def _as_tree(document: Document) -> dict[str, Any]:
    tree = asdict(document)
    tree["formulas"] = {key: form.typst for key, form in load_formulas().items()}
    for section, plain in zip(document.sections, tree["sections"], strict=True):
        for block, fields in zip(section.blocks, plain["blocks"], strict=True):
            fields["kind"] = type(block).__name__
    return tree


def breakable(tree: Any) -> Any:
    """Put invisible places to break into endless words of a JSON tree, wherever text is shown."""
    # What is there to be copied has to stay as it is.
    if isinstance(tree, dict) and tree.get("kind") in ("Listing", "listing"):
        return tree
    if isinstance(tree, dict):
        return {key: value if key in _NO_TEXT else breakable(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [breakable(value) for value in tree]
    if isinstance(tree, str):
        return _ENDLESS.sub("\\g<0>\N{ZERO WIDTH SPACE}", tree)
    return tree
