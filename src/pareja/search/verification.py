"""Checking that a collection is whole."""

from __future__ import annotations

import os

from pareja.decimals import counted
from pareja.errors import CollectionError, some_of
from pareja.names import printable
from pareja.search.catalogue import Catalogue
from pareja.search.contracts import VerifyReport
from pareja.search.database import Database
from pareja.search.folding import Alike
from pareja.search.indexing import remove_pictures
from pareja.search.parts import PartVectors
from pareja.search.spaces import Space
from pareja.search.texts import Texts
from pareja.search.vectors.protocol import Stores


def verify(
    database: Database, catalogue: Catalogue, stores: Stores, *, repair: bool
) -> VerifyReport:
    """Check everything; with `repair`, put right what can be.

    What is derived is thrown away and rebuilt, and rows that lead nowhere are removed. So are
    damaged rows of pictures and vectors, which indexing makes again; damaged judgements and
    queries, which nothing can make again, are named and stay. A database that SQLite cannot read is
    reported and left as it is: nobody knows what is missing from it.
    """
    try:
        problems = Texts(database).problems(repair=repair)
    except CollectionError:
        problems = []  # what hinders it is found now
    damaged = database.integrity(virtual=repair or not problems)
    if damaged:
        return VerifyReport(tuple(damaged), False, 0, 0)
    problems += _damaged_rows(database, catalogue, stores, repair=repair)
    lost = catalogue.orphans()
    if lost:
        problems.append(f"{counted(len(lost), 'picture has', 'pictures have')} no file")
        if repair:
            with database.write():
                remove_pictures(catalogue, stores, lost)
    pictures = {picture.id for picture in catalogue.pictures(None, 0, None)}
    seen: set[int] = set()
    vectors = regions = 0
    for space in catalogue.spaces():
        store = stores(space)
        problems += store.problems(repair=repair)
        embedded = set(store.ids())
        stray = sorted(embedded - pictures)
        if stray:
            problems.append(f"{counted(len(stray), 'vector')} of {space.model} without a picture")
            if repair:
                store.remove(stray)
        seen |= embedded
        vectors += store.count()
        if space.parts:
            problems += _parts(space, stores, embedded & pictures, repair=repair)
            regions += stores.parts(space).count()
    if unseen := pictures - seen:
        problems.append(
            f"{counted(len(unseen), 'picture has', 'pictures have')} no vector; "
            "index their folders again"
        )
    return VerifyReport(tuple(problems), repair, len(pictures), vectors, regions)


def _parts(space: Space, stores: Stores, pictures: set[int], *, repair: bool) -> list[str]:
    """Check the parts of a space's pictures; with `repair`, remove those of no picture."""
    parts = PartVectors(stores.parts(space))
    problems = parts.store.problems(repair=repair)
    known = parts.known(sorted(pictures))
    if stray := sorted(set(parts.pictures()) - pictures):
        problems.append(
            f"parts by {space.model} of {counted(len(stray), 'picture')} that are not here"
        )
        if repair:
            parts.remove(stray)
    if lacking := len(pictures - known):
        problems.append(
            f"{counted(lacking, 'picture has', 'pictures have')} no parts by {space.model}; "
            "index their folders again"
        )
    return problems


def _damaged_rows(
    database: Database, catalogue: Catalogue, stores: Stores, *, repair: bool
) -> list[str]:
    """Name the rows that are not what was written; with `repair`, have them made again."""
    problems = []
    files = database.damaged("file", "path")
    if files:
        shown = some_of(printable(os.fsdecode(path)) for path in files)
        problems.append(
            f"what is known of {counted(len(files), 'file')} is damaged: {shown}; index them again"
        )
    pictures = database.damaged("picture", "id")
    if pictures:
        problems.append(
            f"what is known of {counted(len(pictures), 'picture')} is damaged: the numbers "
            f"{some_of(map(str, pictures))}; index their folders again"
        )
    looks = database.damaged("look", "picture")
    if looks:
        problems.append(
            f"what {counted(len(looks), 'picture')} look like is damaged; index their folders again"
        )
    if queries := database.damaged("judgement", "query"):
        told = counted(len(queries), "query", "queries")
        problems.append(f"judgements of {told} are damaged: {some_of(queries)}; judge them again")
    if sets := database.damaged("query_set", "name"):
        told = counted(len(sets), "query set")
        problems.append(f"queries of {told} are damaged: {some_of(sets)}; make them anew")
    if repair and (files or pictures or looks):
        with database.write():
            Alike(database).forget(looks)
            catalogue.look_again(files)
            catalogue.forget_files(catalogue.files_of(pictures))
            remove_pictures(catalogue, stores, pictures)
    return problems
