"""The report on a tuned encoder says what the result holds, in both languages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import ColourEncoder

from pareja.analysis.comparison import hit_agreement
from pareja.analysis.significance import Estimate
from pareja.datasets import load_dataset
from pareja.errors import OutputError
from pareja.report.tuning import write_tuning, write_tuning_report
from pareja.tasks.tuned import Tuned
from pareja.tasks.tuning_measures import Change, Learned, Measure, Measured
from pareja.tasks.tuning_recipe import Recipe
from pareja.training.lora import Rank
from pareja.training.schedule import Epoch, Schedule
from pareja.words.wording import Lang, Wording

N = 40


def change(before: int, after: int, first: int = 0) -> Change:
    """Return a change from so many right answers to so many, of 40; the last ones are right."""
    hits = [(np.arange(N) >= N - right).astype(float) for right in (before, after)]
    right, wrong = np.arange(N), (np.arange(N) + 1) % N
    answers = [np.where(each > 0, right, wrong) for each in hits]
    return Change(
        before=Estimate(before / N, 0.01, 0.99),
        after=Estimate(after / N, 0.02, 0.98),
        chance=1 / N,
        agreement=hit_agreement(hits[1], hits[0], np.arange(N), 100, 0),
        pictures=np.arange(N),
        hits_before=hits[0],
        hits_after=hits[1],
        first_before=answers[0],
        first_after=answers[1],
    )


def measured(name: str, changes: Mapping[Measure, Change]) -> Measured:
    dataset = replace(load_dataset(f"shapes:{N}"), name=name)
    return Measured(dataset, tuple(dataset.captions), changes)


def result(
    colours: ColourEncoder,
    test: Measured | None,
    *others: Measured,
    learned: Learned = "caption",
    stopped: str | None = None,
    share: float = 0.5,
    folds: int = 0,
    kept: str | None = None,
) -> Tuned:
    scores = (0.1, 0.3, 0.45, 0.4)
    history = tuple(
        Epoch(i, float("nan") if i == 0 else 3.0 - i / 2, score, 1e-3, 20.0, 0.5)
        for i, score in enumerate(scores)
    )
    return Tuned(
        encoder=replace(colours, name="after"),
        base=colours,
        before=colours,
        method="lora",
        learned=learned,
        parts={"train": 70, "validation": 15, "test": N},
        folds=folds,
        kept=kept,
        history=history,
        best=2,
        share=share,
        shares={1.0: 0.43, 0.75: 0.44, 0.5: 0.45, 0.25: 0.3, 0.0: 0.1},
        stopped=stopped,
        test=test,
        others=others,
        skipped=(("broken.jpg", "no picture"),),
        seconds=12.4,
        folder=Path("nowhere"),
        recipe=Recipe("harbour", "chance", "softmax", "both", Rank(), Schedule(learning_rate=2e-4)),
    )


def text_of(tuned: Tuned, folder: Path, lang: Lang = "en") -> str:
    write_tuning_report(tuned, folder, lang=lang, command="pareja tune x", formats=["md"])
    text = (folder / f"{'informe' if lang == 'es' else 'report'}.md").read_text(encoding="utf-8")
    return text.replace("\\", "").replace("\N{NO-BREAK SPACE}", " ")


BOTH: Mapping[Measure, Change] = {"image_to_text": change(10, 25), "text_to_image": change(12, 30)}
LOST: Mapping[Measure, Change] = {"image_to_text": change(30, 12), "text_to_image": change(20, 19)}


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        ((25, 30), "**Better.** On 40 pictures of harbour that it did not learn from, the tuned "
         "model is right more often than before in both directions."),
        ((25, 12), "more often than before from picture to caption."),
        ((10, 30), "more often than before from caption to picture."),
        ((11, 12), "**Not shown to be better.**"),
        ((2, 13), "**Worse.**"),
        ((25, 2), "**Better and worse.** On 40 pictures of harbour that it did not learn from, "
         "the tuned model is right more often than before from picture to caption, and less "
         "often from caption to picture."),
    ],
)  # fmt: skip
def test_the_verdict_is_the_one_that_the_tests_decide(
    colours: ColourEncoder, tmp_path: Path, after: tuple[int, int], verdict: str
) -> None:
    changes = {"image_to_text": change(10, after[0]), "text_to_image": change(12, after[1])}
    text = text_of(result(colours, measured("harbour", changes)), tmp_path)  # type: ignore[arg-type]
    assert verdict in text


@pytest.mark.parametrize("lang", ["en", "es"])
def test_numbers_in_the_sentences_are_those_of_the_result(
    colours: ColourEncoder, tmp_path: Path, lang: Lang
) -> None:
    words = Wording(lang)
    tuned = result(colours, measured("harbour", BOTH), measured("old", LOST))
    text = text_of(tuned, tmp_path, lang)
    summary = text[text.index('id="summary"') : text.index('id="gains"')]
    said = {
        ("harbour", "image_to_text"): (0.25, 0.625, 0.375),
        ("harbour", "text_to_image"): (0.3, 0.75, 0.45),
        ("old", "image_to_text"): (0.75, 0.3, -0.45),
        ("old", "text_to_image"): (0.5, 0.475, -0.025),
    }
    for one in (tuned.test, *tuned.others):
        assert one is not None
        for name, changed in one.changes.items():
            before, after, difference = (words.number(x) for x in said[one.name, name])
            p = words.p(changed.agreement.p_value).replace("\N{NO-BREAK SPACE}", " ")
            pattern = (
                rf"{before}\D+{after}\D+{re.escape(difference)} \[[^]]+\][^(]*\({re.escape(p)}"
            )
            assert re.search(pattern, summary), (pattern, summary)
    # 18 lost, 0 won: 2 * 0.5**18; 1 lost: 1.
    assert "p < " in summary
    assert words.p(1.0).replace("\N{NO-BREAK SPACE}", " ") in summary
    assert (f"{words.number(0.025, 3)}") in text


def test_what_was_forgotten_has_its_own_verdict(colours: ColourEncoder, tmp_path: Path) -> None:
    tuned = result(colours, measured("harbour", BOTH), measured("old", LOST))
    text = text_of(tuned, tmp_path)
    assert (
        "**Some of old was forgotten.** On 40 pictures, the tuned model is right less often "
        in text
    )
    alone = text_of(result(colours, measured("harbour", BOTH)), tmp_path / "alone")
    assert "What it forgot was not measured" in alone
    assert 'id="forgotten"' not in alone


def test_examples_are_those_that_changed_sides_six_at_most(
    colours: ColourEncoder, tmp_path: Path
) -> None:
    changes: Mapping[Measure, Change] = {"image_to_text": change(10, 25)}
    tuned = result(colours, measured("harbour", changes))
    text = text_of(tuned, tmp_path)
    assert "harbour, from picture to caption: won (15)" in text
    assert "lost (" not in text
    assert tuned.test is not None
    captions = tuned.test.texts
    gallery = text[text.index("won (15)") : text.index('id="recipe"')]
    for query in range(15, 21):
        assert f"**{captions[query]}**<br>Before: {captions[query + 1]}<br>After: " in gallery
    assert gallery.count("![") == 6
    assert len(list((tmp_path / "figures" / "pictures").iterdir())) == 6


def test_a_caption_that_finds_another_picture_names_it(
    colours: ColourEncoder, tmp_path: Path
) -> None:
    changes: Mapping[Measure, Change] = {"text_to_image": change(25, 10)}
    tuned = result(colours, measured("harbour", changes))
    text = text_of(tuned, tmp_path)
    assert tuned.test is not None
    own, rival = tuned.test.texts[15:17]
    assert f"**{own}**<br>After, another picture comes first: {rival}" in text


@pytest.mark.parametrize("lang", ["en", "es"])
def test_labels_are_reported_as_accuracy(
    colours: ColourEncoder, tmp_path: Path, lang: Lang
) -> None:
    one = measured("harbour", {"accuracy": change(10, 25)})
    labels = replace(one, texts=tuple(f"kind {i}" for i in range(N)))
    text = text_of(result(colours, labels, learned="category"), tmp_path, lang)
    assert ("Accuracy: 0.25 before" if lang == "en" else "Exactitud: 0,25 antes") in text
    category = one.dataset.records[15].category
    assert f"{'Label' if lang == 'en' else 'Etiqueta'}: {category}" in text
    assert "R@1" not in text


@pytest.mark.parametrize(
    ("stopped", "said"),
    [
        ("patience", "after epoch 3, because the validation score had not risen for 5 epochs"),
        ("interrupted", "interrupted after epoch 3"),
        ("not a number at step 7", "ended at step 7, because the loss was no longer a number"),
    ],
)
def test_how_training_went(colours: ColourEncoder, tmp_path: Path, stopped: str, said: str) -> None:
    text = text_of(result(colours, None, stopped=stopped), tmp_path)
    assert said in text
    assert "Epoch 2 of 3 was kept: its validation score, 0.450" in text
    assert "before training: 0.100" in text
    assert "50 % was kept" in text
    assert "**Nothing was held out**" in text
    assert "learning rate 0.0002, weight decay 0.01" in text
    assert "1 picture could not be decoded" in text


@pytest.mark.parametrize(("lang", "said"), [("en", "at most 1 epoch,"), ("es", "mucho 1 época,")])
def test_one_epoch_is_told_in_the_singular(
    colours: ColourEncoder, tmp_path: Path, lang: Lang, said: str
) -> None:
    tuned = result(colours, None)
    schedule = replace(tuned.recipe.schedule, epochs=1)
    assert said in text_of(
        replace(tuned, recipe=replace(tuned.recipe, schedule=schedule)), tmp_path, lang
    )


@pytest.mark.parametrize("lang", ["en", "es"])
def test_cross_validation_and_what_was_held_on_to_are_said(
    colours: ColourEncoder, tmp_path: Path, lang: Lang
) -> None:
    tuned = result(
        colours, measured("harbour", BOTH), measured("old", LOST), folds=5, kept="old pictures"
    )
    text = text_of(tuned, tmp_path, lang)
    assert ("divided into 5 parts" if lang == "en" else "dividieron en 5 partes") in text
    assert text.count("old pictures") == 2


@pytest.mark.parametrize("lang", ["en", "es"])
def test_what_a_pair_is_measured_against_is_said(
    colours: ColourEncoder, tmp_path: Path, lang: Lang
) -> None:
    same = result(colours, measured("harbour", BOTH))
    ridge = replace(same, before=replace(colours, name="ridge"))
    said = "ridge regression" if lang == "en" else "regresión ridge"
    assert said in text_of(ridge, tmp_path, lang)
    assert said not in text_of(same, tmp_path, lang)


@pytest.mark.parametrize("lang", ["en", "es"])
def test_every_form_is_written_beside_the_numbers(
    colours: ColourEncoder, tmp_path: Path, lang: Lang
) -> None:
    tuned = result(colours, measured("harbour", BOTH), measured("old", LOST))
    write_tuning(tuned, tmp_path, langs=[lang], command="pareja tune harbour")
    stem = "informe" if lang == "es" else "report"
    assert (tmp_path / f"{stem}.pdf").read_bytes().startswith(b"%PDF")
    page = (tmp_path / f"{stem}.html").read_text(encoding="utf-8")
    assert "pareja tune harbour" in page
    assert "https://arxiv.org/abs/2106.09685" in page
    assert not re.search(r"\{\w+\}", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL))
    label = "Tabla" if lang == "es" else "Table"
    numbers = [int(n) for n in re.findall(rf"<b>{label} (\d+)\.</b>", page)]
    assert numbers == list(range(1, len(numbers) + 1))
    numbers_file = json.loads((tmp_path / "tune.json").read_text(encoding="utf-8"))
    assert numbers_file["test"]["image_to_text"]["difference"] == pytest.approx(0.375)
    assert numbers_file["dataset"] == "harbour"


def test_a_report_is_written_from_python_and_replaces_nothing_unasked(
    colours: ColourEncoder, tmp_path: Path
) -> None:
    tuned = result(colours, None)
    assert tuned.report(tmp_path / "out") == tmp_path / "out"
    assert (tmp_path / "out" / "report.html").is_file()
    with pytest.raises(OutputError, match="exists and is not empty"):
        tuned.report(tmp_path / "out")


@pytest.mark.parametrize(("lang", "kept"), [("en", "50 % (kept)"), ("es", "50 % (conservada)")])
def test_the_score_of_each_share_of_the_change_is_a_table(
    colours: ColourEncoder, tmp_path: Path, lang: Lang, kept: str
) -> None:
    tuned = result(colours, None)
    write_tuning_report(tuned, tmp_path, lang=lang, formats=["md"])
    (page,) = tmp_path.glob("*.md")
    text = page.read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    point = "." if lang == "en" else ","
    scores = {"0 %": "100", "25 %": "300", kept: "450", "75 %": "440", "100 %": "430"}
    rows = [f"| {share} | 0{point}{score} |" for share, score in scores.items()]
    assert "\n".join(rows) in text
    write_tuning_report(replace(tuned, shares={}), tmp_path, lang=lang, formats=["md"])
    assert "75 % |" not in page.read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
