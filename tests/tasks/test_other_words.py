from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pareja
from pareja.tasks.other_words import in_other_words

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

    from pareja.datasets import Dataset


def test_labels_stand_for_the_names_of_the_truth(
    colour_dataset: Dataset, colours: ColourEncoder
) -> None:
    words = {"something red or green": "dark", "something blue": "bright"}
    found = pareja.classify(
        colour_dataset, words, model=colours, truth="category", resamples=50, cache=False
    )
    assert found.result.labels == tuple(words)
    assert set(found.truth or ()) == set(words)
    assert found.evaluation is not None
    assert found.evaluation.outside == 0
    listed = [f"{said} = {name}" for said, name in words.items()]
    again = pareja.classify(
        colour_dataset, listed, model=colours, truth="category", resamples=50, cache=False
    )
    assert again.truth == found.truth


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["ave=bird"], r"no name 'bird'\. Did you mean 'birds'\? Its names are birds, cats"),
        (["ave=birds", "pájaro=birds"], "'ave' and 'pájaro' both stand for 'birds'"),
        (["=birds"], "has no name"),
    ],
)
def test_what_stands_for_nothing_is_refused(labels: list[str], said: str) -> None:
    with pytest.raises(pareja.ParejaError, match=said):
        in_other_words(labels, ["birds", "cats"])


def test_a_name_with_an_equals_sign_is_a_name() -> None:
    assert in_other_words(["E=mc2", "cats"], ["E=mc2", "cats"])[0] == ("E=mc2", "cats")


def test_a_threshold_found_elsewhere_needs_the_names_of_the_truth(
    colour_dataset: Dataset, colours: ColourEncoder
) -> None:
    with pytest.raises(pareja.ParejaError, match="Leave one of the two away"):
        pareja.classify(
            colour_dataset,
            {"a": "dark", "b": "bright"},
            model=colours,
            truth="category",
            unknown_from=colour_dataset,
        )
