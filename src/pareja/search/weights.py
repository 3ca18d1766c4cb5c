"""Weights of the words in a query, as ``"a cat::2 in snow::0.5 indoors::-0.5"`` has them."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from pareja.errors import QueryError

# Two colons, because no sentence has them: + and - are in "t-shirt" and "black + white".
_WEIGHT = re.compile(r"::(\S*)")


class Term(NamedTuple):
    """Words of a query, and how much they weigh; below 0 is away from them."""

    words: str
    weight: float


def terms_of(text: str, weight: float = 1.0) -> list[Term]:
    """Split a query into its terms.

    Parameters
    ----------
    text
        Words, each part ended by ``::`` and its weight; without any, one term.
    weight
        Of words without one.

    Raises
    ------
    QueryError
        If a weight is no number or 0, or has no words before it.

    Examples
    --------
    >>> terms_of("a cat::2 indoors::-0.5")
    [Term(words='a cat', weight=2.0), Term(words='indoors', weight=-0.5)]
    """
    *weighted, rest = _WEIGHT.split(text)
    terms = [
        Term(*_checked(words.strip(), number))
        for words, number in zip(weighted[::2], weighted[1::2], strict=True)
    ]
    return [*terms, Term(rest.strip(), weight)] if rest.strip() or not terms else terms


def _checked(words: str, number: str) -> tuple[str, float]:
    if not words:
        raise QueryError(
            "no_words",
            f"there are no words before '::{number}'. Write them there, as in: a cat::2.",
            {"weight": number},
        )
    try:
        weight = float(number)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight) or weight == 0:
        raise QueryError(
            "weight",
            f"the weight of {words!r} is {number!r}, and must be a number other than 0, as in: "
            "a cat::2 or indoors::-0.5.",
            {"words": words, "weight": number},
        )
    return words, weight
