"""Weights in queries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import pareja
from pareja.errors import QueryError
from pareja.search import Collection, Query
from pareja.search.composition import query_vector
from pareja.search.weights import Term, terms_of

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


@pytest.mark.parametrize("text", ["black + white t-shirt", "C++ - a book: 2*3", "a:b", "x * y"])
def test_words_without_two_colons_are_one_term(text: str) -> None:
    assert terms_of(text) == [Term(text, 1.0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cat::two", "the weight of 'cat' is 'two'"),
        ("cat:: 2", "the weight of 'cat' is ''"),
        ("cat::nan", "must be a number"),
        ("cat::inf", "must be a number"),
        ("cat::0", "other than 0"),
        ("cat::0,5", "the weight of 'cat' is '0,5'"),
        ("::2 cat", "no words before '::2'"),
        ("indoors::-1", "only moves away from 'indoors'"),
    ],
)
def test_a_weight_that_means_nothing_is_one_line(
    text: str, said: str, tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    with pareja.open(tmp_path / "index", create=True) as shelf:
        shelf.index(colour_folder, colours)
        with pytest.raises(QueryError) as refused:
            shelf.search(text, colours)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.fixture
def shelf(tmp_path: Path, colour_folder: Path, colours: ColourEncoder) -> Collection:
    opened = pareja.open(tmp_path / "index", create=True)
    opened.index(colour_folder, colours)
    return opened


def test_weights_are_those_of_the_average(shelf: Collection, colours: ColourEncoder) -> None:
    def vector(**query: str) -> np.ndarray:
        space = shelf._catalogue.spaces()[0]
        return query_vector(Query(**query), colours, shelf._stores(space), shelf.read)  # type: ignore[arg-type]

    red, blue, green = colours.encode_texts(["red", "blue", "green"])
    wanted = 3 * red + blue
    np.testing.assert_allclose(
        vector(text="red::3 blue"), wanted / np.linalg.norm(wanted), atol=1e-6
    )
    wanted = wanted / np.linalg.norm(wanted) - 0.2 * green
    np.testing.assert_allclose(
        vector(text="red::3 green::-0.2 blue"), wanted / np.linalg.norm(wanted), atol=1e-6
    )
    np.testing.assert_array_equal(
        vector(text="red", minus="green"), vector(text="red::2 green::-0.5")
    )
    np.testing.assert_array_equal(
        vector(text="red", minus="green::0.2"), vector(text="red::1 green::-0.2")
    )
    with pytest.raises(QueryError, match="subtracted already"):
        shelf.search("red", colours, minus="green::-1")
    assert shelf.search("red::2 blue", colours).likely_relevant is None
    shelf.close()
