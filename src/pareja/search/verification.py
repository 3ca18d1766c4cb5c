"""Checking that a collection is whole."""

from __future__ import annotations

from pareja.search.catalogue import Catalogue
from pareja.search.contracts import VerifyReport
from pareja.search.database import Database
from pareja.search.indexing import remove_pictures
from pareja.search.vectors.protocol import Stores


def verify(
    database: Database, catalogue: Catalogue, stores: Stores, *, repair: bool
) -> VerifyReport:
    """Check everything; with `repair`, put right what can be.

    What is derived is thrown away and rebuilt, and rows that lead nowhere are removed. A damaged
    database is reported and left as it is: nobody knows what is missing from it.
    """
    problems = database.integrity()
    if problems:
        return VerifyReport(tuple(problems), False, 0, 0)
    lost = catalogue.orphans()
    if lost:
        problems.append(f"{len(lost)} pictures have no file")
        if repair:
            with database.write():
                remove_pictures(catalogue, stores, lost)
    pictures = {picture.id for picture in catalogue.pictures(None, 0, None)}
    seen: set[int] = set()
    vectors = 0
    for space in catalogue.spaces():
        store = stores(space)
        embedded = set(store.ids())
        stray = sorted(embedded - pictures)
        if stray:
            problems.append(f"{len(stray)} vectors of {space.model} have no picture")
            if repair:
                store.remove(stray)
        problems += store.problems(repair=repair)
        seen |= embedded
        vectors += store.count()
    if unseen := pictures - seen:
        problems.append(f"{len(unseen)} pictures have no vector; index their folders again")
    return VerifyReport(tuple(problems), repair, len(pictures), vectors)
