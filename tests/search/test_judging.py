from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pareja.analysis.ranking import ranking
from pareja.datasets import load_dataset
from pareja.errors import CollectionError, NoSuchPictureError
from pareja.search import BundledQuery, Collection, bundled_queries
from pareja.search.judging import differences

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


@pytest.fixture
def collection(tmp_path: Path, colour_folder: Path, colours: ColourEncoder) -> Iterator[Collection]:
    with Collection.open(tmp_path / "collection", create=True) as collection:
        collection.index([colour_folder], colours)
        yield collection


def ids(collection: Collection) -> dict[str, int]:
    return {picture.path.stem: picture.id for picture in collection.pictures()}


def test_a_judgement_is_kept_changed_and_taken_back(collection: Collection) -> None:
    red = ids(collection)["red"]
    collection.judge("a red  wall ", red, True)
    assert collection.judgements("a red wall") == {red: True}
    collection.judge("a red wall", red, False)
    assert collection.judgements("a red wall") == {red: False}
    collection.judge("a red wall", red, None)
    assert collection.judgements("a red wall") == {}
    with pytest.raises(NoSuchPictureError):
        collection.judge("a red wall", 999, True)
    with pytest.raises(CollectionError, match="words"):
        collection.judge(" ", red, True)


def test_a_judgement_comes_back_with_its_picture(
    collection: Collection, colour_folder: Path, colours: ColourEncoder
) -> None:
    red = collection.picture(ids(collection)["red"])
    collection.judge("warm", red.id, True)
    away = colour_folder / "away"
    red.path.rename(away)
    (colour_folder / "metadata.csv").rename(colour_folder / "metadata.txt")
    collection.index([colour_folder / "images"], colours)
    assert collection.judgements("warm") == {}
    away.rename(red.path)
    collection.index([colour_folder / "images"], colours)
    assert collection.judgements("warm") == {ids(collection)["red"]: True}


def test_query_sets(collection: Collection) -> None:
    collection.create_query_set("walls", ["red", "a  blue wall"])
    assert collection.query_sets() == ("walls",)
    assert collection.queries("walls") == ("red", "a blue wall")
    with pytest.raises(CollectionError, match="already"):
        collection.create_query_set("walls", ["green"])
    with pytest.raises(CollectionError, match="there are: walls"):
        collection.queries("halls")
    for queries in ([], [""], ["red", " red"]):
        with pytest.raises(CollectionError):
            collection.create_query_set("other", queries)
    assert collection.query_sets() == ("walls",)


def test_an_encoder_is_scored_by_what_was_judged(
    collection: Collection, colours: ColourEncoder
) -> None:
    collection.create_query_set("walls", ["red", "blue", "nothing judged"])
    by_name = ids(collection)
    collection.judge("red", by_name["red"], True)
    collection.judge("red", by_name["blue"], False)
    collection.judge("blue", by_name["red"], True)
    scores = collection.evaluate(colours, "walls", resamples=100)
    assert scores.model == "colours"
    assert scores.left_out == ("nothing judged",)
    red, blue = scores.queries
    assert red.precision == {1: 1.0, 3: pytest.approx(1 / 3), 5: pytest.approx(1 / 5)}
    assert (red.ndcg, red.reciprocal_rank, red.known) == (1.0, 1.0, 1)
    assert red.hits[0] == by_name["red"]
    assert red.judged.count(True) == 2
    place = blue.hits.index(by_name["red"]) + 1
    assert blue.reciprocal_rank == pytest.approx(1 / place)
    assert blue.precision[1] == 0
    assert scores.overall.precision[1].value == pytest.approx(0.5)


def test_a_set_without_judgements_cannot_be_scored(
    collection: Collection, colours: ColourEncoder
) -> None:
    collection.create_query_set("walls", ["red"])
    with pytest.raises(CollectionError, match="Judge some results first"):
        collection.evaluate(colours, "walls")


