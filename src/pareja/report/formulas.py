"""The formulas of the report, each in the notation of every format."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True)
class Notation:
    """One formula as LaTeX, as Typst and as the inside of a MathML ``math`` element."""

    latex: str
    typst: str
    mathml: str


@cache
def load_formulas() -> dict[str, Notation]:
    """Return every formula by its key."""
    text = (resources.files("pareja.report") / "formulas.toml").read_text(encoding="utf-8")
    return {key: Notation(**forms) for key, forms in tomllib.loads(text).items()}
