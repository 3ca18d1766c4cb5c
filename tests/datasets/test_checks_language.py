from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pareja.datasets import language
from pareja.datasets.formats import load_dataset
from pareja.datasets.language import (
    POOL_MOST,
    POOL_SIZE,
    common_foreign_language,
    foreign_language,
)


@pytest.mark.parametrize(
    "caption",
    [
        "",
        "2014-04-22 (17)",
        "Taj Mahal, Agra, India",
        "Eilean Donan castle",
        "Mute swans (Cygnus olor) and cygnets",
        "Panorama of Château de Chenonceau, Indre-et-Loire, France",
        "Château de Chambord",
        "Los Angeles skyline at night",
        "Le Mont Saint-Michel at low tide",
        "a cat",
        "kitten",
        "KUTUB MINAR DELHI INDIA",
        "IMG DSC",
        "La Sagrada Familia, Barcelona",
        "Neuschwanstein Castle (532850)",
    ],
)
def test_english_and_names_pass(caption: str) -> None:
    assert foreign_language(caption) is None


@pytest.mark.parametrize(
    ("caption", "language"),
    [
        ("Spielendes Kätzchen", "German"),
        ("Un gato negro duerme en el sofá", "Spanish"),
        ("Una vaca pasta en el prado verde", "Spanish"),
        ("Un chat noir dort sur le canapé", "French"),
        ("Kop en schotel beschilderd met vlinders en libellen", "Dutch"),
        ("un cane sulla spiaggia", "Italian"),
        ("Кошка спит на диване", "Cyrillic script"),
        ("猫", "Cjk script"),
    ],
)
def test_other_languages_are_named(caption: str, language: str) -> None:
    assert foreign_language(caption) == language


def test_the_captions_of_the_bundled_dataset_pass() -> None:
    captions = load_dataset("pareja20").captions
    assert [caption for caption in captions if foreign_language(caption)] == []
    assert common_foreign_language(captions) is None


def test_short_spanish_captions_are_recognised_together() -> None:
    captions = [r.caption_es for r in load_dataset("pareja20") if r.caption_es]
    assert len(captions) >= POOL_SIZE
    assert sum(foreign_language(caption) is not None for caption in captions) < len(captions)
    assert common_foreign_language(captions) == "Spanish"


def test_few_captions_are_not_judged_together() -> None:
    captions = ["Un gato negro duerme en el sofá"] * POOL_SIZE
    assert common_foreign_language(captions) == "Spanish"
    assert common_foreign_language([*captions[1:], "1234", ""]) is None


def test_captions_in_another_script() -> None:
    assert common_foreign_language(["Кошка спит на диване"] * POOL_SIZE) == "Cyrillic script"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=12))
def test_any_text_is_judged_without_an_error(captions: list[str]) -> None:
    common_foreign_language(captions)
    for caption in captions:
        foreign_language(caption)


def test_of_many_captions_an_even_sample_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []

    def judge(text: str) -> tuple[str, float, float]:
        judged.append(text)
        return ("Spanish", 0.9, 0.0) if text.startswith("un") else ("English", 0.9, 0.9)

    monkeypatch.setattr(language, "_judge", judge)
    # The last tenth is English, and would be missed if the first captions were taken.
    captions = ["un gato"] * 9 * POOL_MOST + ["a cat"] * POOL_MOST
    assert common_foreign_language(captions) == "Spanish"
    assert len(judged) == POOL_MOST
    assert judged.count("a cat") == POOL_MOST / 10
