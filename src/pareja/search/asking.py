"""From what a user gives a search to one query."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields
from typing import TypeAlias

import numpy as np
from PIL import Image

from pareja.datasets.formats.folders import is_picture
from pareja.embedding.embedded import Embedded
from pareja.errors import InputError
from pareja.inputs import Picture as GivenPicture
from pareja.regions.parts import GivenBox
from pareja.search.contracts import Hit, Picture, Query, Shows

Asked: TypeAlias = "Query | str | GivenPicture | Embedded"
"""Words, a picture, its embedding, or a whole query."""


def query_of(
    given: Asked | None,
    *,
    image: GivenPicture | Embedded | None = None,
    like: int | Picture | Hit | None = None,
    box: GivenBox | None = None,
    minus: str | None = None,
    category: str | None = None,
    shows: Shows | Sequence[Shows] = (),
    hybrid: bool = False,
) -> Query:
    """Put together what is looked for.

    Parameters
    ----------
    given
        Words; or a picture: its path (text that ends like a picture's name is one), its bytes, a
        PIL image, uint8 pixels, or what `pareja.embed` made of it; or a whole query, and then
        nothing else.
    image, like, box, minus, category, shows
        The parts of a `Query`.
    hybrid
        Whether words are looked up in file names: then text is words, also when it is such a name.

    Raises
    ------
    InputError
        If something else was given.
    """
    shown = (shows,) if isinstance(shows, Shows) else tuple(shows)
    parts: dict[str, object] = {
        "image": image,
        "like": _picture_id(like),
        "box": box,
        "minus": minus,
        "category": category,
        "shows": shown,
    }
    if isinstance(given, Query):
        # Arrays are compared number by number, and so not with the empty tuple.
        twice = [name for name, value in parts.items() if name != "shows" and value is not None]
        twice += ["shows"] if shown else []
        if twice:
            raise InputError(
                f"a Query was given, and {twice[0]} besides. Write it into the query: "
                f"Query(..., {twice[0]}=...)."
            )
        return given
    text: str | None = None
    if isinstance(given, str) and (hybrid or not is_picture(given)):
        text = given
    elif given is not None and image is not None:
        raise InputError("two pictures were given. Give words first, or one picture.")
    elif given is not None:
        _refuse_no_picture(given)
        parts["image"] = given
    return Query(text=text, **parts)  # type: ignore[arg-type]  # each under its own name


def _picture_id(like: int | Picture | Hit | None) -> int | None:
    if isinstance(like, Hit):
        like = like.picture
    if isinstance(like, Picture):
        return like.id
    if like is None or (isinstance(like, int | np.integer) and not isinstance(like, bool)):
        return None if like is None else int(like)
    raise InputError(
        f"like is of type {type(like).__name__}. Give the number of a picture of the collection, "
        "the picture or a hit; a picture from elsewhere is given as image."
    )


def _refuse_no_picture(given: object) -> None:
    kinds = (str, os.PathLike, bytes, bytearray, memoryview, np.ndarray, Image.Image, Embedded)
    if not isinstance(given, kinds) and not hasattr(given, "read") and not hasattr(given, "source"):
        names = ", ".join(field.name for field in fields(Query))
        raise InputError(
            f"a {type(given).__name__} cannot be searched for. Give words, a picture (its path, "
            f"bytes, a PIL image or what pareja.embed returned), or a Query with: {names}."
        )
