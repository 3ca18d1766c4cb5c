"""Which encoder names best what the collection's own pictures show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from pareja.analysis.verdicts import of_agreement
from pareja.arrays import evenly
from pareja.classifiers.prompts import template_sets
from pareja.errors import ParejaError
from pareja.search.contracts import Picture
from pareja.server.classifying import classifier_of, templates_of
from pareja.server.engine import Engine
from pareja.server.parameters import EngineHere
from pareja.server.problems import Problem, problem_of
from pareja.server.rendering import render, words_of
from pareja.server.settings import DEFAULT_TEMPLATE, MAX_QUERY
from pareja.tasks.compare_embeddings import EmbeddingComparison, compare_embeddings
from pareja.tasks.evaluation import Truth, distinct
from pareja.words.pages import PageWording

router = APIRouter(include_in_schema=False)

MAX_COMPARED = 2_000
"""Most pictures that encoders are compared on; of more, evenly many are left out."""

_RESAMPLES = 2_000
_CONFUSIONS = 8
_DISPUTES = 24
_LARGEST_MATRIX = 20


@dataclass(frozen=True)
class Compared:
    """Encoders on the same pictures.

    Parameters
    ----------
    pictures, labels
        What was compared on.
    found
        How they compare, the default first.
    total
        How many pictures could have been compared on.
    problems
        Encoders that could not answer, and why.
    """

    pictures: tuple[Picture, ...]
    labels: tuple[str, ...]
    found: EmbeddingComparison
    total: int
    problems: tuple[tuple[str, str], ...]


def compare_stored(
    engine: Engine,
    words: PageWording,
    truth: Truth,
    templates: Sequence[str],
    least: int,
) -> Compared | None:
    """Compare the collection's encoders on its stored embeddings; nothing is embedded but labels.

    Parameters
    ----------
    engine, words
        The collection, and the language of `Compared.problems`.
    truth
        Which of a picture's fields says what it shows.
    templates
        Of the prompts.
    least
        Pictures that a label needs to be among the choices.

    Returns
    -------
    Compared or None
        None where fewer than two labels have that many pictures.
    """
    told = [
        (p, (p.label if truth == "label" else p.category) or "")
        for p in engine.collection.pictures()
    ]
    told = [(picture, name.strip()) for picture, name in told if name.strip()]
    counts = Counter(name.casefold() for _, name in told)
    told = [(picture, name) for picture, name in told if counts[name.casefold()] >= least]
    labels = distinct([name for _, name in told])
    if len(labels) < 2:
        return None
    column = {label.casefold(): i for i, label in enumerate(labels)}
    problems: list[tuple[str, str]] = []
    ready = []
    for name in engine.models():
        try:
            encoder = engine.dual(name)
            classifier = classifier_of(engine, labels, encoder, templates)
        except (Problem, ParejaError) as error:
            problems.append((name, problem_of(error).text(words.lang)))
        else:
            known, vectors = engine.collection.embeddings(encoder, [p.id for p, _ in told])
            ready.append((classifier, dict(zip(known.tolist(), vectors, strict=True))))
    # The tests between encoders are paired: only what all of them have seen can be compared.
    told = [(p, name) for p, name in told if all(p.id in rows for _, rows in ready)]
    total = len(told)
    told = [told[i] for i in evenly(total, MAX_COMPARED)]
    ready = ready if told else []
    answers = np.array([column[name.casefold()] for _, name in told], dtype=np.intp)
    found = compare_embeddings(
        [classifier for classifier, _ in ready],
        [np.stack([rows[p.id] for p, _ in told]) for _, rows in ready],
        answers,
        labels,
        resamples=_RESAMPLES,
    )
    return Compared(
        pictures=tuple(picture for picture, _ in told),
        labels=labels,
        found=found,
        total=total,
        problems=tuple(problems),
    )


@router.get("/compare-models")
def comparison_page(
    request: Request,
    engine: EngineHere,
    truth: Truth = "category",
    template: Annotated[str, Query(max_length=MAX_QUERY)] = DEFAULT_TEMPLATE,
    least: Annotated[int, Query(ge=1, le=1_000)] = 4,
) -> Response:
    """Show how often each encoder is right about the collection's pictures."""
    compared = compare_stored(engine, words_of(request), truth, templates_of(template), least)
    return render(
        request,
        "comparison",
        truth=truth,
        chosen_set=template,
        least=least,
        sets=template_sets(),
        compared=compared,
        of_agreement=of_agreement,
        n_confusions=_CONFUSIONS,
        shown=compared.found.disputes[:_DISPUTES] if compared else (),
        matrix=compared is not None and len(compared.labels) <= _LARGEST_MATRIX,
    )
