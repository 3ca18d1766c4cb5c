from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pareja.datasets import Dataset
from pareja.report.contact_sheet import render_contact_sheet, render_review
from pareja.tasks.labelling import classify
from pareja.tasks.moderation import default_prompts, moderate
from pareja.words.wording import Lang

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


@pytest.mark.parametrize("lang", ["en", "es"])
def test_pictures_are_sorted_into_their_labels(
    colour_dataset: Dataset, colours: ColourEncoder, lang: Lang
) -> None:
    labels = ["red", "<b>green</b>", "blue"]
    labelled = classify(colour_dataset, labels, model=colours, unknown=0.7)
    page = render_contact_sheet(labelled, lang)
    assert page.startswith("<!doctype html>")
    assert f'lang="{lang}"' in page
    assert "&lt;b&gt;green&lt;/b&gt;" in page
    assert "<b>green" not in page
    red = page.split("<h2>")[1]
    assert red.startswith("red <small>")
    assert 'alt="images/red.png"' in red
    assert "<small>images/<wbr>red.png</small>" in red
    assert ("Ninguna de estas" if lang == "es" else "None of these") in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert page.count("<img") == 8


def test_wrong_labels_are_marked(colour_dataset: Dataset, colours: ColourEncoder) -> None:
    records = [replace(record, label="red") for record in colour_dataset]
    dataset = replace(colour_dataset, records=tuple(records))
    labelled = classify(dataset, ["red", "blue"], model=colours, truth="label", resamples=20)
    page = render_contact_sheet(labelled, "en")
    wrong = sum(labelled.result.best != 0)
    assert 0 < wrong == page.count("✗ in the dataset: red")


def test_what_was_refused_rightly_is_not_marked(
    colour_dataset: Dataset, colours: ColourEncoder
) -> None:
    records = [replace(r, label=Path(r.file_name).stem) for r in colour_dataset]
    dataset = replace(colour_dataset, records=tuple(records))
    labelled = classify(
        dataset, ["red", "blue"], model=colours, unknown=1.0, truth="label", resamples=20
    )
    assert labelled.truth is not None
    refused = render_contact_sheet(labelled, "en").split("<h2>None of these")[1]
    for name in labelled.truth:
        told = f"in the dataset: {name}"
        assert (f"✗ {told}" in refused) == (name in {"red", "blue"})
        assert told in refused
    order = re.findall(r'alt="([^"]+)"', refused)
    shown = [float(number) for number in re.findall(r"<strong>([\d.]+)</strong> · ", refused)]
    named = re.findall(r"</strong> · (\w+) [\d.]+ · (\w+) [\d.]+</p>", refused)
    assert [set(pair) for pair in named] == [{"red", "blue"}] * len(shown)
    assert shown == pytest.approx(sorted(labelled.result.certainty, reverse=True), abs=0.006)
    by_certainty = sorted(
        range(len(labelled.dataset)), key=lambda image: -labelled.result.certainty[image]
    )
    assert order == [labelled.dataset.records[image].file_name for image in by_certainty]


def test_one_of_several_true_labels_is_right(
    colour_dataset: Dataset, colours: ColourEncoder
) -> None:
    records = [replace(r, label=f"thing; {Path(r.file_name).stem}") for r in colour_dataset]
    dataset = replace(colour_dataset, records=tuple(records))
    labelled = classify(
        dataset, ["red", "blue"], model=colours, multi_label=True, truth="label", resamples=20
    )
    red = render_contact_sheet(labelled, "en").split("<h2>")[1]
    card = red.split('alt="images/red.png"')[1].split("</li>")[0]
    assert "in the dataset: thing; red" in card
    assert "✗" not in card
    assert "<p>·" not in render_contact_sheet(labelled, "en").replace("<p> ", "<p>")


@pytest.mark.parametrize("lang", ["en", "es"])
def test_the_page_says_what_it_was_made_with(
    colour_dataset: Dataset, colours: ColourEncoder, lang: Lang
) -> None:
    labels = ["red", "blue"]
    plain = render_contact_sheet(classify(colour_dataset, labels, model=colours), lang)
    refusing = classify(colour_dataset, labels, model=colours, unknown=0.71)
    heading = "Plantillas: " if lang == "es" else "Prompts: "
    assert f"{heading}a photo of a {{}}" in plain
    assert "0.71" not in plain.replace(",", ".")
    assert ("0,71" if lang == "es" else "0.71") in render_contact_sheet(refusing, lang)
    assert heading not in render_contact_sheet(replace(refusing, templates=()), lang)


@pytest.mark.parametrize("lang", ["en", "es"])
def test_flagged_pictures_are_blurred_until_asked_for(
    colour_dataset: Dataset, colours: ColourEncoder, lang: Lang
) -> None:
    review = moderate(colour_dataset, model=colours, threshold=0.0)
    page = render_review(review, lang)
    assert page.count("<img") == page.count('<a href="#picture-') == 8
    assert "filter: blur" in page
    assert "a:focus .shown" in page
    assert "<script" not in page
    assert ("la decisión es de una persona" if lang == "es" else "A person decides") in page
    # Before it is asked for, a screen reader hears no more than the eye sees.
    assert set(re.findall(r'alt="(\w+ \w+):', page)) <= {"Blurred picture", "Imagen difuminada"}
    empty = render_review(moderate(colour_dataset, model=colours, threshold=1.0), lang)
    assert "<img" not in empty


@pytest.mark.parametrize("lang", ["en", "es"])
def test_every_flag_has_a_name(colour_dataset: Dataset, colours: ColourEncoder, lang: Lang) -> None:
    from pareja.report.contact_sheet import flag_name
    from pareja.words.wording import Wording

    names = {flag_name(Wording(lang), name) for name in default_prompts().flags}
    assert not any("_" in name for name in names)
    assert flag_name(Wording(lang), "spiders") == "spiders"