def test_bundled_queries_are_judged_by_labels_and_yours_win(
    collection: Collection, colours: ColourEncoder
) -> None:
    queries = [
        BundledQuery(
            {"en": "a dark wall", "es": "una pared oscura"}, categories=frozenset({"dark"})
        )
    ]
    by_name = ids(collection)
    dark = {picture.id for picture in collection.pictures(category="dark")}
    collection.judge("una pared oscura", by_name["red"], False)
    for _ in range(2):
        collection.add_bundled_queries(queries, "walls-es", "es")
    assert collection.queries("walls-es") == ("una pared oscura",)
    judged = collection.judgements("una pared oscura")
    assert {key for key, relevant in judged.items() if relevant} == dark - {by_name["red"]}
    assert judged[by_name["red"]] is False


def test_bundled_queries_are_judged_where_nothing_can_be_written(
    collection: Collection, colours: ColourEncoder, seal: Callable[[Path], None]
) -> None:
    red, *_ = dark = [picture.id for picture in collection.pictures(category="dark")]
    collection.judge("a dark wall", red, False)
    collection.create_query_set("mine", ["red"])
    collection.close()
    seal(collection.path)
    queries = [BundledQuery({"en": " a dark  wall"}, categories=frozenset({"dark"}))]
    with Collection.open(collection.path) as sealed:
        sealed.add_bundled_queries(queries, "walls-en", "en")
        assert sealed.query_sets() == ("mine", "walls-en")
        assert sealed.queries("walls-en") == ("a dark wall",)
        assert sealed.judgements("a dark wall") == {**dict.fromkeys(dark, True), red: False}
        scores = sealed.evaluate(colours, "walls-en", resamples=100)
        assert scores.queries[0].known == len(dark) - 1
        assert sum(scores.queries[0].relevant) == len(dark) - 1


def test_the_ten_queries_of_commons200_have_answers_in_both_languages() -> None:
    records = load_dataset("commons200").records
    queries = bundled_queries("commons200")
    assert len(queries) == 10
    for query in queries:
        assert query.text["en"] != query.text["es"]
        answers = [
            record
            for record in records
            if record.label in query.labels or record.category in query.categories
        ]
        assert 5 <= len(answers) <= len(records) / 2
        known = {record.label for record in records} | {record.category for record in records}
        assert query.labels | query.categories <= known
    with pytest.raises(CollectionError, match="commons200"):
        bundled_queries("pareja21")


def test_the_first_encoder_is_compared_with_each_other(
    collection: Collection, colours: ColourEncoder
) -> None:
    walls = ("red", "blue", "green")
    collection.create_query_set("walls", walls)
    for name in walls:
        collection.judge(name, ids(collection)[name], True)
    good = collection.evaluate(colours, "walls", resamples=200)
    bad = replace(
        good,
        model="bad",
        overall=ranking([[False]] * len(walls), [1] * len(walls), resamples=200),
    )
    assert good.overall.ndcg.value == 1
    same, lower = differences([good, replace(good, model="same"), bad], resamples=200)
    assert (same.a, same.b, same.estimate.value, same.better) == ("colours", "same", 0, None)
    assert (lower.a, lower.b, lower.estimate.value) == ("colours", "bad", 1)
    [higher] = differences([bad, good], resamples=200)
    assert higher.estimate.value == -1
    assert differences([good]) == differences([]) == []


def test_encoders_are_not_compared_on_different_queries(
    collection: Collection, colours: ColourEncoder
) -> None:
    collection.create_query_set("walls", ["red", "blue"])
    collection.judge("red", ids(collection)["red"], True)
    before = collection.evaluate(colours, "walls", resamples=20)
    collection.judge("blue", ids(collection)["blue"], True)
    after = collection.evaluate(colours, "walls", resamples=20)
    with pytest.raises(CollectionError, match="same queries"):
        differences([before, after])
