"""Saying what a picture shows by naming the choices: the page, and ``POST /v1/classify``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, get_args

import numpy as np
from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from pareja.classifiers.answers import Answer, Column, by_examples, by_words
from pareja.classifiers.classification import SURE_ENOUGH, Classification, Loss
from pareja.classifiers.learned import Classifier
from pareja.classifiers.prompts import PLACE, join_labels, split_labels, template_sets
from pareja.classifiers.zero_shot import ZeroShot, zero_shot
from pareja.encoders.protocols import Embeddings
from pareja.errors import some_of
from pareja.server.asks import Addressed
from pareja.server.batching import SharedDualEncoder, SharedEncoder
from pareja.server.engine import Engine
from pareja.server.pages import KeptUpload
from pareja.server.parameters import LARGEST_ID, EngineHere, ModelName
from pareja.server.problems import NAMED, Problem
from pareja.server.rendering import is_partial, render
from pareja.server.schemas import (
    ClassifiedBody,
    ClassifyBody,
    ClassifyRequest,
    ImageInput,
    PictureInput,
    errors,
)
from pareja.server.settings import DEFAULT_TEMPLATE, MAX_LABELS, MAX_QUERY

router = APIRouter()

_MAX_WRITTEN = 10_000
_SUGGESTED = 12


@dataclass(frozen=True)
class Choices(Addressed):
    """What a picture may show, as the page's URL says it.

    Parameters
    ----------
    labels
        With commas between them.
    template
        The name of a set of templates, or one template.
    unknown
        Whether a picture may show none of the labels.
    model
        The encoder; empty for the first dual one.
    multi_label
        Whether a picture may show several of the labels, or none.
    classifier
        One that was learned from examples, and has labels of its own; empty for the labels above.
    picture
        A picture of the collection.
    image
        The id of an upload.
    """

    labels: str = ""
    template: str = DEFAULT_TEMPLATE
    unknown: bool = False
    model: str = ""
    multi_label: bool = False
    classifier: str = ""
    picture: int | None = None
    image: str = ""


def chosen_of(
    labels: Annotated[str, Query(max_length=_MAX_WRITTEN)] = "",
    template: Annotated[str, Query(max_length=MAX_QUERY)] = DEFAULT_TEMPLATE,
    unknown: bool = False,
    model: ModelName = "",
    multi_label: bool = False,
    classifier: Annotated[str, Query(max_length=MAX_QUERY)] = "",
    picture: Annotated[int | None, Query(ge=1, le=LARGEST_ID)] = None,
    image: Annotated[str, Query(max_length=40)] = "",
) -> Choices:
    """Return what a URL of the page chooses."""
    return Choices(
        labels=join_labels(split_labels(labels)),
        template=template.strip(),
        unknown=unknown,
        model=model,
        multi_label=multi_label,
        classifier=classifier,
        picture=picture,
        image=image,
    )


def templates_of(given: str) -> tuple[str, ...]:
    """Return the templates that a visitor names: a set, or one that is written out.

    Unlike `pareja.classifiers.prompts.read_templates` it opens no file, whatever it is called.
    """
    sets = template_sets()
    if given in sets:
        return sets[given]
    if PLACE not in given:
        raise Problem(422, "template", template=given[:80], place=PLACE, sets=some_of(sets, NAMED))
    return (given,)


def heading(column: Column) -> str:
    """Return the key of the wording above a column of probabilities."""
    of_models = column.way in get_args(Loss)
    return f"models.{column.way}_name" if of_models else f"classify.way_{column.way}"


def classifier_of(
    engine: Engine,
    labels: Sequence[str],
    encoder: SharedDualEncoder,
    templates: Sequence[str],
    *,
    multi_label: bool = False,
    unknown: float | None = None,
) -> ZeroShot:
    """Embed labels as `zero_shot` does, as many as one request may have."""
    if not labels:
        raise Problem(422, "no_labels")
    if len(labels) > MAX_LABELS:
        raise Problem(413, "labels", got=len(labels), limit=MAX_LABELS)
    texts, most = len(labels) * len(templates), engine.settings.limits.texts
    if texts > most:
        raise Problem(413, "texts", got=texts, limit=most)
    label, times = Counter(label.casefold() for label in labels).most_common(1)[0]
    if times > 1:
        raise Problem(422, "label_twice", label=label[:80])
    if len(labels) == 1 and not multi_label and unknown is None:
        raise Problem(422, "one_label", label=labels[0][:80])
    return zero_shot(labels, encoder, templates=templates, multi_label=multi_label, unknown=unknown)


@router.get("/classify", include_in_schema=False)
def classify_page(
    request: Request, engine: EngineHere, chosen: Annotated[Choices, Depends(chosen_of)]
) -> Response:
    """Show how probable each label is for a picture."""
    duals = engine.duals()
    model = chosen.model or (duals[0] if duals else "")
    upload = engine.uploads.get(chosen.image)
    if chosen.image and upload is None:
        raise Problem(404, "upload_gone")
    picture = engine.collection.picture(chosen.picture) if chosen.picture else None
    learned = engine.learned.get(chosen.classifier) if chosen.classifier else None
    answer = None
    if upload:
        answer = _answer(engine, chosen, upload.embedding)
    elif picture:
        answer = _answer(engine, chosen, partial(engine.embedding, picture.id))
    response = render(
        request,
        "_classified" if is_partial(request) else "classify",
        chosen=chosen,
        hidden={name: value for name, value in vars(chosen).items() if name not in _PICTURES},
        answer=answer,
        heading=heading,
        learned=learned,
        classifiers=[(name, engine.learned.get(name)) for name in engine.learned.names()],
        upload=upload,
        picture=picture,
        model=model,
        duals=duals,
        sets=template_sets(),
        suggested=join_labels(list(engine.collection.categories())[:_SUGGESTED]),
    )
    if is_partial(request):
        response.headers["hx-replace-url"] = chosen.url("/classify")
    return response


_PICTURES = {"picture", "image"}


def _answer(
    engine: Engine, chosen: Choices, embed: Callable[[SharedEncoder], Embeddings]
) -> Answer | None:
    """Return what a picture is taken for, as soon as enough was chosen to say it."""
    if chosen.classifier:
        learned = engine.learned.get(chosen.classifier)
        return by_examples(learned, embed(engine.encoder_of(learned)))
    # The first of several labels, being written, is no mistake.
    labels = split_labels(chosen.labels)
    if len(labels) < (1 if chosen.unknown or chosen.multi_label else 2):
        return None
    encoder = engine.dual(chosen.model or next(iter(engine.duals()), ""))
    classifier = classifier_of(
        engine,
        labels,
        encoder,
        templates_of(chosen.template),
        multi_label=chosen.multi_label,
        # Of several labels, a picture that has none of them is told already.
        unknown=SURE_ENOUGH if chosen.unknown and not chosen.multi_label else None,
    )
    return by_words(classifier, embed(encoder))


@router.post("/classify-picture", include_in_schema=False)
async def classify_upload(
    upload: KeptUpload,
    labels: Annotated[str, Form(max_length=_MAX_WRITTEN)] = "",
    template: Annotated[str, Form(max_length=MAX_QUERY)] = DEFAULT_TEMPLATE,
    unknown: Annotated[bool, Form()] = False,
    model: Annotated[str, Form(max_length=MAX_QUERY)] = "",
    multi_label: Annotated[bool, Form()] = False,
    classifier: Annotated[str, Form(max_length=MAX_QUERY)] = "",
) -> RedirectResponse:
    """Say what a picture shows that somebody gives."""
    chosen = Choices(labels, template, unknown, model, multi_label, classifier)
    return RedirectResponse(replace(chosen, image=upload.id).url("/classify"), 303)


@router.post("/v1/classify", tags=["classify"], responses=errors(400, 404, 413, 415, 422, 503))
async def classify(engine: EngineHere, request: ClassifyRequest) -> ClassifyBody:
    """Say which of the labels each picture shows, and how probable each is.

    Pictures are data URLs, `{"image": "data:image/png;base64,..."}`, or pictures of the
    collection, `{"id": 7}`. An encoder trained with a softmax shares a probability of 1 among the
    labels; one trained with a sigmoid, or `multi_label`, gives each label its own. A `classifier`,
    one of `GET /v1/classifiers`, has labels of its own and shares a probability of 1 among them.
    """
    decodes = any(isinstance(item, ImageInput) for item in request.images)
    return await engine.run(partial(_classify, engine, request), decodes=decodes)


def _classify(engine: Engine, request: ClassifyRequest) -> ClassifyBody:
    limits = engine.settings.limits
    if len(request.images) > limits.images:
        raise Problem(413, "images", got=len(request.images), limit=limits.images)
    encoder, judge, templates = _judge(engine, request)
    # One picture is decoded at a time: what a network sees of it is small, the picture is not.
    images = [
        engine.embedding(item.id, encoder)
        if isinstance(item, PictureInput)
        else engine.embed_picture(item.image, f"images[{n}]", encoder)
        for n, item in enumerate(request.images)
    ]
    result = judge.classified(np.concatenate(images))
    return ClassifyBody(
        model=encoder.name,
        classifier=request.classifier or None,
        templates=list(templates),
        labels=list(result.labels),
        threshold=result.threshold,
        images=[_classified(engine, result, n, item) for n, item in enumerate(request.images)],
    )


def _judge(
    engine: Engine, request: ClassifyRequest
) -> tuple[SharedEncoder, Classifier | ZeroShot, tuple[str, ...]]:
    """Return what embeds the pictures of a request, what labels them, and with which prompts."""
    if request.classifier:
        superfluous = request.model_fields_set - {"images", "classifier"}
        if superfluous:
            raise Problem(422, "own_labels", fields=", ".join(sorted(superfluous)))
        learned = engine.learned.get(request.classifier)
        return engine.encoder_of(learned), learned, ()
    encoder = engine.dual(request.model or next(iter(engine.duals()), ""))
    templates = templates_of(request.template)
    zero_shot_classifier = classifier_of(
        engine,
        [label for written in request.labels if (label := written.strip())],
        encoder,
        templates,
        multi_label=request.multi_label,
        unknown=request.unknown,
    )
    return encoder, zero_shot_classifier, templates


def _classified(
    engine: Engine, result: Classification, n: int, item: ImageInput | PictureInput
) -> ClassifiedBody:
    assigned = result.assigned(n)
    mine = item.id if isinstance(item, PictureInput) else None
    return ClassifiedBody(
        id=mine,
        path=f"images[{n}]" if mine is None else engine.collection.picture(mine).shown_path,
        label=assigned[0] if assigned else None,
        labels=list(assigned),
        scores=result.scores(n),
        certainty=float(result.certainty[n]),
    )
