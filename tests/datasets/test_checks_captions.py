from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareja.datasets.captions import (
    mismatches,
    normalised,
    odd_characters,
    repeats_file_name,
    word_count,
)


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("", 0),
        ("  ", 0),
        ("2004-03-02 (17)", 0),
        ("Jaguar", 1),
        ("Claw-hammer", 2),
        ("Chickens at Tranquilles B&B", 4),
        ("Château d'Ussé", 2),
        ("猫が寝る", 4),
    ],
)
def test_words_are_what_has_letters(caption: str, words: int) -> None:
    assert word_count(caption) == words


@pytest.mark.parametrize(
    ("caption", "repeats"),
    [
        ("IMG_2041", True),
        ("img_2041.JPG", True),
        ("DSC0042.jpeg", True),
        ("Two jaguar sisters", False),
        ("two_jaguars", False),
        ("the file IMG_2041.jpg as it was", False),
    ],
)
def test_a_caption_that_is_a_file_name(caption: str, repeats: bool) -> None:
    assert repeats_file_name(caption, "images/mammals/IMG_2041.jpg") is repeats


@pytest.mark.parametrize(
    ("caption", "found"),
    [
        ("Café in Paris – “old”", None),
        ("A family 👨‍👩‍👧 at\tthe\nbeach", None),
        ("می‌خواهم", None),
        ("CafÃ© in Paris", "wrong encoding"),
        ("A kitten\ufffds paw", "wrong encoding"),
        ("A\x07 kitten", "U+0007"),
        ("A \ue000 kitten", "U+E000"),
    ],
)
def test_characters_that_nobody_typed(caption: str, found: str | None) -> None:
    odd = odd_characters(caption)
    assert odd is None if found is None else found in (odd or "")


@given(st.text())
def test_normalising_twice_changes_nothing_more_for_case_and_spaces(caption: str) -> None:
    assert normalised(f"  {caption}\n") == normalised(caption)


def diagonal(n: int, seed: int = 0) -> np.ndarray:
    similarity = np.random.default_rng(seed).normal(0, 0.02, (n, n))
    similarity[np.arange(n), np.arange(n)] += 0.3
    return similarity


def names(n: int) -> list[str]:
    return [f"caption {i}" for i in range(n)]


def test_captions_that_fit_are_left_alone() -> None:
    assert mismatches(diagonal(20), np.arange(20), names(20)) == ()


def test_swapped_captions_name_each_other() -> None:
    similarity = diagonal(20)
    similarity[:, [4, 9]] = similarity[:, [9, 4]]
    first, second = mismatches(similarity, np.arange(20), names(20))
    assert (first.own, first.other, first.swapped) == (4, 9, True)
    assert (second.own, second.other, second.swapped) == (9, 4, True)
    assert first.own_score == similarity[4, 4]
    assert first.other_score == similarity[9, 4]


def test_a_picture_that_scores_high_with_everything_is_no_better_picture() -> None:
    similarity = diagonal(20)
    similarity[7] += 1.0
    assert (similarity.argmax(0) == 7).all()
    assert mismatches(similarity, np.arange(20), names(20)) == ()


def test_a_narrow_defeat_is_not_reported() -> None:
    similarity = diagonal(20)
    similarity[9, 4] = similarity[4, 4] + 0.05
    assert mismatches(similarity, np.arange(20), names(20)) == ()


def test_the_same_caption_elsewhere_is_no_mismatch() -> None:
    similarity = diagonal(20)
    similarity[:, 4] = similarity[:, 9]
    similarity[4, 4] = -0.02
    words = names(20)
    assert [m.own for m in mismatches(similarity, np.arange(20), words)] == [4]
    words[4] = "CAPTION  9"
    assert mismatches(similarity, np.arange(20), words) == ()


def test_several_captions_of_one_picture() -> None:
    similarity = np.repeat(diagonal(10), 2, axis=1)
    similarity[:, 5] = similarity[:, 12]
    (only,) = mismatches(similarity, np.repeat(np.arange(10), 2), names(20))
    assert (only.caption, only.own, only.other, only.swapped) == (5, 2, 6, False)


@pytest.mark.parametrize("value", [0.0, 0.25, 1e300])
def test_equal_scores_say_nothing(value: float) -> None:
    assert mismatches(np.full((6, 6), value), np.arange(6), names(6)) == ()


def test_few_pictures_say_nothing() -> None:
    assert mismatches(np.eye(4)[::-1], np.arange(4), names(4)) == ()
    assert mismatches(np.zeros((9, 0)), np.arange(0), []) == ()


def test_all_captions_the_same_say_nothing() -> None:
    assert mismatches(diagonal(8), np.arange(8), ["a cat"] * 8) == ()


def test_scores_may_be_scaled_and_shifted() -> None:
    similarity = diagonal(20, seed=3)
    similarity[:, [1, 2]] = similarity[:, [2, 1]]
    found = mismatches(similarity, np.arange(20), names(20))
    again = mismatches(similarity * 100 - 7, np.arange(20), names(20))
    assert (
        [(m.own, m.other) for m in found] == [(m.own, m.other) for m in again] == [(1, 2), (2, 1)]
    )
