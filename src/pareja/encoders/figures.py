"""Published results of models, each with who published it. Nothing here was measured by pareja."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """One published number.

    Parameters
    ----------
    percent
        0 to 100, higher is better.
    source
        Who published it.
    """

    percent: float
    source: str

    def __str__(self) -> str:
        return f"{self.percent:.1f} % ({self.source})"


@dataclass(frozen=True)
class Retrieval:
    """How often the first result is a right one (R@1) among the pictures and captions of a test.

    Parameters
    ----------
    pictures
        Percent of the captions that find their picture first; None where it is not known.
    texts
        Percent of the pictures that find one of their captions first; None where it is not known.
    source
        Who published them.
    """

    source: str
    pictures: float | None = None
    texts: float | None = None

    def __str__(self) -> str:
        known = {"pictures": self.pictures, "texts": self.texts}
        return f"{_listed(known)} ({self.source})"


@dataclass(frozen=True)
class ByLanguage:
    """Percent of the captions in one language that find their picture first (R@1).

    Crossmodal-3600 (Thapliyal et al. 2022) has 3600 pictures, captioned by people who speak the
    language.

    Parameters
    ----------
    es, en
        With captions in Spanish and in English.
    source
        Who published them.
    """

    es: float
    en: float
    source: str

    def __str__(self) -> str:
        return f"{_listed({'es': self.es, 'en': self.en})} ({self.source})"


def _listed(known: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {value:.1f} %" for name, value in known.items() if value is not None)
