"""How vectors are compressed for a search, in a collection's folder and in Qdrant alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from pareja.errors import CollectionError

if TYPE_CHECKING:
    from pareja.search.database import Database

Compressed = Literal["int8", "binary"]
"""A byte, or a bit, for each number of a vector."""
Quantization = Literal["float16", Compressed]
"""What a search compares a query with; the best are compared again as float16 in any case."""

_QUANTIZATION = "quantization"


def chosen(database: Database) -> Quantization:
    """Return what a collection chose, at this moment; another program may change it."""
    with database.read() as connection:
        row = connection.execute(
            "SELECT value FROM setting WHERE name = ?", (_QUANTIZATION,)
        ).fetchone()
    return "float16" if row is None else checked(row[0])


def choose(database: Database, wanted: Quantization) -> bool:
    """Remember a choice; return whether it is another one than before.

    Raises
    ------
    ReadOnlyError
        If it is, and the collection cannot be written.
    """
    if wanted == chosen(database):
        return False
    with database.write() as connection:
        connection.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (_QUANTIZATION, wanted))
    return True


def checked(wanted: str) -> Quantization:
    """Return what was asked for, if there is such a thing.

    Raises
    ------
    CollectionError
        If there is not.
    """
    if wanted not in get_args(Quantization):
        raise CollectionError(f"`quantization` is float16, int8 or binary, not {wanted!r}.")
    return wanted  # type: ignore[return-value]  # it is one of them
