from __future__ import annotations

import re

import numpy as np
import pytest

from pareja.analysis.significance import Estimate
from pareja.report.formulas import load_formulas
from pareja.words.spans import Span
from pareja.words.wording import Wording, load_words

PLACEHOLDER = re.compile(r"\{(\w+)\}")


def test_both_languages_say_the_same_things() -> None:
    english, spanish = load_words("en"), load_words("es")
    assert english.keys() == spanish.keys()
    for key, text in english.items():
        assert set(PLACEHOLDER.findall(text)) == set(PLACEHOLDER.findall(spanish[key])), key
        for mark in ("**", "`"):
            assert text.count(mark) % 2 == spanish[key].count(mark) % 2 == 0, key


def test_english_numbers() -> None:
    words = Wording("en")
    assert words.number(-0.004) == "0.00"
    assert words.number(-1.25, 1) == "−1.3"
    assert words.number(float("nan")) == "n/a"
    assert words.interval(Estimate(0.5, -0.25, 0.75)).split("\N{NO-BREAK SPACE}") == [
        "0.50",
        "[−0.25,",
        "0.75]",
    ]
    assert words.p(0.0004).replace("\N{NO-BREAK SPACE}", " ") == "p < 0.001"
    assert words.p(0.0499).replace("\N{NO-BREAK SPACE}", " ") == "p = 0.050"
    assert words.percent(0.256).replace("\N{NO-BREAK SPACE}", " ") == "26 %"
    assert words.integer(9999) == "9999"
    assert words.integer(10000) == "10\N{NARROW NO-BREAK SPACE}000"
    assert words.amount(10.5) == "10.5"
    assert words.amount(11.0000001) == "11"
    assert words.chance(0.05) == "0.05"
    assert words.chance(1 / 220) == "0.005"


def test_spanish_numbers_have_a_decimal_comma() -> None:
    words = Wording("es")
    assert words.interval(Estimate(0.5, 0.25, 0.75)).split("\N{NO-BREAK SPACE}") == [
        "0,50",
        "[0,25;",
        "0,75]",
    ]
    assert words.p(0.012).endswith("0,012")


@pytest.mark.parametrize(
    ("lang", "n", "text"),
    [
        ("en", 1, "1 picture"),
        ("en", 2, "2 pictures"),
        ("es", 1, "1 imagen"),
        ("es", 0, "0 imágenes"),
    ],
)
def test_plurals(lang: str, n: int, text: str) -> None:
    assert Wording(lang).count("picture", n) == text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lang", "items", "text"),
    [
        ("en", [], ""),
        ("en", ["a"], "a"),
        ("en", ["a", "b", "c"], "a, b and c"),
        ("es", ["a", "b"], "a y b"),
        ("es", ["padres", "hijos"], "padres e hijos"),
        ("es", ["agua", "hielo"], "agua y hielo"),
        ("es", ["aves", "insectos"], "aves e insectos"),
    ],
)
def test_listings(lang: str, items: list[str], text: str) -> None:
    assert Wording(lang).listing(items) == text  # type: ignore[arg-type]


def test_a_list_names_every_item_in_the_language() -> None:
    items = [{"name": "A", "i": 1, "t": 2}, {"name": "B", "i": 3, "t": 4}]
    assert Wording("en").each("retrieval.alt", items) == (
        "Bars of R@k. A: R@1 1 and 2; B: R@1 3 and 4."
    )
    assert Wording("es").each("retrieval.alt", items).endswith("A: R@1 1 y 2; B: R@1 3 y 4.")


def test_what_fills_a_placeholder_is_no_markup() -> None:
    spans = Wording("en")("distributions.not_shown", name="**a** {p}", difference="", p="")
    assert spans[0] == Span("**a** {p}", "strong")


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        Wording("en")("distributions.shown", name="a")


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://commons.wikimedia.org/wiki/File:A_(b).jpg", True),
        ("HTTP://example.org", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("https://example.org/a b", False),
        ("//example.org", False),
    ],
)
def test_only_web_addresses_become_links(address: str, kept: bool) -> None:
    assert (Span("source", href=address).href is not None) is kept


def test_formulas_survive_markdown() -> None:
    # A backslash before punctuation is eaten by some readers before the formula is set.
    for key, form in load_formulas().items():
        assert not re.search(r"\\[^a-zA-Z\s]", form.latex), key
        assert form.mathml.count("<m") == form.mathml.count("</m") + form.mathml.count("/>"), key


def test_formulas_are_explained_in_both_languages() -> None:
    for lang in ("en", "es"):
        words = load_words(lang)
        for key in load_formulas():
            assert f"formula.{key}" in words
            assert f"explained.{key}" in words


def test_halves_print_alike_on_whichever_side_a_sum_ends() -> None:
    words = Wording("en")
    below, above = np.nextafter(0.125, 0), np.nextafter(0.125, 1)
    assert {words.number(x) for x in (0.125, below, above)} == {"0.13"}
    assert words.number(-0.125) == "\N{MINUS SIGN}0.13"
