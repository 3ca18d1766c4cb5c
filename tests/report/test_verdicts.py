"""The sentences say what the numbers allow, and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pareja.analysis.calibration import Reliability
from pareja.analysis.classification import classification
from pareja.analysis.comparison import Agreement
from pareja.analysis.modality import PromptScores
from pareja.analysis.significance import Estimate, PermutationTest
from pareja.analysis.verdicts import ALPHA
from pareja.report.content import build_document
from pareja.report.document import Bullets, Paragraph
from pareja.report.frame import Frame
from pareja.report.verdicts import beside_guessing, p_values
from pareja.tasks.encoder_measures import EncoderResult
from pareja.tasks.study import StudyResult
from pareja.words.wording import Lang

if TYPE_CHECKING:
    from tests.report.conftest import Study

    from pareja.analysis.retrieval import Direction

CHANCE = {"en": "within chance", "es": "con el azar"}


def texts(result: StudyResult, lang: Lang, section: str) -> str:
    """Return the sentences of one section as bare text."""
    document = build_document(Frame.of(result, lang))
    blocks = next(part.blocks for part in document.sections if part.key == section)
    found: list[str] = []
    for block in blocks:
        if isinstance(block, Paragraph):
            found.append("".join(span.text for span in block.text))
        elif isinstance(block, Bullets):
            found += ["".join(span.text for span in item) for item in block.items]
    return "\n".join(found)


def test_of(p_value: float) -> PermutationTest:
    return PermutationTest(0.1, p_value, 0.0, -0.1, 0.1, 999)


test_of.__test__ = False  # type: ignore[attr-defined]


def matched(encoder: EncoderResult, p_value: float, low: float) -> Any:
    return replace(
        encoder.matching, test=test_of(p_value), difference=Estimate(0.1, low, max(low, 0.3))
    )


def with_first(result: StudyResult, **changes: Any) -> StudyResult:
    first, *rest = result.encoders
    return replace(result, encoders=(replace(first, **changes), *rest))


def first_places(forward: float, backward: float) -> dict[str, Any]:
    """Return the tests of R@1 with their p-values set."""
    return {"first_place": {"image_to_text": test_of(forward), "text_to_image": test_of(backward)}}


@pytest.mark.parametrize("lang", ["en", "es"])
@pytest.mark.parametrize(("p_value", "low", "shown"), [(0.001, 0.05, True), (0.2, 0.05, False)])
def test_matched_pairs_are_closer_only_where_the_test_says_so(
    lang: Lang, p_value: float, low: float, shown: bool, study: Study
) -> None:
    result = study(["dual"])
    changed = with_first(result, matching=matched(result.encoders[0], p_value, low))
    said = texts(changed, lang, "distributions")
    assert (CHANCE[lang] in said) is not shown


@pytest.mark.parametrize("lang", ["en", "es"])
@pytest.mark.parametrize(("p_value", "shown"), [(0.049, True), (0.051, False)])
def test_recall_is_above_chance_where_its_own_test_says_so_and_p_is_in_the_sentence(
    lang: Lang, p_value: float, shown: bool, study: Study
) -> None:
    result = study(["dual"])
    encoder = result.encoders[0]
    pairs = matched(encoder, 0.9, 0.0)
    changed = with_first(result, matching=pairs, **first_places(p_value, p_value))
    for section in ("retrieval", "summary"):
        sentence = texts(changed, lang, section).split("\n")[1]
        assert (CHANCE[lang] in sentence) is not shown
        assert str(p_value).replace(".", "," if lang == "es" else ".") in sentence


@pytest.mark.parametrize(
    ("forward", "backward", "pairs", "english", "spanish"),
    [
        (0.01, 0.01, 0.01, "pictures and words better than chance", "palabras mejor que el azar"),
        (0.01, 0.40, 0.01, "pictures and words in part", "solo en parte"),
        (0.40, 0.01, 0.40, "pictures and words in part", "solo en parte"),
        (0.40, 0.40, 0.01, "is not shown to put the right", "no se ha podido demostrar que ponga"),
        (0.40, 0.40, 0.40, "finds no more than chance would", "no acierta más que el azar"),
    ],
)
def test_the_summary_says_how_much_a_dual_encoder_was_shown_to_do(
    forward: float, backward: float, pairs: float, english: str, spanish: str, study: Study
) -> None:
    result = study(["dual"])
    matching = matched(result.encoders[0], pairs, 0.05)
    changed = with_first(result, matching=matching, **first_places(forward, backward))
    assert english in texts(changed, "en", "summary").split("\n")[1]
    assert spanish in texts(changed, "es", "summary").split("\n")[1]


@pytest.mark.parametrize("lang", ["en", "es"])
def test_the_method_holds_for_several_captions_and_names_the_rule_that_decides(
    lang: Lang, study: Study
) -> None:
    said = texts(study(["dual"]), lang, "method")
    assert "diagonal" not in said
    rule = {"en": "Where there is a test, its p decides", "es": "hay un contraste, decide su p"}
    assert rule[lang] in said
    assert {"en": "at least 0.05", "es": "no es menor que 0,05"}[lang] in said


@pytest.mark.parametrize(
    ("truth", "chosen", "side"),
    [
        # Two labels swapped.
        ([0, 1] * 20, [1, 0] * 20, "below"),
        # 90 of 100 share a label: far above guessing at random, far below saying it always.
        ([0] * 90 + [1] * 10, [0] * 60 + [1] * 40, "rarer"),
        ([0, 1] * 20, [0, 1] * 20, "above"),
        ([0, 1, 0, 1, 0], [0, 1, 0, 1, 1], "not_shown"),
    ],
)
def test_an_accuracy_is_held_against_guessing_and_the_commonest_label(
    truth: list[int], chosen: list[int], side: str
) -> None:
    scores = classification(np.eye(2)[chosen], np.array(truth), ["a", "b"], resamples=200)
    assert beside_guessing(scores) == side


@pytest.mark.parametrize(
    ("lang", "below", "hint"),
    [
        ("en", "below chance", "Captions that were swapped"),
        ("es", "por debajo del azar", "están intercambiadas"),
    ],
)
def test_swapped_captions_are_called_below_chance(
    lang: Lang, below: str, hint: str, study: Study
) -> None:
    result = study(["dual"])
    encoder = result.encoders[0]
    far = replace(
        encoder.matching,
        difference=Estimate(-1.002, -1.025, -0.977),
        test=PermutationTest(-1.002, 0.002, 0.0, -0.2, 0.2, 999),
    )
    changed = with_first(result, matching=far, **first_places(1.0, 1.0))
    assert below in texts(changed, lang, "distributions")
    assert hint in texts(changed, lang, "summary")


def agreement(value: float, low: float, high: float, p_value: float) -> Agreement:
    only_a, only_b = (3, 1) if value > 0 else (1, 3)
    return Agreement(2, only_a, only_b, 2, Estimate(value, low, high), p_value)


@pytest.mark.parametrize(
    ("forward", "backward", "sentence"),
    [
        ((0.5, 0.2, 0.8, 0.01), (0.5, 0.2, 0.8, 0.01), "colours finds more right answers than"),
        ((-0.5, -0.8, -0.2, 0.01), (-0.5, -0.8, -0.2, 0.01), "other/colours finds more right"),
        ((0.5, 0.2, 0.8, 0.01), (0.1, -0.2, 0.4, 0.7), "colours finds more right captions than"),
        ((0.1, -0.2, 0.4, 0.7), (0.5, 0.2, 0.8, 0.01), "colours finds more right pictures than"),
        ((0.5, 0.2, 0.8, 0.01), (-0.5, -0.8, -0.2, 0.01), "colours is better from picture to"),
        ((0.1, -0.2, 0.4, 0.7), (0.1, -0.2, 0.4, 0.7), "Neither colours nor other/colours can"),
        # Interval and test disagree: the test decides.
        ((0.5, 0.2, 0.8, 0.08), (0.5, 0.2, 0.8, 0.08), "Neither colours nor other/colours can"),
        ((0.5, -0.1, 0.8, 0.01), (0.5, -0.1, 0.8, 0.01), "colours finds more right answers than"),
    ],
)
def test_one_encoder_is_better_only_where_the_test_says_so(
    forward: tuple[float, float, float, float],
    backward: tuple[float, float, float, float],
    sentence: str,
    study: Study,
) -> None:
    result = study(["dual", "other"])
    comparison = replace(
        result.comparisons[0],
        agreement={"image_to_text": agreement(*forward), "text_to_image": agreement(*backward)},
    )
    changed = replace(result, comparisons=(comparison,))
    for section in ("summary", "comparison"):
        assert sentence in texts(changed, "en", section)


def test_differences_are_given_from_the_better_encoder_on(study: Study) -> None:
    result = study(["dual", "other"])
    worse = agreement(-0.5, -0.8, -0.2, 0.01)
    comparison = replace(
        result.comparisons[0], agreement={"image_to_text": worse, "text_to_image": worse}
    )
    said = texts(replace(result, comparisons=(comparison,)), "en", "comparison")
    assert "R@1 differs by 0.50 [0.20, 0.80]" in said.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("rho", "p_value", "sentence"),
    [
        (Estimate(0.7, 0.4, 0.9), 0.002, "find the same pairs easy"),
        (Estimate(-0.7, -0.9, -0.4), 0.002, "finds hard"),
        (Estimate(0.3, -0.2, 0.7), 0.2, "cannot be said"),
        # The test decides, whatever the interval.
        (Estimate(0.5, -0.1, 0.7), 0.04, "find the same pairs easy"),
        (Estimate(float("nan"), float("nan"), float("nan")), 1.0, "cannot be ranked"),
    ],
)
def test_the_correlation_is_read_by_its_p(
    rho: Estimate, p_value: float, sentence: str, study: Study
) -> None:
    result = study(["dual", "other"])
    comparison = replace(result.comparisons[0], matched_spearman=rho, matched_p=p_value)
    assert sentence in texts(replace(result, comparisons=(comparison,)), "en", "comparison")


@pytest.mark.parametrize(
    ("best", "worst", "sentence"),
    [
        (Estimate(0.9, 0.7, 1.0), Estimate(0.2, 0.0, 0.5), "the intervals do not overlap"),
        (Estimate(0.8, 0.4, 1.0), Estimate(0.2, 0.0, 0.6), "the intervals overlap"),
        (Estimate(0.5, 0.2, 0.8), Estimate(0.5, 0.1, 0.8), "in each of them"),
    ],
)
def test_categories_differ_only_where_their_intervals_leave_a_gap(
    best: Estimate, worst: Estimate, sentence: str, study: Study
) -> None:
    result = study(["dual"])
    first, second = result.encoders[0].categories
    changed = with_first(
        result,
        categories=(replace(first, image_to_text=best), replace(second, image_to_text=worst)),
    )
    assert sentence in texts(changed, "en", "summary")


@pytest.mark.parametrize(
    ("p_value", "recall", "sentence"),
    [
        (0.4, (0.4, 0.4), "No map from one space of pictures+words to the other could be shown"),
        (0.005, (0.4, 0.4), "together in part"),
        (0.005, (0.4, 0.01), "together in one direction"),
        (0.005, (0.01, 0.01), "brings the two spaces of pictures+words together."),
    ],
)
def test_a_bridge_is_praised_no_more_than_it_deserves(
    p_value: float, recall: tuple[float, float], sentence: str, study: Study
) -> None:
    result = study(["pair"])
    encoder = result.encoders[0]
    bridges = tuple(
        replace(bridge, matching=matched(encoder, p_value, 0.05), **first_places(*recall))
        if bridge.name == "ridge"
        else bridge
        for bridge in encoder.bridges
    )
    assert sentence in texts(with_first(result, bridges=bridges), "en", "summary")


@pytest.mark.parametrize(
    ("p_value", "sentence"), [(0.3, "within chance"), (0.01, "which nothing in it explains")]
)
def test_a_lucky_random_projection_is_called_lucky(
    p_value: float, sentence: str, study: Study
) -> None:
    result = study(["pair"])
    encoder = result.encoders[0]
    baseline = replace(encoder.bridges[0], matching=matched(encoder, p_value, 0.05))
    changed = with_first(result, bridges=(baseline, *encoder.bridges[1:]))
    assert sentence in texts(changed, "en", "summary").split("\n")[1]


@pytest.mark.parametrize(("p_value", "shown"), [(0.004, True), (0.3, False)])
def test_geometry_is_beyond_chance_only_where_the_test_says_so(
    p_value: float, shown: bool, study: Study
) -> None:
    result = study(["dual"])
    geometry = replace(
        result.encoders[0].geometry,
        rsa=test_of(p_value),
        cka=test_of(p_value),
        mutual_knn=test_of(p_value),
    )
    said = texts(with_first(result, geometry=geometry), "en", "geometry")
    assert ("beyond chance" in said) is shown
    assert ("within chance" in said) is not shown


def test_every_test_is_counted_once(study: Study) -> None:
    result = study(["pair", "dual"])
    # Matching and R@1 both ways for five bridges and one dual encoder, one gap, three measures of
    # geometry each, four of the comparison.
    assert len(p_values(result)) == 6 * 3 + 1 + 2 * 3 + 4
    passed = sum(p < ALPHA / 29 for p in p_values(result))
    said = texts(result, "en", "limits")
    assert "Of 29 tests, about 1.5 would fall" in said
    assert f"{passed} remain" in said


def inside(result: StudyResult, **changes: Any) -> str:
    """Return what is said inside the space once some of its measures are changed."""
    dual = result.encoders[0].dual
    assert dual is not None
    return texts(with_first(result, dual=replace(dual, **changes)), "en", "inside")


@pytest.mark.parametrize(("p_value", "shown"), [(0.01, True), (0.2, False)])
def test_a_gap_is_one_only_where_the_test_says_so(
    p_value: float, shown: bool, study: Study
) -> None:
    said = inside(study(["dual"]), gap=test_of(p_value), ece=Estimate(0.2, 0.1, 0.3))
    assert ("There is a gap" in said) is shown
    assert ("within chance: no gap could be shown" in said) is not shown


@pytest.mark.parametrize(
    ("low", "confidence", "sentence"),
    [
        (0.0, 0.9, "within chance: on these pictures honest confidences"),
        # What is printed as 0.00 excludes nothing.
        (0.004, 0.9, "within chance: on these pictures honest confidences"),
        (0.1, 0.9, "promises more than it keeps: mean confidence 0.90, share right 0.50"),
        (0.1, 0.3, "keeps more than it promises: mean confidence 0.30, share right 0.50"),
    ],
)
def test_confidence_is_blamed_only_beyond_what_honest_ones_score(
    low: float, confidence: float, sentence: str, study: Study
) -> None:
    bins = Reliability(
        edges=np.array([0.0, 0.5, 1.0]),
        confidence=np.array([float("nan"), confidence]),
        accuracy=np.array([float("nan"), 0.5]),
        count=np.array([0, 8]),
    )
    said = inside(study(["dual"]), ece=Estimate(0.4, low, 0.6), reliability=bins)
    assert sentence in said


def test_a_template_stands_apart_only_where_its_interval_does(study: Study) -> None:
    usual = Estimate(0.5, 0.3, 0.7)
    bare: dict[Direction, Estimate] = {"image_to_text": usual, "text_to_image": usual}
    near: dict[Direction, Estimate] = {**bare, "image_to_text": Estimate(0.6, 0.4, 0.8)}
    far: dict[Direction, Estimate] = {**bare, "text_to_image": Estimate(0.1, 0.0, 0.2)}
    result = study(["dual"])
    steady = inside(result, prompts=(PromptScores("{}", bare), PromptScores("a {}", near)))
    assert "R@1 is 0.50–0.60 (picture → caption) and 0.50 (caption → picture)" in steady
    assert "None stands apart" in steady
    moved = inside(
        result,
        prompts=(
            PromptScores("{}", bare),
            PromptScores("a {}", near),
            PromptScores("no {}", far),
        ),
    ).replace("\N{NO-BREAK SPACE}", " ")
    assert "“no …”, caption → picture, 0.10 [0.00, 0.20] against 0.50 [0.30, 0.70]." in moved
    assert "“a …”" not in moved


def test_the_comparison_says_which_way_stands_for_a_pair(study: Study) -> None:
    result = study(["pair", "dual"])
    for section in ("comparison", "categories"):
        said = texts(result, "en", section)
        assert "ridge" in said
        assert "figures are those of the random projection" not in said


@pytest.mark.parametrize(
    ("estimate", "sentence"),
    [
        (Estimate(0.85, 0.6, 0.95), "0.85 [0.60, 0.95]; chance 0.50) and"),
        (Estimate(0.85, 0.6, 0.95), "above chance in both directions"),
        (Estimate(0.5, 0.3, 0.7), "chance 0.50): within chance"),
    ],
)
def test_mistakes_within_a_category_are_said_with_chance_and_interval(
    estimate: Estimate, sentence: str, study: Study
) -> None:
    result = study(["dual"])
    confusion = result.encoders[0].confusion
    assert confusion is not None
    same = replace(confusion, same={"image_to_text": estimate, "text_to_image": estimate})
    said = texts(with_first(result, confusion=same), "en", "categories")
    assert sentence in said.replace("\N{NO-BREAK SPACE}", " ")


def test_limits_name_the_starter(study: Study) -> None:
    result = study(["pair", "dual"])
    assert "ImageNet" not in texts(result, "en", "limits")
    starter = with_first(study(["dual"]), name="starter")
    assert "ImageNet" in texts(starter, "en", "limits")
    tuned = replace(starter, dataset=replace(starter.dataset, name="commons200"))
    document = build_document(Frame.of(tuned, "en"))
    limits = next(part for part in document.sections if part.key == "limits")
    assert type(limits.blocks[1]).__name__ == "Note"
