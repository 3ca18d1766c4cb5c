"""What the report says: sentences by key, and numbers as each language writes them."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Literal

from pareja.analysis.significance import Estimate, PermutationTest
from pareja.decimals import decimals, p_decimals
from pareja.words.spans import Inline, Span, Style

Lang = Literal["es", "en"]

_MARKUP = re.compile(r"\*\*(?P<strong>.+?)\*\*|\*(?P<emphasis>.+?)\*|`(?P<code>.+?)`")
_PARTS = ("words", "pages", "models", "tuning", "memoria", "terminal")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@cache
def load_words(lang: Lang) -> Mapping[str, str]:
    """Return every wording of a language, keys joined with dots."""
    folder = resources.files("pareja.words")
    texts = [(folder / f"{part}_{lang}.toml").read_text(encoding="utf-8") for part in _PARTS]
    return dict(entry for text in texts for entry in flat(tomllib.loads(text)))


def flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return the wordings of a table of tables, keys joined with dots."""
    entries: list[tuple[str, str]] = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            entries += flat(value, f"{prefix}{key}.")
        else:
            # "95 %" does not break between the number and its sign.
            entries.append((prefix + key, str(value).replace(" %", "\N{NO-BREAK SPACE}%")))
    return entries


class Wording:
    """Sentences and numbers in one language.

    The wordings may hold ``**strong**``, ``*emphasis*``, `` `code` `` and ``{placeholders}``. What
    is put into a placeholder is taken literally, so a caption full of asterisks stays a caption.

    Parameters
    ----------
    lang
        ``es`` or ``en``.

    Examples
    --------
    >>> Wording("es").number(-0.5), Wording("es").listing(["aves", "insectos"])
    ('−0,50', 'aves e insectos')
    """

    def __init__(self, lang: Lang) -> None:
        self.lang = lang
        self._words = load_words(lang)

    def __call__(self, key: str, **values: object) -> Inline:
        """Return the wording of a key with its placeholders filled, as spans."""
        template = self._words[key]
        spans: list[Span] = []
        end = 0
        for match in _MARKUP.finditer(template):
            style: Style = match.lastgroup  # type: ignore[assignment]  # its groups are styles
            spans += [
                _filled(template[end : match.start()], "plain", values),
                _filled(match[style], style, values),
            ]
            end = match.end()
        spans.append(_filled(template[end:], "plain", values))
        return tuple(span for span in spans if span.text)

    def text(self, key: str, **values: object) -> str:
        """Return the wording of a key as bare text."""
        return "".join(span.text for span in self(key, **values))

    def each(self, key: str, items: Iterable[Mapping[str, object]], **values: object) -> str:
        """Return the wording of a key, its ``{list}`` being ``KEY_item`` once for each item."""
        parts = (self.text(f"{key}_item", **item) for item in items)
        return self.text(key, list="; ".join(parts), **values)

    def count(self, noun: str, n: int) -> str:
        """Return a number with its noun in the singular or the plural."""
        return self.text(f"count.{noun}.{'one' if n == 1 else 'other'}", n=self.integer(n))

    def listing(self, items: Sequence[str]) -> str:
        """Return ``a, b and c``."""
        if len(items) < 2:
            return "".join(items)
        # Spanish "y" becomes "e" before the sound i: "padres e hijos", but "agua y hielo".
        before_i = re.match(r"h?[ií](?![aeouáéóú])", items[-1], re.IGNORECASE)
        last = self._words["list.and_i" if before_i else "list.and"]
        return f"{', '.join(items[:-1])} {last} {items[-1]}"

    def once(self, first: str, second: str) -> str:
        """Return ``a and b``, or ``a`` alone where the two are the same."""
        return self.listing(list(dict.fromkeys((first, second))))

    def number(self, value: float, digits: int = 2) -> str:
        """Return a number with a fixed count of decimals, a true minus sign and no ``-0``."""
        if not math.isfinite(value):
            return self._words["number.none"]
        text = decimals(value, digits)
        return text.replace(".", self._words["number.decimal"]).replace("-", "−")

    def chance(self, value: float) -> str:
        """Return what chance gives, with as many decimals as it needs to differ from zero."""
        return self.number(value, 3 if 0 < value < 0.01 else 2)

    def integer(self, value: int) -> str:
        """Return a whole number, its thousands set apart by a thin space from 10,000 on."""
        # Both languages' style guides (SI, RAE) leave four digits together.
        text = f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
        return text if abs(value) >= 10_000 else str(value)

    def amount(self, value: float) -> str:
        """Return a count that ties may have made fractional: ``11``, ``10.5``."""
        if abs(value - round(value)) < 0.05:
            return self.integer(round(value))
        return self.number(value, 1)

    def percent(self, share: float, digits: int = 0) -> str:
        """Return a share in [0, 1] as a percentage."""
        return f"{self.number(100 * share, digits)}\N{NO-BREAK SPACE}%"

    def interval(self, estimate: Estimate, digits: int = 2) -> str:
        """Return an estimate with the ends of its interval."""
        ends = self.ends(estimate, digits)
        return f"{self.number(estimate.value, digits)}\N{NO-BREAK SPACE}{ends}"

    def ends(self, estimate: Estimate, digits: int = 2) -> str:
        """Return the ends of an interval: ``[0.35, 0.75]``, ``[0,35; 0,75]``."""
        return self.bracket(estimate.low, estimate.high, digits)

    def bracket(self, low: float, high: float, digits: int = 2) -> str:
        """Return two ends in brackets, which do not break across lines."""
        separator = self._words["number.separator"]
        ends = f"{self.number(low, digits)}{separator}\N{NO-BREAK SPACE}{self.number(high, digits)}"
        return f"[{ends}]"

    def null(self, test: PermutationTest) -> str:
        """Return what random pairing gives: its mean, and where 95 % of it lies."""
        return f"{self.number(test.null_mean)} {self.bracket(test.null_low, test.null_high)}"

    def p(self, value: float) -> str:
        """Return a p-value with its relation: ``p = 0.012``, ``p < 0.001``."""
        bare = self.p_bare(value)
        relation = "" if bare.startswith("<") else "=\N{NO-BREAK SPACE}"
        return f"p\N{NO-BREAK SPACE}{relation}{bare}"

    def p_bare(self, value: float) -> str:
        """Return a p-value for a cell: ``0.012``, ``< 0.001``."""
        if not math.isfinite(value):
            return self._words["number.none"]
        text = p_decimals(value).replace(" ", "\N{NO-BREAK SPACE}")
        return text.replace(".", self._words["number.decimal"])


def _filled(template: str, style: Style, values: Mapping[str, object]) -> Span:
    return Span(_PLACEHOLDER.sub(lambda match: str(values[match[1]]), template), style)
