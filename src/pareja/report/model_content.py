"""A comparison of models, prompts and losses, put into words."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from itertools import count

import numpy as np

from pareja.analysis.significance import Estimate
from pareja.analysis.verdicts import ALPHA, expected_by_chance, of_agreement
from pareja.report.document import (
    Block,
    Bullets,
    Document,
    Gallery,
    Listing,
    Paragraph,
    PictureCard,
    Section,
    joined,
    plain,
)
from pareja.report.numbered import Numbered
from pareja.report.verdicts import beside_guessing
from pareja.tasks.compare import Difference, ModelComparison, Variant
from pareja.tasks.disputes import Dispute
from pareja.words.spans import Inline, Span
from pareja.words.wording import Wording

_SHOWN_PICTURES = 12
_DIRECTIONS = ("image_to_text", "text_to_image")


def build_model_document(comparison: ModelComparison, words: Wording, command: str) -> Document:
    """Put a comparison of models into words.

    Parameters
    ----------
    comparison
        What was measured.
    words
        The language.
    command
        The command line that repeats it; may be empty.
    """
    return _Writer(comparison, words, command).document()


class _Writer(Numbered):
    """Puts one comparison into words, numbering tables and figures as they come."""

    def __init__(self, comparison: ModelComparison, words: Wording, command: str) -> None:
        self.comparison = comparison
        self.words = words
        self._command = command
        self._tables, self._figures = count(1), count(1)
        self._variants = [v for model in comparison.models for v in model.variants]
        self._chance = self._variants[0].scores

    def document(self) -> Document:
        words, comparison = self.words, self.comparison
        parts: list[tuple[str, list[Block]]] = [
            ("summary", [Bullets(tuple(self._findings()), ordered=True)]),
            ("accuracy", self._accuracy()),
            ("calibration", self._calibration()),
            ("losses", self._losses()),
            ("retrieval", self._retrieval()),
            ("cost", self._cost()),
            ("disputes", self._disputes()),
            ("limits", [Bullets(tuple(self._limits()))]),
            ("reproduce", self._reproduce()),
        ]
        return Document(
            lang=words.lang,
            title=words.text("models.title"),
            subtitle=words.text(
                "models.subtitle",
                dataset=comparison.dataset.name,
                pictures=words.count("picture", len(comparison.dataset)),
                labels=words.integer(len(comparison.labels)),
                models=words.listing([model.name for model in comparison.models]),
            ),
            contents=words.text("document.contents"),
            hint=words.text("document.hint"),
            footer=words.text("models.footer", version=version("pareja")),
            sections=tuple(
                Section(key, words.text(f"models.{key}"), tuple(blocks))
                for key, blocks in parts
                if blocks
            ),
        )

    def _findings(self) -> Iterator[Inline]:
        words, comparison = self.words, self.comparison
        best = max(self._variants, key=lambda variant: variant.scores.top1.value)
        commonest = int(np.bincount(comparison.truth).argmax())
        yield joined(
            [
                words(
                    "models.best",
                    model=best.model,
                    prompts=best.prompts,
                    accuracy=words.interval(best.scores.top1),
                    chance=words.number(best.scores.chance_top1),
                    majority_label=comparison.labels[commonest],
                    majority=words.number(best.scores.majority),
                ),
                words(f"models.best_{beside_guessing(best.scores)}"),
            ]
        )
        if len(comparison.models) == 1:
            yield words("models.one_model")
        for found in comparison.differences:
            yield self._verdict(found)
        if comparison.left_out:
            pictures = words.count("picture", comparison.left_out)
            yield words("models.left_out", pictures=pictures)

    def _verdict(self, found: Difference) -> Inline:
        words, agreement = self.words, found.agreement
        one, other = self._names(found)
        side = of_agreement(agreement)
        gain = agreement.difference
        if side == "below":
            one, other = other, one
            gain = Estimate(-gain.value, -gain.high, -gain.low, gain.level)
        return words(
            f"models.difference_{'chance' if side == 'not_shown' else 'real'}",
            a=one,
            b=other,
            difference=words.interval(gain),
            p=words.p(agreement.p_value),
        )

    def _names(self, found: Difference) -> tuple[str, str]:
        """Call two variants by what they differ in, and by the rest only where it is needed."""
        one, other = found.a, found.b
        if len(self._variants) == len(self.comparison.models):
            return one.model, other.model
        return f"{one.model} · {one.prompts}", f"{other.model} · {other.prompts}"

    def _accuracy(self) -> list[Block]:
        words, comparison = self.words, self.comparison
        k = len(comparison.labels)
        chance = (self._chance.chance_top1, self._chance.chance_top5, 1 / k)
        rows: list[tuple[Inline, ...]] = [
            (
                (Span(words.text("models.guessing"), "emphasis"),),
                (),
                *(plain(words.number(value)) for value in chance),
                (),
            )
        ]
        rows += [self._row(variant) for variant in self._variants]
        blocks: list[Block] = [
            Paragraph(words("models.accuracy_lead")),
            self.table(
                ("model_name", "prompts", "top1", "top5", "balanced", "macro_f1"),
                rows,
                words("models.accuracy_table"),
                align="llrrrr",
            ),
            self.figure(
                "accuracy", words("models.accuracy_figure"), words.text("models.accuracy_alt")
            ),
        ]
        tests = comparison.differences
        if tests:
            note = words(
                "models.no_correction",
                n=words.integer(len(tests)),
                expected=words.number(expected_by_chance(len(tests))),
                alpha=words.number(ALPHA),
            )
            rows = []
            for found in tests:
                agreement = found.agreement
                one, other = self._names(found)
                rows.append(
                    (
                        plain(f"{one} / {other}"),
                        plain(words.interval(agreement.difference)),
                        plain(words.amount(agreement.only_a)),
                        plain(words.amount(agreement.only_b)),
                        plain(words.p_bare(agreement.p_value)),
                    )
                )
            columns = ("a_b", "difference", "only_a", "only_b", "p")
            blocks.append(self.table(columns, rows, words("models.tests"), align="lrrrr"))
            if len(tests) > 1:
                blocks.append(Paragraph(note))
        return blocks

    def _row(self, variant: Variant) -> tuple[Inline, ...]:
        scores = variant.scores
        measures = (scores.top1, scores.top5, scores.balanced_accuracy, scores.macro_f1)
        return (
            plain(variant.model),
            plain(variant.prompts),
            *(plain(self.words.interval(estimate)) for estimate in measures),
        )

    def _calibration(self) -> list[Block]:
        words = self.words
        rows = []
        for model in self.comparison.models:
            for function in ("softmax", "sigmoid"):
                scores = getattr(model, f"{function}_scores")
                confidence = getattr(model, function).max(axis=1).mean()
                trained = "yes" if function == model.loss else "no"
                rows.append(
                    (
                        plain(model.name),
                        plain(words.text(f"models.{function}_name")),
                        plain(words.text(f"models.{trained}")),
                        plain(words.number(float(confidence))),
                        plain(words.number(scores.top1.value)),
                        plain(words.interval(scores.ece)),
                        plain(words.number(scores.honest_ece)),
                    )
                )
        columns = ("model_name", "function", "trained", "confidence", "top1", "ece", "honest")
        return [
            Paragraph(words("models.calibration_lead")),
            self.table(columns, rows, words("models.calibration_table"), align="lllrrrr"),
            self.figure(
                "calibration",
                words("models.calibration_figure"),
                words.text("models.calibration_alt"),
            ),
        ]

    def _losses(self) -> list[Block]:
        words, comparison = self.words, self.comparison
        blocks: list[Block] = [
            Paragraph(words(f"models.losses_{part}")) for part in ("softmax", "sigmoid", "mixed")
        ]
        rows = []
        shown = self._spread()
        for image in shown:
            for model in comparison.models:
                cells: list[Inline] = [plain(image + 1), plain(model.name)]
                best = int(model.softmax[image].argmax())
                cells.append(plain(comparison.labels[best]))
                cells.append(plain(words.number(float(model.softmax[image, best]))))
                cells.append(plain(words.number(float(model.sigmoid[image, best]), 3)))
                cells.append(plain(words.number(float(model.sigmoid[image].sum()))))
                rows.append(tuple(cells))
        blocks.append(
            Gallery(
                tuple(
                    PictureCard(
                        image,
                        self._alt(image),
                        (plain(f"{image + 1}"), self._truth(image)),
                    )
                    for image in shown
                )
            )
        )
        columns = ("number", "model_name", "label", "softmax", "sigmoid", "sigmoid_sum")
        blocks.append(self.table(columns, rows, words("models.losses_table"), align="rllrrr"))
        for model in comparison.models:
            sums = model.sigmoid.sum(axis=1)
            blocks.append(
                Paragraph(
                    words(
                        "models.losses_sum",
                        model=model.name,
                        mean=words.number(float(sums.mean())),
                        low=words.number(float(sums.min())),
                        high=words.number(float(sums.max())),
                    )
                )
            )
        return blocks

    def _spread(self) -> list[int]:
        """Choose pictures from the surest to the least sure of the first model."""
        surest = np.argsort(-self.comparison.models[0].softmax.max(axis=1), kind="stable")
        places = np.linspace(0, len(surest) - 1, min(6, len(surest))).round().astype(int)
        return [int(surest[place]) for place in dict.fromkeys(places.tolist())]

    def _retrieval(self) -> list[Block]:
        words = self.words
        rows = []
        for model in self.comparison.models:
            for direction in _DIRECTIONS:
                scores = getattr(model, direction)
                if scores is not None:
                    rows.append(
                        (
                            plain(model.name),
                            plain(words.text(f"direction.{direction}")),
                            *(plain(words.interval(scores.recall[k])) for k in (1, 5, 10)),
                            plain(words.number(scores.chance_recall[1], 3)),
                        )
                    )
        if not rows:
            return []
        columns = ("model_name", "direction", "r_at_1", "r_at_5", "r_at_10", "chance_r1")
        return [self.table(columns, rows, words("models.retrieval_table"), align="llrrrr")]

    def _cost(self) -> list[Block]:
        words, comparison = self.words, self.comparison
        none = words.text("models.unknown")
        rows = []
        for model in comparison.models:
            cost = model.cost
            rows.append(
                (
                    plain(model.name),
                    plain(words.number(cost.pictures_per_second, 1)),
                    plain(words.number(cost.cpu_seconds, 1)),
                    plain(none if cost.money is None else words.number(cost.money, 4)),
                    plain(none if cost.size_mb is None else words.number(cost.size_mb, 0)),
                )
            )
        timed = words.count("picture", comparison.models[0].cost.timed)
        lead = words("models.cost_lead", timed=timed)
        if comparison.price is not None:
            price = words("models.cost_price", price=words.number(comparison.price, 3))
            lead = joined([lead, price])
        columns = ("model_name", "rate", "cpu", "money", "size")
        return [
            Paragraph(lead),
            self.table(columns, rows, words("models.cost_table"), align="lrrrr"),
        ]

    def _disputes(self) -> list[Block]:
        words, comparison = self.words, self.comparison
        if len(comparison.models) == 1:
            return []
        if not comparison.disputes:
            return [Paragraph(words("models.disputes_none"))]
        telling = [found for found in comparison.disputes if self._one_is_right(found)]
        pictures = len({found.image for found in comparison.disputes})
        lead = words(
            "models.disputes_lead",
            pictures=words.count("picture", pictures),
            total=words.integer(len(comparison.dataset)),
        )
        cards = tuple(self._dispute(found) for found in telling[:_SHOWN_PICTURES])
        return [Paragraph(lead), *([Gallery(cards)] if cards else [])]

    def _one_is_right(self, found: Dispute) -> bool:
        right = self.comparison.labels[self.comparison.truth[found.image]]
        return right in (found.a[0], found.b[0])

    def _dispute(self, found: Dispute) -> PictureCard:
        lines = [
            self.words("models.says", model=model, label=label, p=self.words.number(probability))
            for model, (label, probability) in (
                (found.model_a, found.a),
                (found.model_b, found.b),
            )
        ]
        return PictureCard(found.image, self._alt(found.image), (*lines, self._truth(found.image)))

    def _truth(self, image: int) -> Inline:
        label = self.comparison.labels[self.comparison.truth[image]]
        return (Span(self.words.text("models.truth", truth=label), "small"),)

    def _alt(self, image: int) -> str:
        record = self.comparison.dataset.records[image]
        return record.caption or record.file_name

    def _limits(self) -> Iterator[Inline]:
        words, n = self.words, len(self.comparison.dataset)
        yield words("models.limit_size", n=words.integer(n), step=words.number(1 / n, 3))
        yield words("models.limit_labels")
        yield words("models.limit_prompts")
        yield words("models.limit_speed")

    def _reproduce(self) -> list[Block]:
        words = self.words
        rows = [
            (plain(model.name), (Span(str(model.fingerprint), "code"),))
            for model in self.comparison.models
        ]
        return [
            Paragraph(words("models.reproduce_lead")),
            *([Listing(self._command)] if self._command else []),
            self.table(
                ("model_name", "fingerprint"), rows, words("models.reproduce_table"), align="ll"
            ),
        ]
