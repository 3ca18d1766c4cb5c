"""Before and after tuning, put into words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from importlib.metadata import version
from itertools import count

from pareja.analysis.verdicts import ALPHA, of_agreement
from pareja.report.document import (
    Block,
    Bullets,
    Document,
    Listing,
    Paragraph,
    Section,
    Table,
    joined,
    plain,
)
from pareja.report.numbered import Numbered
from pareja.report.tuning_examples import MOST, Album, examples
from pareja.tasks.tuned import Tuned
from pareja.tasks.tuning_measures import Change, Measure, Measured
from pareja.tasks.tuning_recipe import cards_of, short_name
from pareja.words.spans import Inline, Span
from pareja.words.wording import Wording

_SOURCES = {
    "lora": ("Hu et al. 2022, LoRA", "https://arxiv.org/abs/2106.09685"),
    "keep": ("Li and Hoiem 2016", "https://arxiv.org/abs/1606.09282"),
    "share": ("Wortsman et al. 2022, WiSE-FT", "https://arxiv.org/abs/2109.01903"),
    "loss_softmax": ("Radford et al. 2021, CLIP", "https://arxiv.org/abs/2103.00020"),
    "loss_sigmoid": ("Zhai et al. 2023, SigLIP", "https://arxiv.org/abs/2303.15343"),
    "mcnemar": ("McNemar 1947", "https://doi.org/10.1007/BF02295996"),
    "interval": ("Efron 1979", "https://doi.org/10.1214/aos/1176344552"),
}


def build_tuning_document(result: Tuned, words: Wording, album: Album, command: str) -> Document:
    """Put what tuning changed into words.

    Parameters
    ----------
    result
        What came of tuning.
    words
        The language.
    album
        Gets the pictures that are shown.
    command
        The command line that repeats it; may be empty.
    """
    return _Writer(result, words, album, command).document()


class _Writer(Numbered):
    """Puts one tuned encoder into words, numbering tables and figures as they come."""

    def __init__(self, result: Tuned, words: Wording, album: Album, command: str) -> None:
        self.result = result
        self.words = words
        self._album = album
        self._command = command
        self._tables, self._figures = count(1), count(1)

    def document(self) -> Document:
        words, result = self.words, self.result
        parts: list[tuple[str, list[Block]]] = [
            ("summary", [Bullets(tuple(self._findings()), ordered=True)]),
            ("gains", self._gains()),
            ("forgotten", self._forgotten()),
            ("training", self._training()),
            ("examples", self._examples()),
            ("recipe", [self._recipe()]),
            ("method", [Bullets(tuple(self._methods()))]),
            ("limits", [Bullets(tuple(self._limits()))]),
            ("reproduce", self._reproduce()),
        ]
        return Document(
            lang=words.lang,
            title=words.text("tuned.title"),
            subtitle=words.text(
                "tuned.subtitle",
                base=short_name(result.base),
                method=words.text(f"tuned.method_{result.way}"),
                dataset=result.recipe.dataset,
            ),
            contents=words.text("document.contents"),
            hint=words.text("document.hint"),
            footer=words.text("tuned.footer", version=version("pareja")),
            sections=tuple(
                Section(key, words.text(f"tuned.{key}"), tuple(blocks))
                for key, blocks in parts
                if blocks
            ),
        )

    def _findings(self) -> Iterator[Inline]:
        words, result = self.words, self.result
        yield words("tuned.no_test") if result.test is None else self._finding("test", result.test)
        for other in result.others:
            yield self._finding("other", other)
        if not result.others:
            yield words("tuned.no_other")
        if not result.best:
            yield words("tuned.unchanged")
        if result.stopped:
            # As in "not a number at step 7".
            reason, _, step = result.stopped.partition(" at step ")
            reason = "nan" if step else reason
            epochs = result.history[-1].epoch
            yield words(
                f"tuned.stopped_{reason}",
                epochs=words.integer(epochs),
                step=words.integer(int(step or 0)),
                patience=words.count("epoch", result.recipe.schedule.patience),
            )
        if result.skipped:
            yield words("tuned.skipped", pictures=words.count("picture", len(result.skipped)))

    def _finding(self, kind: str, measured: Measured) -> Inline:
        """Return the verdict on a dataset with the numbers that it was read from."""
        words = self.words
        outcomes = {name: of_agreement(c.agreement) for name, c in measured.changes.items()}
        better = [name for name, outcome in outcomes.items() if outcome == "above"]
        worse = [name for name, outcome in outcomes.items() if outcome == "below"]
        side = ("opposed" if worse else "above") if better else "below" if worse else "not_shown"
        verdict = words(
            f"tuned.{kind}_{side}",
            pictures=words.count("picture", len(measured.dataset)),
            name=measured.name,
            where=self._where(better or worse),
            other=self._where(worse),
        )
        return joined(
            [verdict, *(self._number(name, change) for name, change in measured.changes.items())]
        )

    def _where(self, measures: Sequence[Measure]) -> str:
        if not measures:
            return ""
        return self.words.text(f"tuned.where_{measures[0] if len(measures) == 1 else 'both'}")

    def _number(self, measure: Measure, change: Change) -> Inline:
        words, agreement = self.words, change.agreement
        shown = of_agreement(agreement) != "not_shown"
        return words(
            f"tuned.number_{'shown' if shown else 'not_shown'}",
            measure=words.text(f"tuned.measure_{measure}"),
            before=words.number(change.before.value),
            after=words.number(change.after.value),
            difference=words.interval(agreement.difference),
            p=words.p(agreement.p_value),
        )

    def _gains(self) -> list[Block]:
        if self.result.test is None:
            return []
        lead = self.words("tuned.gains_lead")
        if self.result.folds:
            lead = self.words("tuned.gains_folds", folds=self.words.integer(self.result.folds))
        blocks: list[Block] = [Paragraph(lead)]
        if self.result.before is not self.result.base:
            base = short_name(self.result.base)
            blocks.append(Paragraph(self.words("tuned.gains_ridge", base=base)))
        return [*blocks, self._changes(self.result.test)]

    def _forgotten(self) -> list[Block]:
        if not self.result.others:
            return []
        blocks: list[Block] = [Paragraph(self.words("tuned.forgotten_lead"))]
        if self.result.kept:
            blocks.append(Paragraph(self.words("tuned.forgotten_kept", kept=self.result.kept)))
        return [*blocks, *(self._changes(other) for other in self.result.others)]

    def _changes(self, measured: Measured) -> Table:
        words = self.words
        rows = [
            (
                plain(words.text(f"tuned.measure_{measure}")),
                plain(words.interval(change.before)),
                plain(words.interval(change.after)),
                plain(words.interval(change.agreement.difference)),
                plain(words.p_bare(change.agreement.p_value)),
                plain(words.text(f"tuned.said_{of_agreement(change.agreement)}")),
            )
            for measure, change in measured.changes.items()
        ]
        labels = "_labels" if "accuracy" in measured.changes else ""
        columns = ("measure", "before", "after", "difference", "p", "verdict")
        chances = [words.chance(change.chance) for change in measured.changes.values()]
        chance = words.once(chances[0], chances[-1])
        caption = words(f"tuned.gains_table{labels}", name=measured.name, chance=chance)
        return self.table(columns, rows, caption, align="lrrrrl")

    def _training(self) -> list[Block]:
        words, result = self.words, self.result
        if result.best:
            kept = words(
                "tuned.training_best",
                best=words.integer(result.best),
                epochs=words.integer(result.history[-1].epoch),
                validation=words.number(result.history[result.best].validation, 3),
                start=words.number(result.history[0].validation, 3),
            )
            whole = result.share >= 1
            share = words(
                f"tuned.training_share{'_whole' if whole else ''}",
                share=words.percent(result.share),
            )
        else:
            kept, share = words("tuned.unchanged"), ()
        alt = words.text("tuned.training_alt", best=words.integer(result.best))
        return [
            Paragraph(joined([kept, share])),
            self.figure("training", words("tuned.training_figure"), alt),
            *([self._shares()] if result.shares else []),
        ]

    def _shares(self) -> Table:
        """Return the validation score of each share of the change, and which was kept."""
        words, result = self.words, self.result
        mark = f" ({words.text('tuned.figure_kept')})"
        rows = [
            (
                plain(words.percent(share) + (mark if share == result.share else "")),
                plain(words.number(score, 3)),
            )
            for share, score in sorted(result.shares.items())
        ]
        caption = words("tuned.shares_table", best=words.integer(result.best))
        return self.table(("share", "validation"), rows, caption)

    def _examples(self) -> list[Block]:
        words, result = self.words, self.result
        blocks: list[Block] = []
        if result.test is not None:
            blocks += examples(result.test, words, self._album, result.learned, ("won", "lost"))
        for other in result.others:
            blocks += examples(other, words, self._album, "caption", ("lost",))
        key = "examples_lead" if blocks else "examples_none"
        return [Paragraph(words(f"tuned.{key}", most=words.integer(MOST))), *blocks]

    def _recipe(self) -> Table:
        rows = [
            (plain(self.words.text(f"tuned.set_{setting}")), value)
            for setting, value in self._settings()
        ]
        caption = self.words("tuned.recipe_table")
        return self.table(("setting", "value"), rows, caption, align="ll")

    def _settings(self) -> Iterator[tuple[str, Inline]]:
        words, result = self.words, self.result
        recipe, schedule = result.recipe, result.recipe.schedule
        cards = cards_of(result.base)
        places = [f" ({card.repository})" for card in cards if card.repository]
        yield "base", plain(short_name(result.base) + "".join(places))
        licences = list(dict.fromkeys(card.licence for card in cards))
        yield "licence", plain(words.listing(licences) or words.text("tuned.licence_unknown"))
        yield "dataset", plain(recipe.dataset)
        counts = {name: words.integer(n) for name, n in result.parts.items()}
        parts = words.text(f"tuned.parts{'' if counts.get('test') else '_untested'}", **counts)
        split = [parts, words.text(f"tuned.by_{recipe.by}")]
        if result.folds:
            split.append(words.text("tuned.by_folds", folds=words.integer(result.folds)))
        yield "split", plain("; ".join(split))
        yield "truth", plain(words.text(f"tuned.truth_{result.learned}"))
        yield "method", plain(words.text(f"tuned.method_{result.way}"))
        towers = words.text(f"tuned.towers_{recipe.towers}")
        if recipe.rank.blocks is not None and result.method in ("lora", "full"):
            blocks = words.text("tuned.blocks", n=words.integer(recipe.rank.blocks))
            towers = f"{towers}, {blocks}"
        yield "towers", plain(towers)
        if result.method == "lora":
            rank, alpha = words.integer(recipe.rank.rank), words.amount(recipe.rank.alpha)
            yield "rank", words("tuned.rank", rank=rank, alpha=alpha)
        yield "loss", plain(words.text(f"tuned.loss_{recipe.loss}"))
        yield (
            "schedule",
            words(
                "tuned.schedule",
                epochs=words.count("epoch", schedule.epochs),
                batch=words.integer(schedule.batch_size),
                rate=self._exact(schedule.learning_rate),
                decay=self._exact(schedule.weight_decay),
                seed=words.integer(schedule.seed),
            ),
        )
        yield "seconds", words("tuned.seconds", seconds=words.number(result.seconds, 0))

    def _exact(self, value: float) -> str:
        """Return a setting with the decimals that it was given with: ``0.0002``."""
        exponent = Decimal(repr(value)).normalize().as_tuple().exponent
        return self.words.number(value, max(0, -int(exponent)))

    def _methods(self) -> Iterator[Inline]:
        lora = ["lora"] if self.result.method == "lora" else []
        keep = ["keep"] if self.result.kept else []
        for key in (
            *lora,
            *keep,
            "share",
            f"loss_{self.result.recipe.loss}",
            "mcnemar",
            "interval",
        ):
            name, address = _SOURCES[key]
            text = self.words(
                f"tuned.about_{key}", alpha=self.words.number(ALPHA), kept=self.result.kept
            )
            yield joined([text, (Span("("), Span(name, href=address), Span(")"))])

    def _limits(self) -> Iterator[Inline]:
        words, result = self.words, self.result
        if result.test is not None:
            n = len(result.test.dataset)
            yield words(
                "tuned.limit_size",
                pictures=words.count("picture", n),
                step=words.number(1 / n, 3),
            )
            if result.test.name == result.recipe.dataset:
                yield words("tuned.limit_like")
        yield words("tuned.limit_seen")
        if result.others:
            yield words("tuned.limit_other")
        yield words("tuned.limit_seed")

    def _reproduce(self) -> list[Block]:
        words, result = self.words, self.result
        rows = [
            (
                plain(words.text(f"column.{state}")),
                (Span(str(encoder.image_fingerprint), "code"),),
            )
            for state, encoder in (("before", result.before), ("after", result.encoder))
        ]
        return [
            Paragraph(words("tuned.reproduce_lead")),
            *([Listing(self._command)] if self._command else []),
            self.table(("state", "fingerprint"), rows, words("tuned.reproduce_table"), align="ll"),
        ]
