from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from pareja.encoders.protocols import TruncationWarning
from pareja.encoders.tokenisation import Cleaning, Tokeniser, token_text


def tokeniser(
    max_length: int = 4, pad_to_max: bool = False, cleaning: Cleaning = "none", prefix: str = ""
) -> Tokeniser:
    """One token a letter, numbered from 1; no special tokens."""
    vocabulary = {chr(code): code - 96 for code in range(97, 123)} | {"?": 99}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))  # noqa: S106
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return Tokeniser("tiny", backend, max_length, 0, pad_to_max, cleaning, prefix)


def test_batches_hold_texts_of_similar_length() -> None:
    batches = list(tokeniser().batches(["abc", "a", "ab", "b"], 2))
    assert [indices.tolist() for indices, _ in batches] == [[1, 3], [2, 0]]
    first, second = (inputs for _, inputs in batches)
    np.testing.assert_array_equal(first["input_ids"], [[1], [2]])
    np.testing.assert_array_equal(second["input_ids"], [[1, 2, 0], [1, 2, 3]])
    np.testing.assert_array_equal(second["attention_mask"], [[1, 1, 0], [1, 1, 1]])
    assert second["input_ids"].dtype == second["attention_mask"].dtype == np.int64


def test_fixed_length_pads_every_text_to_it() -> None:
    ((_, inputs),) = tokeniser(pad_to_max=True).batches(["a"], 8)
    np.testing.assert_array_equal(inputs["input_ids"], [[1, 0, 0, 0]])


def test_one_warning_names_the_texts_that_are_cut() -> None:
    with pytest.warns(TruncationWarning, match="first 4 tokens.*'abcdef") as caught:
        ids = tokeniser().encode(["abcdef", "abcd", "ghijkl"])
    assert len(caught) == 1
    assert "'ghijkl" in str(caught[0].message)
    assert "'abcd…'" not in str(caught[0].message)
    assert ids == [[1, 2, 3, 4], [1, 2, 3, 4], [7, 8, 9, 10]]


def test_an_empty_text_is_one_token() -> None:
    assert tokeniser().encode([""]) == [[0]]


@pytest.mark.parametrize(
    ("cleaning", "cleaned"),
    [
        ("none", " Hello,\t World! ¿Ñ? "),
        ("lower", " hello,\t world! ¿ñ? "),
        ("canonical", "hello world ¿ñ"),
    ],
)
def test_cleaning(cleaning: Cleaning, cleaned: str) -> None:
    assert tokeniser(cleaning=cleaning).clean(" Hello,\t World! ¿Ñ? ") == cleaned


@given(st.text(st.characters(exclude_categories=())))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    canonical = tokeniser(cleaning="canonical")
    once = canonical.clean(text)
    assert canonical.clean(once) == once
    once.encode()


@given(st.lists(st.text("abc", max_size=9), min_size=1, max_size=9), st.integers(1, 4))
def test_every_text_is_in_one_batch(texts: list[str], size: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncationWarning)
        batches = list(tokeniser().batches(texts, size))
    found = np.concatenate([indices for indices, _ in batches])
    assert sorted(found) == list(range(len(texts)))
    for indices, inputs in batches:
        assert len(indices) <= size
        lengths = [max(1, min(4, len(texts[index]))) for index in indices]
        assert inputs["attention_mask"].sum(axis=1).tolist() == lengths


def test_a_prefix_stands_before_the_text() -> None:
    assert tokeniser(prefix="b").encode(["a"]) == [[2, 1]]


def test_every_setting_changes_the_identity() -> None:
    made = [
        tokeniser(),
        tokeniser(max_length=5),
        tokeniser(pad_to_max=True),
        tokeniser(cleaning="lower"),
        tokeniser(prefix="x"),
    ]
    assert len({one.identity() for one in made}) == len(made)


def test_special_tokens_are_written_in_two_ways() -> None:
    assert token_text("<s>") == token_text({"content": "<s>", "lstrip": False}) == "<s>"
    assert token_text(None) is None
