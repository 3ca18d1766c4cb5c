"""How the library ``usearch`` lays out the file of a graph.

All is little endian: how many vectors of how many bytes, the vectors, a head that says of what kind
they are, the shape of the graph, the level of each vector, and for each its key, its level and its
neighbours: as many as there are, in a place of fixed size.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pareja.search.vectors.exact import Keys
from pareja.search.vectors.graph_search import Bytes
from pareja.search.vectors.mapped import Content

Slots = NDArray[np.int64]

_MATRIX = struct.Struct("<2I")
# Magic, version, metric, kinds of numbers, of keys and of slots; vectors that are there and that
# were removed, their length, and whether one key may have several.
_HEAD, _FIELDS = 64, struct.Struct("<7s3Hc3B3Q?")
_MAGIC, _MAJOR, _UINT64, _UINT32 = b"usearch", 2, 14, 15
# Vectors, edges of a node above and in the lowest layer, the highest level, and where to begin.
_SHAPE = struct.Struct("<5Q")
_KEY = struct.Struct("<Q")
_TO_NEIGHBOURS, _COUNT = _KEY.size + 2, 4
# The first byte of their number is the whole number.
_MOST_NEIGHBOURS = 255


class UnknownLayoutError(ValueError):
    """A file of a graph is laid out in a way that is not known."""


class Compared(Enum):
    """What the vectors of a graph consist of, and how they are compared."""

    BYTES_BY_COSINE = (b"c", 23)
    BITS_BY_HAMMING = (b"b", 1)


@dataclass(frozen=True)
class Layout:
    """Where everything is in the file of a graph.

    Parameters
    ----------
    content
        The file.
    rows
        The bytes of its vectors, ``(n, bytes)``.
    places
        Where each vector's key, level and neighbours begin, ``(n,)``.
    """

    content: Content
    rows: NDArray[np.uint8]
    places: Slots

    @classmethod
    def of(cls, content: Content, compared: Compared) -> Layout:
        """Find everything in a file.

        Raises
        ------
        UnknownLayoutError
            If it is laid out in another way than this version of pareja knows.
        """
        unknown = UnknownLayoutError(
            "the graph is laid out in a way that this pareja does not know"
        )
        try:
            rows, length = _MATRIX.unpack_from(content)
            head = _MATRIX.size + rows * length
            magic, major, _, _, *kind = _FIELDS.unpack_from(content, head)[:8]
            held, upper, lowest, _, _ = _SHAPE.unpack_from(content, head + _HEAD)
            at = head + _HEAD + _SHAPE.size
            levels = np.frombuffer(content, "<i2", rows, at)
        except (struct.error, ValueError) as error:
            raise unknown from error
        if (magic, major, *kind) != (_MAGIC, _MAJOR, *compared.value, _UINT64, _UINT32):
            raise unknown
        if held != rows or lowest > _MOST_NEIGHBOURS:
            raise unknown
        sizes = np.full(rows, _TO_NEIGHBOURS + _COUNT + 4 * lowest, np.int64)
        sizes += levels.astype(np.int64) * (_COUNT + 4 * upper)
        ends = at + 2 * rows + np.cumsum(sizes)
        if ends[-1] != len(content):
            raise unknown
        vectors = np.frombuffer(content, np.uint8, rows * length, _MATRIX.size)
        return cls(content, vectors.reshape(rows, length), ends - sizes)

    def key(self, slot: int) -> int:
        """Return the key of a vector."""
        (key,) = _KEY.unpack_from(self.content, self.places.item(slot))
        return int(key)

    def keys(self) -> Keys:
        """Return the keys of all vectors, ``(n,)``."""
        return np.array([self.key(slot) for slot in range(len(self.places))], np.int64)

    def neighbours(self, slots: Slots) -> Slots:
        """Return the neighbours of one vector after the other; some are there more than once."""
        lists = []
        for place in (self.places[slots] + _TO_NEIGHBOURS).tolist():
            start = place + _COUNT
            lists.append(self.content[start : start + 4 * self.content[place]])
        return np.frombuffer(b"".join(lists), "<u4").astype(np.int64)

    def write(self, path: Path, rows: Bytes) -> None:
        """Write the same graph of other vectors.

        Parameters
        ----------
        path
            Where; another file than this one.
        rows
            A vector for each of this graph's, ``(n, dim)``.
        """
        head = _MATRIX.size + self.rows.size
        magic, *version, _, _, key, slot, held, removed, _, several = _FIELDS.unpack_from(
            self.content, head
        )
        kind = (*Compared.BYTES_BY_COSINE.value, key, slot)
        fields = _FIELDS.pack(magic, *version, *kind, held, removed, rows.shape[1], several)
        with path.open("wb") as file:
            file.write(_MATRIX.pack(*rows.shape))
            file.write(rows.data)
            file.write(fields)
            file.write(memoryview(self.content)[head + len(fields) :])
