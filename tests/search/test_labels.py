"""Searching among the pictures to which a learned classifier gives a label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests.colour_classifier import COLOUR_NAMES, colour_classifier

from pareja.classifiers.learned import Classifier, Linear
from pareja.encoders import Embeddings, Fingerprint
from pareja.errors import FingerprintMismatchError, LabelError
from pareja.search import Collection, Query, Shows
from pareja.search.labels import LabelFilters, PictureLabels

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


@dataclass
class Counting:
    """A classifier that knows how many pictures it has seen."""

    inner: Classifier
    seen: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        return self.inner.labels

    @property
    def encoder(self) -> str:
        return self.inner.encoder

    @property
    def fingerprint(self) -> Fingerprint:
        return self.inner.fingerprint

    def probabilities(
        self, images: Embeddings
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        self.seen += len(images)
        return self.inner.probabilities(images)


@pytest.fixture(params=[None, "qdrant://:memory:/test"], ids=["sqlite", "qdrant"])
def collection(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    colour_folder: Path,
    colours: ColourEncoder,
) -> Iterator[Collection]:
    with Collection.open(tmp_path / "c", create=True, store=request.param) as opened:
        opened.index([colour_folder], colours)
        yield opened


def stems(collection: Collection, encoder: ColourEncoder, query: Query, k: int = 9) -> list[str]:
    return [hit.picture.path.stem for hit in collection.search(query, encoder, k=k).hits]


def given(collection: Collection, classifier: Classifier) -> dict[str, str]:
    """What the classifier says of each stored vector, as slowly and plainly as can be."""
    found = {}
    for picture in collection.pictures():
        _, vectors = collection.embeddings(classifier.fingerprint, [picture.id])
        found[picture.path.stem] = classifier.classified(vectors).assigned(0)[0]
    return found


def test_only_pictures_with_the_label_are_hits_all_of_them_and_best_first(
    collection: Collection, colours: ColourEncoder
) -> None:
    classifier = colour_classifier(colours)
    truth = given(collection, classifier)
    everything = collection.search(Query(text="pink"), colours, k=9).hits
    for wanted in (("red",), ("green",), ("red", "blue")):
        found = collection.search(
            Query(text="pink", shows=(Shows(classifier, wanted),)), colours, k=9
        )
        expected = [hit for hit in everything if truth[hit.picture.path.stem] in wanted]
        assert len(expected) in range(1, 8)
        assert [hit.picture for hit in found.hits] == [hit.picture for hit in expected]
        assert [hit.rank for hit in found.hits] == list(range(1, len(expected) + 1))
        for hit, plain in zip(found.hits, expected, strict=True):
            assert hit.score == pytest.approx(plain.score, abs=1e-6)
        assert found.likely_relevant is None


def test_labels_counts_and_the_pictures_of_a_label(
    collection: Collection, colours: ColourEncoder
) -> None:
    classifier = colour_classifier(colours)
    truth = given(collection, classifier)
    labels = collection.labels(classifier)
    assert labels.counts() == {name: list(truth.values()).count(name) for name in COLOUR_NAMES}
    reds = collection.pictures(shows=[Shows(classifier, ("red",))])
    assert {picture.path.stem for picture in reds} == {
        stem for stem, label in truth.items() if label == "red"
    }
    assert [picture.id for picture in reds] == sorted(picture.id for picture in reds)
    assert collection.pictures(shows=[Shows(classifier, ("red",))], offset=1, limit=1) == reds[1:2]


def test_it_goes_together_with_a_category_with_likeness_and_with_another_classifier(
    collection: Collection, colours: ColourEncoder
) -> None:
    classifier = colour_classifier(colours)
    truth = given(collection, classifier)
    category = {picture.path.stem: picture.category for picture in collection.pictures()}
    query = Query(text="red", category="bright", shows=(Shows(classifier, ("red",)),))
    both = {s for s, label in truth.items() if label == "red" and category[s] == "bright"}
    assert set(stems(collection, colours, query)) == both
    red = next(p.id for p in collection.pictures() if p.path.stem == "red")
    like = stems(collection, colours, Query(like=red, shows=(Shows(classifier, ("red",)),)))
    assert set(like) == {s for s, label in truth.items() if label == "red"} - {"red"}
    dark = colour_classifier(colours, ("black", "white"))
    shades = given(collection, dark)
    two = Query(text="red", shows=(Shows(classifier, ("red",)), Shows(dark, ("black",))))
    assert set(stems(collection, colours, two)) == {
        s for s in truth if truth[s] == "red" and shades[s] == "black"
    }


def test_a_label_must_be_probable_enough(collection: Collection, colours: ColourEncoder) -> None:
    classifier = colour_classifier(colours)
    labels = collection.labels(classifier)
    _, vectors = collection.embeddings(colours, labels.ids.tolist())
    np.testing.assert_allclose(
        labels.probabilities, classifier.probabilities(vectors).max(axis=1), rtol=1e-6
    )
    middle = float(np.median(labels.probabilities))
    sure = Query(text="red", shows=(Shows(classifier, COLOUR_NAMES, at_least=middle),))
    assert len(stems(collection, colours, sure)) == int((labels.probabilities >= middle).sum())
    assert 0 < int((labels.probabilities >= middle).sum()) < 8


def test_labels_are_computed_once_and_follow_what_is_indexed(
    collection: Collection, colours: ColourEncoder, colour_folder: Path
) -> None:
    classifier = Counting(colour_classifier(colours))
    query = Query(text="red", shows=(Shows(classifier, ("red",)),))
    before = stems(collection, colours, query)
    assert stems(collection, colours, query) == before
    assert classifier.seen == 8
    revision = collection.revision()
    Image.new("RGB", (40, 40), (230, 10, 10)).save(colour_folder / "images" / "crimson.png")
    (colour_folder / "images" / "red.png").unlink()
    rows = (colour_folder / "metadata.csv").read_text().splitlines()
    rows = [row for row in rows if "red.png" not in row]
    rows.append("images/crimson.png,A crimson wall,dark,Ana,CC0-1.0")
    (colour_folder / "metadata.csv").write_text("\n".join(rows))
    collection.index([colour_folder], colours)
    assert collection.revision() != revision
    after = stems(collection, colours, query)
    assert sorted(after) == sorted([*(set(before) - {"red"}), "crimson"])
    assert classifier.seen == 9


def test_the_classifier_may_read_other_vectors_than_those_that_are_searched(
    collection: Collection, colours: ColourEncoder, colour_folder: Path
) -> None:
    hues = replace(colours, name="hues")
    classifier = colour_classifier(hues)
    query = Query(text="red", shows=(Shows(classifier, ("red",)),))
    with pytest.raises(FingerprintMismatchError, match="has those of: colours") as refused:
        collection.search(query, colours)
    assert "\n" not in str(refused.value)
    assert "Index the pictures with hues too" in str(refused.value)
    collection.index([colour_folder / "images" / "red.png"], hues)
    assert stems(collection, colours, query) == ["red"]
    collection.index([colour_folder], hues)
    assert set(stems(collection, colours, query)) == set(stems(collection, hues, query))
    # The other way round: what the searched space lacks is no hit.
    Image.new("RGB", (40, 40), (230, 10, 10)).save(colour_folder / "crimson.png")
    collection.index([colour_folder / "crimson.png"], hues)
    assert "crimson" in stems(collection, hues, query)
    assert "crimson" not in stems(collection, colours, query)


@pytest.mark.parametrize(
    ("labels", "at_least", "said"),
    [
        (("Red",), 0.0, "no label 'Red'. Did you mean 'red'"),
        (("gren",), 0.0, "Did you mean 'green'"),
        (("a castle",), 0.0, "It has: red, green, blue."),
        ((), 0.0, "no label is named"),
        (("red",), 1.5, "between 0 and 1; got 1.5"),
    ],
)
def test_what_no_picture_can_have_is_refused(
    collection: Collection,
    colours: ColourEncoder,
    labels: tuple[str, ...],
    at_least: float,
    said: str,
) -> None:
    query = Query(text="red", shows=(Shows(colour_classifier(colours), labels, at_least),))
    with pytest.raises(LabelError) as refused:
        collection.search(query, colours)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_filter_that_leaves_nothing_gives_nothing(
    collection: Collection, colours: ColourEncoder
) -> None:
    undecided = colour_classifier(colours, scale=0)
    shows = (Shows(undecided, ("blue",)),)
    assert stems(collection, colours, Query(text="red", shows=shows)) == []
    assert collection.pictures(shows=shows) == []


@pytest.mark.parametrize("room", [0, 40_000, 10**9], ids=["streamed", "one filter", "all"])
def test_many_pictures_are_compared_one_and_all_whatever_memory_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colours: ColourEncoder, room: int
) -> None:
    monkeypatch.setattr("pareja.search.labels._KEPT_BYTES", room)
    monkeypatch.setattr("pareja.search.labels._AT_ONCE", 500)
    draws = np.random.default_rng(5)
    vectors = draws.normal(size=(3000, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    encoder = replace(colours, name="made-up", image_dim=16)
    space = encoder.image_fingerprint
    classifier = Classifier(
        labels=("a", "b", "c"),
        encoder="made-up",
        fingerprint=space,
        method="linear-probe",
        rule=Linear(draws.normal(size=(3, 16)).astype(np.float32), np.zeros(3, np.float32)),
    )
    with Collection.open(tmp_path / "c", create=True) as collection:
        catalogue, database = collection._catalogue, collection._database
        added = catalogue.add_space(encoder)
        store = collection._stores(added)
        ids = list(range(1, 3001))
        store.upsert(ids, vectors, [{}] * 3000)
        filters = LabelFilters(database, catalogue, collection._stores)
        _, stored = collection.embeddings(space)
        given = classifier.probabilities(stored).argmax(axis=1)
        for label, column in (("a", 0), ("b", 1), ("a", 0)):
            wanted = filters.showing([Shows(classifier, (label,))], None)
            assert wanted.tolist() == [n for n in ids if given[n - 1] == column]
            hits = filters.nearest(vectors[7], 25, wanted, added, exclude=[int(wanted[0])])
            scores = stored @ vectors[7]
            eligible = wanted.tolist()[1:]
            best = sorted(eligible, key=lambda n: (-scores[n - 1], n))[:25]
            assert [n for n, _ in hits] == best
            assert [score for _, score in hits] == pytest.approx(
                [float(scores[n - 1]) for n in best], abs=2e-4
            )
        held = sum(size for _, size in filters._scans.values())
        assert held <= room


def test_vectors_that_have_just_gone_make_room_for_others(
    collection: Collection, colours: ColourEncoder
) -> None:
    shows = (Shows(colour_classifier(colours), COLOUR_NAMES),)
    before = stems(collection, colours, Query(text="red", shows=shows))
    first = collection.search(Query(text="red"), colours, k=2).hits
    space = collection._catalogue.spaces()[0]
    collection._stores(space).remove([hit.picture.id for hit in first])
    assert stems(collection, colours, Query(text="red", shows=shows), k=3) == before[2:5]
    assert stems(collection, colours, Query(text="red", shows=shows)) == before[2:]


def test_no_more_classifiers_are_remembered_than_there_is_room_for(
    collection: Collection, colours: ColourEncoder
) -> None:
    first = Counting(colour_classifier(colours))
    collection.labels(first)
    for _ in range(8):
        collection.labels(colour_classifier(colours))
    collection.labels(first)
    assert first.seen == 16


def test_labels_stand_for_themselves() -> None:
    labels = PictureLabels(
        ("a", "b"),
        np.array([3, 5, 9]),
        np.array([0, 1, 0], np.int32),
        np.array([0.9, 0.8, 0.6], np.float32),
    )
    assert labels.counts() == {"a": 2, "b": 1}
    assert labels.having(("a",), 0.7).tolist() == [3]
    assert labels.having(("a", "b"), 0.7).tolist() == [3, 5]
