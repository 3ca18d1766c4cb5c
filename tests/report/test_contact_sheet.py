from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pareja.datasets import Dataset
from pareja.report.contact_sheet import render_contact_sheet, render_review
from pareja.report.wording import Lang
from pareja.tasks.labelling import label_pictures
from pareja.tasks.moderation import default_prompts, review_pictures

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


@pytest.mark.parametrize("lang", ["en", "es"])
def test_pictures_are_sorted_into_their_labels(
    colour_dataset: Dataset, colours: ColourEncoder, lang: Lang
) -> None:
    labels = ["red", "<b>green</b>", "blue"]
    labelled = label_pictures(colour_dataset, colours, labels, unknown=0.7)
    page = render_contact_sheet(labelled, lang)
    assert page.startswith("<!doctype html>")
    assert f'lang="{lang}"' in page
    assert "&lt;b&gt;green&lt;/b&gt;" in page
    assert "<b>green" not in page
    red = page.split("<h2>")[1]
    assert red.startswith("red <small>")
    assert 'alt="images/red.png"' in red
    assert ("Ninguna de estas" if lang == "es" else "None of these") in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert page.count("<img") == 8


def test_wrong_labels_are_marked(colour_dataset: Dataset, colours: ColourEncoder) -> None:
    records = [replace(record, label="red") for record in colour_dataset]
    dataset = replace(colour_dataset, records=tuple(records))
    labelled = label_pictures(dataset, colours, ["red", "blue"], truth="label", resamples=20)
    page = render_contact_sheet(labelled, "en")
    wrong = sum(labelled.result.best != 0)
    assert 0 < wrong == page.count("✗ in the dataset: red")


@pytest.mark.parametrize("lang", ["en", "es"])
def test_flagged_pictures_are_blurred_until_asked_for(
    colour_dataset: Dataset, colours: ColourEncoder, lang: Lang
) -> None:
    review = review_pictures(colour_dataset, colours, threshold=0.0)
    page = render_review(review, lang)
    assert page.count("<img") == page.count('<a href="#picture-') == 8
    assert "filter: blur" in page
    assert "a:focus .shown" in page
    assert "<script" not in page
    assert ("Decide una persona" if lang == "es" else "A person decides") in page
    # Before it is asked for, a screen reader hears no more than the eye sees.
    assert set(re.findall(r'alt="(\w+ \w+):', page)) <= {"Blurred picture", "Imagen difuminada"}
    empty = render_review(review_pictures(colour_dataset, colours, threshold=1.0), lang)
    assert "<img" not in empty


@pytest.mark.parametrize("lang", ["en", "es"])
def test_every_flag_has_a_name(colour_dataset: Dataset, colours: ColourEncoder, lang: Lang) -> None:
    from pareja.report.contact_sheet import flag_name
    from pareja.report.wording import Wording

    names = {flag_name(Wording(lang), name) for name in default_prompts().flags}
    assert not any("_" in name for name in names)
    assert flag_name(Wording(lang), "spiders") == "spiders"
