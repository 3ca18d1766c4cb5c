from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import pareja
from pareja.report.content import build_document
from pareja.report.draft import render_draft
from pareja.report.frame import Frame
from pareja.words.wording import Lang

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder
    from tests.report.conftest import Study


@pytest.mark.parametrize(
    ("lang", "said"),
    [
        (
            "en",
            "**colours** finds more with “caption” than with “caption\\_es” in both directions.",
        ),
        ("es", "**colours** acierta más con «caption» que con «caption\\_es» en los dos sentidos."),
    ],
)
def test_a_report_says_which_column_is_found_better(
    study: Study, colours: ColourEncoder, lang: Lang, said: str
) -> None:
    result = pareja.study(
        study(("dual",)).dataset,
        colours,
        captions=["caption", "caption_es"],
        permutations=99,
        resamples=50,
        cache=False,
    )
    frame = Frame.of(result, lang)
    document = build_document(frame)
    assert "captions" in [section.key for section in document.sections]
    draft = render_draft(document, frame, "figures")
    assert said in draft
    assert "| colours | caption\\_es | 0" in draft
