"""Which encoder names best what the collection's own pictures show."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from pareja.analysis.verdicts import of_agreement
from pareja.classifiers.prompts import template_sets
from pareja.classifiers.zero_shot import ZeroShot
from pareja.errors import ParejaError
from pareja.server.classifying import classifier_of, templates_of
from pareja.server.parameters import EngineHere
from pareja.server.problems import Problem, problem_of
from pareja.server.rendering import render, words_of
from pareja.server.settings import DEFAULT_TEMPLATE, MAX_QUERY
from pareja.tasks.compare_stored import compare_stored
from pareja.tasks.evaluation import Truth

router = APIRouter(include_in_schema=False)

_CONFUSIONS = 8
_DISPUTES = 24
_LARGEST_MATRIX = 20


@router.get("/compare-models")
def comparison_page(
    request: Request,
    engine: EngineHere,
    truth: Truth = "category",
    template: Annotated[str, Query(max_length=MAX_QUERY)] = DEFAULT_TEMPLATE,
    least: Annotated[int, Query(ge=1, le=1_000)] = 4,
) -> Response:
    """Show how often each encoder is right about the collection's pictures."""
    templates = templates_of(template)
    problems: list[tuple[str, str]] = []

    def classifiers(labels: tuple[str, ...]) -> list[ZeroShot]:
        ready = []
        for name in engine.models():
            try:
                ready.append(classifier_of(engine, labels, engine.dual(name), templates))
            except (Problem, ParejaError) as error:
                problems.append((name, problem_of(error).text(words_of(request).lang)))
        return ready

    compared = compare_stored(engine.collection, classifiers, truth, least=least)
    return render(
        request,
        "comparison",
        truth=truth,
        chosen_set=template,
        least=least,
        sets=template_sets(),
        compared=compared,
        problems=problems,
        of_agreement=of_agreement,
        n_confusions=_CONFUSIONS,
        shown=compared.found.disputes[:_DISPUTES] if compared else (),
        matrix=compared is not None and len(compared.labels) <= _LARGEST_MATRIX,
    )
