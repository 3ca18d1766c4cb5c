"""What all encoders do alike where pictures and texts come in and vectors go out.

One or many come in, of the right kind or not at all; what goes out is finite. An encoder derives
from one of these bases or from both, and embeds lists.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from PIL import Image

from pareja.encoders.protocols import Embeddings, Pixels
from pareja.errors import EncoderError, InputError

_AT_ONCE = 32
_NO_LISTS = (str, bytes, bytearray, memoryview, os.PathLike, Mapping, Set)
Item = TypeVar("Item")


class ImageEncoderBase(ABC):
    """The part of an `ImageEncoder` that does not depend on its network."""

    if TYPE_CHECKING:  # a dataclass would take a property of its base for a field's default

        @property
        def name(self) -> str:
            """How the encoder is called."""
            ...

        @property
        def image_dim(self) -> int:
            """Length of a picture's embedding."""
            ...

    @abstractmethod
    def prepare(self, image: Image.Image) -> Pixels:
        """Resize and crop one RGB picture to ``(side, side, 3)``."""

    @abstractmethod
    def _embed_pixels(self, pixels: Pixels) -> Embeddings:
        """Embed at least one prepared picture, ``(n, side, side, 3)``; ``(n, image_dim)``."""

    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        """Embed prepared pictures, ``(n, side, side, 3)``; returns ``(n, image_dim)``.

        Raises
        ------
        EncoderError
            If the network gives numbers that are not finite.
        """
        if not len(pixels):
            return np.empty((0, self.image_dim), dtype=np.float32)
        return finite(self._embed_pixels(pixels), self.name, "picture")

    def encode_images(self, images: Image.Image | Sequence[Image.Image]) -> Embeddings:
        """Embed RGB pictures of any size: ``(n, image_dim)``, or ``(image_dim,)`` for one.

        Raises
        ------
        InputError
            If something is no RGB picture.
        EncoderError
            If the network gives numbers that are not finite.
        """
        listed, one = one_or_many(images, Image.Image, "images", "PIL image")
        for place, image in enumerate(listed):
            _refuse_ambiguous(image, "images" if one else f"images[{place}]")
        rows = [np.empty((0, self.image_dim), dtype=np.float32)]
        for start in range(0, len(listed), _AT_ONCE):
            batch = [self.prepare(image) for image in listed[start : start + _AT_ONCE]]
            rows.append(self.encode_pixels(np.stack(batch)))
        result = np.concatenate(rows)
        return result[0] if one else result


class TextEncoderBase(ABC):
    """The part of a `TextEncoder` that does not depend on its network."""

    if TYPE_CHECKING:

        @property
        def name(self) -> str:
            """How the encoder is called."""
            ...

        @property
        def text_dim(self) -> int:
            """Length of a text's embedding."""
            ...

    @abstractmethod
    def _embed_texts(self, texts: Sequence[str]) -> Embeddings:
        """Embed at least one text; ``(n, text_dim)``."""

    def encode_texts(self, texts: str | Sequence[str]) -> Embeddings:
        """Embed texts: ``(n, text_dim)``, or ``(text_dim,)`` for one.

        Texts longer than the network reads are cut, with a warning that names them.

        Raises
        ------
        InputError
            If something is no text.
        EncoderError
            If the network gives numbers that are not finite.
        """
        listed, one = one_or_many(texts, str, "texts", "text")
        if not listed:
            return np.empty((0, self.text_dim), dtype=np.float32)
        result = finite(self._embed_texts(listed), self.name, "text")
        return result[0] if one else result


def one_or_many(
    given: Item | Iterable[Item], kind: type[Item], parameter: str, called: str
) -> tuple[list[Item], bool]:
    """Return what was given as a list, and whether it was a single one.

    Parameters
    ----------
    given
        One, or several in an order.
    kind
        What each must be.
    parameter, called
        How messages call what was given, and one of it.

    Raises
    ------
    InputError
        If it is neither, or one of them is of another kind.

    Examples
    --------
    >>> one_or_many("a cat", str, "texts", "text")
    (['a cat'], True)
    """
    if isinstance(given, kind):
        return [given], True
    if not is_list(given):
        raise InputError(f"{parameter}: expected a {called} or a list of them, got {given!r:.60}")
    listed = list(cast(Iterable[Item], given))
    for place, item in enumerate(listed):
        if not isinstance(item, kind):
            raise InputError(f"{parameter}[{place}]: expected a {called}, got {item!r:.60}")
    return listed, False


def is_list(given: object) -> bool:
    """Whether something is several things in an order, and not one, as a text or an open file.

    Examples
    --------
    >>> is_list(["a", "b"]), is_list("ab"), is_list({"a", "b"})
    (True, False, False)
    """
    if isinstance(given, np.ndarray):
        return given.ndim > 0
    one = isinstance(given, _NO_LISTS) or callable(getattr(given, "read", None))
    return isinstance(given, Iterable) and not one


def finite(rows: Embeddings, name: str, what: str) -> Embeddings:
    """Return the rows ``(n, dim)``, all of whose numbers must be finite.

    Raises
    ------
    EncoderError
        If one is NaN or infinite. The message names the encoder.
    """
    broken = int((~np.isfinite(rows)).any(axis=1).sum())
    if not broken:
        return rows
    raise EncoderError(
        f"{name}: the vectors of {broken} of {len(rows)} {what}s are not finite (NaN or infinity). "
        "Its weights are broken, or too large for the precision; fetch or save them again, or try "
        "float32."
    )


def _refuse_ambiguous(image: Image.Image, where: str) -> None:
    """Refuse a picture that becomes RGB in more than one way, which reading a file settles."""
    if image.mode not in ("RGB", "L", "1", "P") or "transparency" in image.info:
        raise InputError(
            f"{where}: expected an RGB picture, got one of mode {image.mode}"
            f"{' with transparency' if 'transparency' in image.info else ''}. Read its file with "
            "pareja.decode_image, or convert it yourself."
        )
