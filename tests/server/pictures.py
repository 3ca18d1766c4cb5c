"""Pictures of one colour: as files, as data URLs, and in a collection."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from pareja.search import Collection

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

Colour = tuple[int, int, int]


def png(colour: Colour) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (120, 90), colour).save(stream, "PNG")
    return stream.getvalue()


def two_colours() -> bytes:
    """A pink wall whose lower right quarter is blue, 400 x 200."""
    picture = Image.new("RGB", (400, 200), (250, 150, 190))
    picture.paste((30, 60, 210), (200, 100, 400, 200))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def index_two_colours(collection: Collection, encoder: ColourEncoder, folder: Path) -> int:
    """Add that wall to a collection, and return its id."""
    (folder / "two.png").write_bytes(two_colours())
    collection.index(folder / "two.png", encoder)
    return collection.pictures()[-1].id


def data_url(colour: Colour) -> str:
    return "data:image/png;base64," + base64.b64encode(png(colour)).decode()


def index_wall(
    collection: Collection, encoder: ColourEncoder, folder: Path, colour: Colour, caption: str
) -> int:
    """Let a folder's only picture be this one, and return its id in the collection."""
    folder.mkdir(exist_ok=True)
    (folder / "a.png").write_bytes(png(colour))
    (folder / "metadata.csv").write_text(f"file_name,caption\na.png,{caption}\n")
    collection.index([folder], encoder)
    return collection.pictures()[-1].id
