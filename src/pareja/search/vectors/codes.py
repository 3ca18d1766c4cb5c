"""Vectors in a byte, or a bit, a number: which of them are the nearest, roughly and fast.

A vector x is seen from the mean m of all, for what pictures have in common tells none apart, and
turned at random, so that no number says more than another. Each number of the turned ``x - m``
becomes a code. A query q is turned likewise, and

    x q = (x - m) (q - m) + x m + (q - m) m  ~  factor * (codes * turned q) + x m + constant

where the factor of a row makes up for what the codes lost in length. The estimate is right on
average, and errs the less the more numbers there are (Gao and Long 2024, "RaBitQ: Quantizing
High-Dimensional Vectors with a Theoretical Error Bound for Approximate Nearest Neighbor Search").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pareja.search.vectors.exact import Keys
from pareja.search.vectors.graph_search import as_bytes
from pareja.search.vectors.quantization import Compressed

Rows = NDArray[np.float32]
Packed = NDArray[np.uint8]

# Two turns mix every number with every other one; one leaves neighbours unequal.
_TURNS = 2
# To compare it with bits, a query is a sum of vectors of signs, each twice as long as the one
# before, that reach so many standard deviations far. More of them take longer, and find no more.
_PLANES = 3
_REACH = 2.25
# How far off estimates are, as a standard deviation, for a query and a factor of 1. A byte is off
# by up to half a step, on both sides; a row's signs by what is left of a number without its average
# size, and a query's levels by a little more.
_ERRORS: dict[Compressed, float] = {
    "int8": (1 / 12 + 1 / 12) ** 0.5,
    "binary": ((1 - 2 / np.pi) + 0.03) ** 0.5,
}
# A row that would be among the nearest if it were underestimated by so many of them is looked up.
_DEVIATIONS = 3.0
# But at least so many in all, since errors of a few numbers reach farther than that; and at most so
# many for each that is wanted, and so many besides.
_LEAST = 50
_MOST = (50, 2000)


class Query(Protocol):
    """What codes are compared with.

    Attributes
    ----------
    length
        Of the query, seen from the mean.
    """

    length: float

    def products(self, held: Any) -> Rows:
        """Return the products of the turned query with the codes of rows, ``(n,)``."""
        ...


@dataclass(frozen=True)
class Codebook:
    """How vectors become codes.

    Parameters
    ----------
    kind
        What a number becomes.
    mean
        What vectors are seen from, ``(dim,)``.
    signs
        What turns them, -1 or 1, ``(turns, dim)``.
    """

    kind: Compressed
    mean: Rows
    signs: NDArray[np.int8]

    @classmethod
    def around(cls, mean: Rows, kind: Compressed) -> Codebook:
        """Return one for vectors with this mean."""
        drawn = np.random.default_rng(0).integers(0, 2, (_TURNS, len(mean)), np.int8)
        return cls(kind, mean, 2 * drawn - 1)

    def coded(self, rows: Rows) -> tuple[Packed, Rows]:
        """Return the codes of rows ``(n, dim)``, and their factors and offsets ``(2, n)``."""
        turned = self.turned(rows)
        if self.kind == "binary":
            codes = np.packbits(turned >= 0, axis=1)
            along = np.abs(turned).sum(axis=1)
        else:
            steps = as_bytes(turned)
            codes = steps.view(np.uint8)
            along = (steps * turned).sum(axis=1)
        # A row that is the mean itself has no length to make up for.
        factors = (turned**2).sum(axis=1) / np.where(along, along, 1)
        # Summed row by row, so that equal vectors stay equal: BLAS does not promise that.
        return codes, np.stack([factors, (rows * self.mean).sum(axis=1)])

    def query(self, vector: Rows) -> Query:
        """Return what the codes of rows near to a vector ``(dim,)`` are found with."""
        turned = self.turned(vector[None])
        return _Signs(turned[0]) if self.kind == "binary" else _Bytes(turned)

    def held(self, codes: Packed) -> Any:
        """Return codes as they are compared."""
        if self.kind == "int8":
            return codes.view(np.int8)
        import numkong

        return numkong.hammings_pack(codes)

    def turned(self, rows: Rows) -> Rows:
        """Turn rows ``(n, dim)`` around the mean: Hartley transforms, after changes of signs."""
        turned = rows - self.mean
        half = (turned.shape[1] - 1) // 2
        for signs in self.signs:
            waves = np.fft.rfft(turned * signs, norm="ortho")
            mirrored = (waves.real + waves.imag)[:, half:0:-1]
            turned = np.concatenate([waves.real - waves.imag, mirrored], axis=1)
        return turned


class _Bytes:
    """A query as bytes."""

    def __init__(self, turned: Rows) -> None:
        self.length = float(np.linalg.norm(turned))
        self._steps = as_bytes(turned)
        self._step = np.abs(turned).max() / np.float32(127)

    def products(self, held: Any) -> Rows:
        import numkong

        found = np.asarray(numkong.cdist(self._steps, held, "dot"))[0]
        products: Rows = self._step * found.astype(np.float32)
        return products


class _Signs:
    """A query as a sum of vectors of signs.

    With n of them that begin at ``step``, a number is one of the odd multiples of it between
    ``-(2**n - 1) * step`` and ``(2**n - 1) * step``.
    """

    def __init__(self, turned: Rows) -> None:
        self.length = float(np.linalg.norm(turned))
        most = 2**_PLANES - 1
        self._step = _REACH / most * np.sqrt((turned**2).mean())
        levels = np.floor(turned / (2 * self._step or 1)) + 2 ** (_PLANES - 1)
        levels = np.clip(levels, 0, most).astype(np.uint8)
        self._planes = np.packbits(levels >> np.arange(_PLANES)[:, None] & 1, axis=1)
        self._most = np.float32(most * len(turned))

    def products(self, held: Any) -> Rows:
        import numkong

        # Of so many signs a row's product with a plane is what they share less what they do not.
        first, *further = np.asarray(numkong.hammings_packed(self._planes, held))
        apart = first.copy()
        for power, plane in enumerate(further, 1):
            apart += plane << power
        products: Rows = self._step * (self._most - 2 * apart.astype(np.float32))
        return products


@dataclass(frozen=True)
class Block:
    """Some rows.

    Parameters
    ----------
    keys
        Which they are, rising, ``(n,)``.
    held
        Their codes, as `Codebook.held` returns them.
    scales
        Their factors and offsets, ``(2, n)``.
    """

    keys: Keys
    held: Any
    scales: Rows


@dataclass(frozen=True)
class Codes:
    """Rows that are searched by their codes.

    Parameters
    ----------
    book
        How they were coded.
    blocks
        The rows, their keys rising from block to block.
    among
        The keys of those that are searched, rising; None for all.
    """

    book: Codebook
    blocks: Sequence[Block] = ()
    among: Keys | None = None

    def with_more(self, blocks: Sequence[Block]) -> Codes:
        """Return these rows and further ones."""
        return Codes(self.book, [*self.blocks, *blocks])

    def __len__(self) -> int:
        if self.among is not None:
            return len(self.among)
        return sum(len(block.keys) for block in self.blocks)

    def nearest(self, vector: Rows, count: int) -> Keys:
        """Return keys of rows, in no order, with about the `count` nearest ones among them."""
        query = self.book.query(vector)
        slack = np.float32(_DEVIATIONS * _ERRORS[self.book.kind] * query.length)
        times, besides = _MOST
        most = times * count + besides
        keys, scores, highest = np.empty(0, np.int64), *np.empty((2, 0), np.float32)
        last_place = -np.inf
        for block in self.blocks:
            here = None if self.among is None else _places(block.keys, self.among)
            if here is not None and not len(here):
                continue
            factors, offsets = block.scales
            found = factors * query.products(block.held) + offsets
            could = found + slack * factors
            if here is not None:
                found, could = found[here], could[here]
            # What could be as near as the last place stays in: ids decide between equal ones.
            near = (could >= last_place).nonzero()[0]
            keys = np.concatenate([keys, block.keys[near if here is None else here[near]]])
            scores = np.concatenate([scores, found[near]])
            highest = np.concatenate([highest, could[near]])
            least = max(count, _LEAST)
            if len(keys) > least:
                last_place = min(
                    np.partition(scores, -count)[-count], np.partition(highest, -least)[-least]
                )
            if len(keys) > most:
                last_place = max(last_place, np.partition(highest, -most)[-most])
            stay = highest >= last_place
            keys, scores, highest = keys[stay], scores[stay], highest[stay]
        return keys


def _places(keys: Keys, among: Keys) -> NDArray[np.intp]:
    """Return where in `keys` those of `among` are that lie between the first and the last."""
    first, end = np.searchsorted(among, [keys[0], keys[-1] + 1])
    return np.searchsorted(keys, among[first:end])
