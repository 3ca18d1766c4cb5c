"""What the addresses of pages and API say: what is looked for, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlencode

DEFAULT_HITS = 10
_FILTERS = {"minus", "category", "model", "k", "shows", "at_least", "fold", "hybrid"}


@dataclass(frozen=True)
class Addressed:
    """What a page shows, as its URL says it."""

    def chosen(self) -> dict[str, object]:
        """Return what is not left at its default."""
        default = vars(type(self)())
        return {name: value for name, value in vars(self).items() if value != default[name]}

    def url(self, path: str = "/", **changes: object) -> str:
        """Return the URL that asks this, without what is left at its default."""
        fields = replace(self, **changes).chosen()
        return f"{path}?{urlencode(fields, doseq=True)}" if fields else path


@dataclass(frozen=True)
class Ask(Addressed):
    """What somebody looks for, as a URL says it.

    Parameters
    ----------
    q, minus
        Words to move towards, and away from.
    category, model
        Filter, and encoder; empty for all, and for the default.
    shows
        Labels of the server's classifiers, as ``kinds/castle``.
    at_least
        How probable such a label must be, in [0, 1].
    like
        A picture of the collection.
    image
        The id of an upload.
    box
        The part of that picture which is meant, as `pareja.regions.parts.rectangle` takes it; empty
        for all of it.
    k
        How many hits.
    fold
        Whether near duplicates are one hit. Pages show the others on a click, so it is their
        default; the API takes it on demand.
    hybrid
        Whether the words are looked up in captions and file names too.
    page
        Which page of the list, from 1.
    """

    q: str = ""
    minus: str = ""
    category: str = ""
    model: str = ""
    like: int | None = None
    image: str = ""
    box: tuple[float, ...] = ()
    k: int = DEFAULT_HITS
    shows: tuple[str, ...] = ()
    at_least: float = 0.0
    fold: bool = True
    hybrid: bool = False
    page: int = 1

    @property
    def is_empty(self) -> bool:
        """Whether nothing is looked for."""
        return not (self.q or self.image or self.like)

    @property
    def n_filters(self) -> int:
        """How many of the page's filters are set."""
        return len(self.chosen().keys() & _FILTERS)
