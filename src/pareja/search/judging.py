"""What people say about results, and what follows from it: query sets and their scores."""

from __future__ import annotations

import sqlite3
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from pareja.errors import CollectionError
from pareja.search.contracts import Picture
from pareja.search.database import Database

if TYPE_CHECKING:
    from pareja.analysis.ranking import RankingScores
    from pareja.analysis.significance import Estimate

DEPTH = 20
"""How many results are looked at for the reciprocal rank."""


@dataclass(frozen=True)
class BundledQuery:
    """A query whose right answers are known from what a dataset says of its pictures.

    Parameters
    ----------
    text
        Its words, by language.
    labels, categories
        A picture with one of these is right.
    """

    text: Mapping[str, str]
    labels: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()


@dataclass(frozen=True)
class QueryScore:
    """How one query fared.

    Parameters
    ----------
    query
        Its words.
    hits
        The ids of the results, best first.
    relevant
        Whether each of them was judged relevant.
    judged
        Whether each of them was judged at all.
    known
        How many pictures of the collection were judged relevant.
    precision
        P@k by k.
    ndcg
        nDCG@5.
    reciprocal_rank
        1 / the place of the first relevant result; 0 where there is none.
    """

    query: str
    hits: tuple[int, ...]
    relevant: tuple[bool, ...]
    judged: tuple[bool, ...]
    known: int
    precision: Mapping[int, float]
    ndcg: float
    reciprocal_rank: float


@dataclass(frozen=True)
class QuerySetScores:
    """How an encoder fared on a query set.

    Parameters
    ----------
    query_set, model
        Which set, and which encoder.
    queries
        Each query that has a relevant picture.
    overall
        Means over these queries, with intervals.
    left_out
        Queries about which nothing has been judged relevant.
    """

    query_set: str
    model: str
    queries: tuple[QueryScore, ...]
    overall: RankingScores
    left_out: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return all of it but its name: the means with their intervals, and each query."""
        overall = self.overall
        ndcg = f"nDCG@{overall.ndcg_at}"
        return {
            **{f"P@{k}": asdict(value) for k, value in overall.precision.items()},
            ndcg: asdict(overall.ndcg),
            "MRR": asdict(overall.mrr),
            "queries": [
                {
                    "query": query.query,
                    "relevant": query.known,
                    **{f"P@{k}": value for k, value in query.precision.items()},
                    ndcg: query.ndcg,
                    "MRR": query.reciprocal_rank,
                }
                for query in self.queries
            ],
            "left_out": list(self.left_out),
        }


@dataclass(frozen=True)
class Difference:
    """How much higher one encoder's nDCG is than another's, over the same queries.

    Parameters
    ----------
    a, b
        Names of the two.
    estimate
        Mean of a minus mean of b, in [-1, 1], with the interval of the paired bootstrap over
        queries.
    """

    a: str
    b: str
    estimate: Estimate

    @property
    def better(self) -> str | None:
        """Name of the better one; None where the interval holds 0."""
        from pareja.analysis.verdicts import by_interval

        sides = {"above": self.a, "below": self.b}
        return sides.get(by_interval(self.estimate))


def differences(
    scores: Sequence[QuerySetScores], *, resamples: int = 2_000, seed: int = 0
) -> list[Difference]:
    """Compare the first encoder with each of the others, by nDCG.

    Parameters
    ----------
    scores
        Of one query set and the same judgements, one for each encoder.
    resamples, seed
        Of the bootstrap over queries.

    Raises
    ------
    CollectionError
        If they are about different queries.
    """
    from pareja.analysis.ranking import ndcg_difference

    asked = [[query.query for query in each.queries] for each in scores]
    if any(queries != asked[0] for queries in asked):
        raise CollectionError(
            "encoders can be compared on the same queries only. Evaluate them on one query set, "
            "with no judgement in between."
        )
    return [
        Difference(
            scores[0].model,
            other.model,
            ndcg_difference(scores[0].overall, other.overall, resamples=resamples, seed=seed),
        )
        for other in scores[1:]
    ]


class Judgements:
    """Query sets, and what was judged, of one collection.

    Parameters
    ----------
    database
        The collection's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        # Bundled query sets by name, their queries by text, where they cannot be written down.
        self._bundled: Mapping[str, Mapping[str, BundledQuery]] = {}

    def create_query_set(self, name: str, queries: Sequence[str]) -> None:
        """Keep queries under a name, in this order."""
        texts = [spaced(query) for query in queries]
        if not name.strip() or not texts or not all(texts):
            raise CollectionError("a query set needs a name and queries, none of them empty.")
        if len(set(texts)) < len(texts):
            twice = next(text for text in texts if texts.count(text) > 1)
            raise CollectionError(f"the query {twice!r} is twice in the set. Give it once.")
        with self._database.write() as connection:
            if name in self.query_sets():
                raise CollectionError(
                    f"there is a query set {name!r} already. Choose another name."
                )
            connection.executemany(
                "INSERT INTO query_set (name, position, query) VALUES (?, ?, ?)",
                [(name, position, text) for position, text in enumerate(texts)],
            )
            self._database.seal("query_set", "name = ?", (name,))

    def query_sets(self) -> tuple[str, ...]:
        """Return the names of the query sets, sorted."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT DISTINCT name FROM query_set").fetchall()
        return tuple(sorted({name for (name,) in rows} | self._bundled.keys()))

    def queries(self, name: str) -> tuple[str, ...]:
        """Return the queries of a set."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT query FROM query_set WHERE name = ? ORDER BY position", (name,)
            ).fetchall()
        found = tuple(query for (query,) in rows) or tuple(self._bundled.get(name, ()))
        if not found:
            known = ", ".join(self.query_sets()) or "none"
            raise CollectionError(f"there is no query set {name!r}; there are: {known}.")
        return found

    def judge(self, query: str, picture: Picture, relevant: bool | None) -> None:
        """Keep a judgement, or take it back."""
        text = spaced(query)
        if not text:
            raise CollectionError("a judgement needs the words of the query.")
        with self._database.write() as connection:
            if relevant is None:
                connection.execute(
                    "DELETE FROM judgement WHERE query = ? AND digest = ?", (text, picture.digest)
                )
            else:
                connection.execute(
                    "INSERT OR REPLACE INTO judgement (query, digest, relevant) VALUES (?, ?, ?)",
                    (text, picture.digest, relevant),
                )
                self._database.seal("judgement", "query = ? AND digest = ?", (text, picture.digest))

    def about(self, query: str) -> dict[int, bool]:
        """Return the judgements about a query, by id of the pictures that are there."""
        text = spaced(query)
        bundled = [texts[text] for texts in self._bundled.values() if text in texts]
        with self._database.read() as connection:
            found = {
                picture_id: True
                for each in bundled
                for picture_id, _ in _right_answers(connection, each)
            }
            found |= connection.execute(
                "SELECT id, relevant FROM judgement JOIN picture USING (digest) WHERE query = ? "
                "ORDER BY id",
                (text,),
            )
        return {picture_id: bool(relevant) for picture_id, relevant in found.items()}

    def add_bundled(self, queries: Sequence[BundledQuery], name: str, language: str) -> None:
        """Add a query set with the judgements that follow from labels; a person's win."""
        texts = {spaced(query.text[language]): query for query in queries}
        if self._database.read_only:
            self._bundled = {**self._bundled, name: texts}
            return
        with self._database.write() as connection:
            if name not in self.query_sets():
                self.create_query_set(name, list(texts))
            connection.executemany(
                "INSERT OR IGNORE INTO judgement (query, digest, relevant) VALUES (?, ?, 1)",
                [
                    (text, digest)
                    for text, query in texts.items()
                    for _, digest in _right_answers(connection, query)
                ],
            )
            # Only what is new: a sum that does not fit stays as it is, and is found.
            self._database.seal("judgement", "checksum IS NULL", ())

    def answerable(self, queries: Sequence[BundledQuery]) -> bool:
        """Return whether each of some queries has a right answer here."""
        with self._database.read() as connection:
            return all(_right_answers(connection, query) for query in queries)

    def evaluate(
        self,
        name: str,
        model: str,
        search: Callable[[str, int], list[int]],
        *,
        seed: int,
        resamples: int,
    ) -> QuerySetScores:
        """Score the results that `search` gives for each query of a set."""
        # SciPy takes as long to import as a search takes.
        from pareja.analysis.ranking import ranking

        judged = {query: self.about(query) for query in self.queries(name)}
        known = {query: sum(about.values()) for query, about in judged.items()}
        asked = [query for query in judged if known[query]]
        if not asked:
            raise CollectionError(
                f"nothing has been judged relevant to a query of {name!r}. "
                "Judge some results first."
            )
        results = {query: search(query, DEPTH) for query in asked}
        relevance = [
            [judged[query].get(picture_id, False) for picture_id in results[query]]
            for query in asked
        ]
        overall = ranking(
            relevance, [known[query] for query in asked], seed=seed, resamples=resamples
        )
        return QuerySetScores(
            query_set=name,
            model=model,
            queries=tuple(
                QueryScore(
                    query=query,
                    hits=tuple(results[query]),
                    relevant=tuple(relevance[n]),
                    judged=tuple(picture_id in judged[query] for picture_id in results[query]),
                    known=known[query],
                    precision={k: float(each[n]) for k, each in overall.precision_by_query.items()},
                    ndcg=float(overall.ndcg_by_query[n]),
                    reciprocal_rank=float(overall.reciprocal_rank_by_query[n]),
                )
                for n, query in enumerate(asked)
            ),
            overall=overall,
            left_out=tuple(query for query in judged if not known[query]),
        )


