"""Looking at the pictures of a collection, so that near duplicates can be shown as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pareja.datasets.records import Source
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.pipeline import OnProgress, Reporter
from pareja.search.catalogue import Catalogue
from pareja.search.database import Database
from pareja.search.folding import Alike, noticed_of
from pareja.search.places import Place

# Pictures that are looked at in one transaction.
_AT_ONCE = 256


@dataclass(frozen=True)
class Looking:
    """Finds out what pictures look like that were embedded without being decoded.

    Parameters
    ----------
    database, catalogue
        Of the collection.
    known
        What pictures look like, as earlier runs noticed it; what is noticed is stored in it.
    """

    database: Database
    catalogue: Catalogue
    known: EmbeddingCache | None = None

    def keep(self, looks: Mapping[str, bytes]) -> None:
        """Keep for other collections what was noticed of pictures, by digest."""
        if self.known is not None:
            self.known.keep_looks(looks)

    def look_at(self, places: Sequence[Place], progress: OnProgress | None) -> None:
        """Look at the pictures at some places that were not looked at; group near duplicates."""
        alike = Alike(self.database)
        pending: dict[int, Source] = {}
        for place in places:
            filed = self.catalogue.files_below(place.path)
            lacking = alike.lacking(known.picture for known in filed.values())
            pending |= {
                filed[found.key].picture: found.record.source
                for found in place.pictures
                if found.key in filed and filed[found.key].picture in lacking
            }
        ids, report = list(pending), Reporter(len(pending), progress)
        for start in range(0, len(ids), _AT_ONCE):
            some = self.catalogue.pictures_by_id(ids[start : start + _AT_ONCE])
            looks = self._looks({each.digest: pending[n] for n, each in some.items()})
            with self.database.write():
                here = self.catalogue.ids_by_digest(list(looks))
                alike.add({here[digest]: look for digest, look in looks.items() if digest in here})
            report.count(min(_AT_ONCE, len(ids) - start))
        alike.group()

    def _looks(self, sources: Mapping[str, Source]) -> dict[str, bytes]:
        """Return what pictures look like, by digest, decoding those of which nobody knows it."""
        known = {} if self.known is None else self.known.looks(list(sources))
        new = noticed_of({digest: sources[digest] for digest in sources.keys() - known.keys()})
        self.keep(new)
        return known | new
