"""What the pages say, in Spanish and English."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from pareja.words.wording import Lang, Wording, flat

LANGS: tuple[Lang, ...] = ("en", "es")


@cache
def page_words(lang: Lang) -> Mapping[str, str]:
    """Return every wording of the pages, keys joined with dots."""
    text = resources.files("pareja.words").joinpath(f"server_{lang}.toml").read_text("utf-8")
    return dict(flat(tomllib.loads(text)))


class PageWording(Wording):
    """The pages' sentences, and numbers as the language writes them.

    Parameters
    ----------
    lang
        ``es`` or ``en``.

    Examples
    --------
    >>> PageWording("es").number(0.5), PageWording("en").text("nav.search")
    ('0,50', 'Search')
    """

    def __init__(self, lang: Lang) -> None:
        super().__init__(lang)
        self._words = {**self._words, **page_words(lang)}


@cache
def wording(lang: Lang) -> PageWording:
    """Return the wording of a language."""
    return PageWording(lang)


def choose_language(cookie: str | None, accepted: str, default: Lang | None) -> Lang:
    """Choose the language of a page.

    Parameters
    ----------
    cookie
        What the visitor chose before, if anything.
    accepted
        The browser's Accept-Language header.
    default
        The server's language, for browsers that ask for neither.

    Examples
    --------
    >>> choose_language(None, "de, es-CO;q=0.8, en;q=0.7", None)
    'es'
    >>> choose_language("en", "es", None), choose_language(None, "*", "es")
    ('en', 'es')
    """
    for lang in LANGS:
        if cookie == lang:
            return lang
    wishes: list[tuple[float, Lang]] = []
    for wish in accepted[:500].split(","):
        match = re.fullmatch(r"\s*(en|es)(?:-\w+)*\s*(?:;\s*q=([01](?:\.\d{1,3})?)\s*)?", wish)
        if match:
            wishes.append((float(match[2] or 1), "es" if match[1] == "es" else "en"))
    # max keeps the first of equals, which is the order in which the browser names them.
    quality, lang = max(wishes, key=lambda wish: wish[0], default=(0.0, default or LANGS[0]))
    return lang if quality or not wishes else default or LANGS[0]