def _right_answers(connection: sqlite3.Connection, query: BundledQuery) -> list[tuple[int, str]]:
    """Return id and digest of the pictures that answer a bundled query."""
    labels, categories = (",".join("?" * len(names)) for names in (query.labels, query.categories))
    return connection.execute(
        f"SELECT id, digest FROM picture WHERE label IN ({labels}) OR category IN ({categories})",  # noqa: S608  only marks go in
        (*query.labels, *query.categories),
    ).fetchall()


def bundled_queries(name: str) -> tuple[BundledQuery, ...]:
    """Return the queries that come with a bundled dataset.

    Raises
    ------
    CollectionError
        If none come with it.
    """
    every = every_bundled_query()
    if name not in every:
        raise CollectionError(
            f"no queries come with {name!r}; some come with: {', '.join(sorted(every))}."
        )
    return every[name]


def every_bundled_query() -> dict[str, tuple[BundledQuery, ...]]:
    """Return the queries that come along, by the dataset that they are about."""
    table = tomllib.loads(
        resources.files("pareja.search").joinpath("queries.toml").read_text(encoding="utf-8")
    )
    return {
        name: tuple(
            BundledQuery(
                text={"en": entry["en"], "es": entry["es"]},
                labels=frozenset(entry.get("labels", ())),
                categories=frozenset(entry.get("categories", ())),
            )
            for entry in entries
        )
        for name, entries in table.items()
    }


def spaced(query: str) -> str:
    """Return a query without the blanks that do not tell it from another.

    Examples
    --------
    >>> spaced("  a   cat ")
    'a cat'
    """
    return " ".join(query.split())
