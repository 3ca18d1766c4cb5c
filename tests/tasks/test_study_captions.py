from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import pytest

import pareja
from pareja.datasets import Dataset
from pareja.report.frame import why_left_out
from pareja.tasks.study_export import study_to_json
from pareja.words.wording import Lang, Wording

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

FEW: dict[str, Any] = {"permutations": 99, "resamples": 50, "cache": False}


@pytest.fixture
def spanish(colour_dataset: Dataset) -> Dataset:
    """Return a dataset whose Spanish captions are those of the next picture."""
    shifted = [*colour_dataset.records[1:], colour_dataset.records[0]]
    records = tuple(
        replace(record, caption_es=other.caption, extra={"alt": record.caption})
        for record, other in zip(colour_dataset, shifted, strict=True)
    )
    return replace(colour_dataset, records=records)


def test_the_texts_of_another_column_are_studied(spanish: Dataset, colours: ColourEncoder) -> None:
    english = pareja.study(spanish, colours, **FEW)
    assert english.captions == "caption"
    assert english.encoders[0].image_to_text.recall[1].value == 1.0
    wrong = pareja.study(spanish, colours, captions="caption_es", **FEW)
    assert wrong.captions == "caption_es"
    assert wrong.encoders[0].image_to_text.recall[1].value == 0.0
    extra = pareja.study(spanish, colours, captions="alt", **FEW)
    assert extra.encoders[0].image_to_text.recall[1].value == 1.0


def test_two_columns_are_compared_encoder_by_encoder(
    spanish: Dataset, colours: ColourEncoder
) -> None:
    encoders = [colours, replace(colours, name="again")]
    result = pareja.study(spanish, encoders, captions=["caption", "caption_es"], **FEW)
    assert [(other.encoder.name, other.column) for other in result.others] == [
        ("colours", "caption_es"),
        ("again", "caption_es"),
    ]
    agreement = result.others[0].comparison.agreement["image_to_text"]
    assert agreement.only_a == len(spanish)
    assert agreement.difference.value == 1.0
    told = study_to_json(result)
    assert told["settings"]["captions"] == "caption"
    assert [one["column"] for one in told["captions"]] == ["caption_es", "caption_es"]
    assert told["captions"][0]["image_to_text"]["R@1"] == 0.0
    assert told["encoders"]["colours"]["image_to_text"]["R@1"] == 1.0


def test_pictures_without_a_text_in_a_column_are_named(
    spanish: Dataset, colours: ColourEncoder
) -> None:
    first, *others = spanish.records
    partly = replace(spanish, records=(replace(first, caption_es=None), *others))
    result = pareja.study(partly, colours, captions=["caption", "caption_es"], **FEW)
    assert result.skipped == ((str(first.source), "has no text in the column 'caption_es'"),)
    ((_, reason),) = result.skipped
    said = [why_left_out(result, reason, Wording(lang)) for lang in get_args(Lang)]
    assert said == ["no tiene texto en la columna 'caption_es'", reason]
    assert why_left_out(result, "has no caption", Wording("es")) == "no tiene descripción"
    assert why_left_out(result, "not a picture", Wording("es")) == "not a picture"


def test_columns_that_cannot_be_studied_are_refused(
    spanish: Dataset, colours: ColourEncoder
) -> None:
    with pytest.raises(pareja.ParejaError, match=r"'caption_fr'\. .* alt, caption, caption_es"):
        pareja.study(spanish, colours, captions="caption_fr", **FEW)
    with pytest.raises(pareja.ParejaError, match="`captions` names no column, or one twice"):
        pareja.study(spanish, colours, captions=["caption", "caption"], **FEW)
    first, *others = spanish.records
    several = replace(first, captions=(*first.captions, "another"))
    many = replace(spanish, records=(several, *others))
    with pytest.raises(pareja.ParejaError, match="several texts in the column 'caption'"):
        pareja.study(many, colours, captions=["caption", "caption_es"], **FEW)
