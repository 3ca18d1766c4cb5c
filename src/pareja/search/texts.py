"""Which pictures have the words of a query in their captions or in the names of their files.

They are looked up in an index (`pareja.search.written`), which follows from the files that a
collection knows. It is made when words are first looked up, and compared with the files again when
the collection has changed since; where it is damaged it is made anew. Where a collection can only
be read, and has none that is sound and up to date, it is made in memory.
"""

from __future__ import annotations

import re
import sqlite3
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from pareja.errors import CollectionError, QueryError
from pareja.search import written
from pareja.search.contracts import LookedUp
from pareja.search.database import Database
from pareja.search.weights import terms_of
from pareja.sqlite import in_parts, transaction

FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a an the and or but if of in on at by for from to into onto with without as is are was be it
        its this that these those there no not
        un una unos unas el la los las lo al del de y e o u en con sin por para ante bajo desde
        hasta hacia entre sobre que se su sus es son como este esta
        """,
    )
)
"""Words of English and Spanish that are not looked up: in titles they are as rare as names."""

COMMON_SHARE = 0.1
"""Words that more than this share of the captions, or of the file names, have are not looked up.

Captions and names are counted separately, since few pictures of a folder may have a caption."""

NEVER_COMMON = 5
"""A word in at most so many captions and so many file names is not too common for that."""


class Written(NamedTuple):
    """A picture whose texts have words of a query, and by how much they fit; less is better."""

    picture: int
    score: float


def words_of(text: str | None) -> tuple[str, ...]:
    """Return the words of a query that are looked up, each once.

    Those that are moved towards: not what has a weight below 0. Other weights change nothing.

    Raises
    ------
    QueryError
        If the query has no words.

    Examples
    --------
    >>> words_of('a red "boat", red::2 indoors::-0.5')
    ('a', 'red', 'boat')
    """
    if text is None or not text.strip():
        raise QueryError(
            "hybrid_words",
            "`hybrid` looks up the words of a query, and this one has none. Give words, or leave "
            "`hybrid` out.",
            {},
        )
    parts = " ".join(term.words for term in terms_of(text) if term.weight > 0)
    # NUL would end the expression that SQLite parses.
    whole = unicodedata.normalize("NFC", parts).replace("\0", " ")
    found: dict[str, str] = {}
    for word in whole.split():
        bare = re.sub(r"^\W+|\W+$", "", word)
        if bare:
            found.setdefault(bare.casefold(), bare)
    return tuple(found.values())


class Texts:
    """The captions and file names of a collection, to be looked up by words.

    A picture's texts are the captions of all files that hold it, and their names with the folders
    below the place that was indexed, and the name of that place. Labels and categories are no part
    of it, and neither is a folder that is named after one of them: what is judged by labels must
    not be found by them.

    Parameters
    ----------
    database
        The collection's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._memory: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        self._sound: str | None = None

    def close(self) -> None:
        """Let go of what is in memory."""
        with self._lock:
            if self._memory is not None:
                self._memory.close()
                self._memory = None

    def refresh(self, *, make: bool = True) -> None:
        """Bring the index up to date, if it may be written; without `make`, only if there is one.

        Raises
        ------
        CollectionError
            If SQLite lacks FTS5.
        """
        if self._database.read_only:
            return
        with self._database.read() as connection:
            if self._may_be_asked(connection) or not (make or written.is_there(connection)):
                return
        with self._database.write() as connection, _explained():
            # Another process may have done it while this one waited for the lock.
            if self._may_be_asked(connection):
                return
            known = self._sound is not None and self._sound == written.revision_of(connection)
            if not (known or written.is_sound(connection)):
                written.take_away(connection)
            written.update(connection, connection)
            self._sound = written.revision_of(connection)

    def _may_be_asked(self, connection: sqlite3.Connection) -> bool:
        """Return whether the collection's own index is of the files as they are, and sound."""
        revision = written.revision_of(connection)
        if revision is None or revision != written.revision_now(connection):
            return False
        if self._sound != revision and written.is_sound(connection):
            self._sound = revision
        return self._sound == revision

    def look_up(self, words: Sequence[str]) -> tuple[LookedUp, list[Written]]:
        """Return which words are looked up, and all pictures that have one of them, best first.

        Ordered by BM25; equal ones by number. Call `refresh` before, outside of any block that
        reads.
        """
        with self._index() as connection:
            captions, names = connection.execute(
                "SELECT captions, names FROM written_at"
            ).fetchone()
            most = {"captions": _most(captions), "names": _most(names)}
            left_out = tuple(
                word
                for word in words
                if word.casefold() in FUNCTION_WORDS or _is_common(connection, word, most)
            )
            asked = tuple(word for word in words if word not in left_out)
            rows = connection.execute(
                "SELECT rowid, bm25(written) FROM written WHERE written MATCH ? ORDER BY 2, 1",
                # An empty expression is an error, and an empty word matches nothing.
                (" OR ".join(map(_quoted, asked or ("",))),),
            )
            return LookedUp(asked, left_out), [Written(*row) for row in rows]

    def having(self, words: Sequence[str], pictures: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Return which of some words each of some pictures has."""
        found: dict[int, list[str]] = {picture: [] for picture in pictures}
        with self._index() as connection:
            for word in words:
                for some, marks in in_parts(pictures):
                    rows = connection.execute(
                        f"SELECT rowid FROM written WHERE written MATCH ? AND rowid IN ({marks})",  # noqa: S608  only question marks
                        (_quoted(word), *some),
                    )
                    for (picture,) in rows:
                        found[picture].append(word)
        return {picture: tuple(had) for picture, had in found.items()}

    def problems(self, *, repair: bool) -> list[str]:
        """Return what is wrong with the index; with `repair`, take it away, to be made again."""
        with self._database.read() as connection:
            if not written.is_there(connection) or written.is_sound(connection):
                return []
        if repair:
            with self._database.write() as connection:
                written.take_away(connection)
        return ["the index of captions and file names is damaged"]

    @contextmanager
    def _index(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection to the index: of the collection's own, or in memory."""
        with self._database.read() as source, _explained():
            if not self._database.read_only or self._may_be_asked(source):
                yield source
                return
            with self._lock:
                if self._memory is None:
                    self._memory = sqlite3.connect(":memory:", check_same_thread=False)
                    self._memory.isolation_level = None
                if written.revision_of(self._memory) != written.revision_now(source):
                    # Without a transaction FTS5 would tidy up after each picture.
                    with transaction(self._memory):
                        written.update(source, self._memory)
                yield self._memory


@contextmanager
def _explained() -> Iterator[None]:
    """Say what to do where SQLite was built without what looks up words."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if not re.search("no such module|tokenizer", str(error)):
            raise
        raise CollectionError(
            f"the SQLite {sqlite3.sqlite_version} of this Python cannot look up words: it was "
            "built without FTS5. Search without `hybrid`, or use a Python whose SQLite has it."
        ) from error


def _most(texts: int) -> int:
    """Return how many of some texts may have a word that is looked up."""
    return max(NEVER_COMMON, int(COMMON_SHARE * texts))


def _is_common(connection: sqlite3.Connection, word: str, most: dict[str, int]) -> bool:
    return any(
        connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM written WHERE written MATCH ? LIMIT ?)",
            (f"{column} : {_quoted(word)}", limit + 1),
        ).fetchone()[0]
        > limit
        for column, limit in most.items()
    )


def _quoted(word: str) -> str:
    """Return a word as FTS5 takes it literally: what it would split is looked up as a phrase."""
    return '"' + word.replace('"', '""') + '"'
