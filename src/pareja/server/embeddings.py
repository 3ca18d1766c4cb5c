"""``POST /v1/embeddings``, in the shape of the OpenAI API, for texts and for pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import partial

import numpy as np
from anyio import to_thread
from fastapi import APIRouter

from pareja.encoders.protocols import Embeddings
from pareja.encoders.truncation import cut
from pareja.errors import some_of
from pareja.server.batching import SharedEncoder
from pareja.server.embedding_schemas import (
    EmbeddingBody,
    EmbeddingsBody,
    EmbeddingsRequest,
    ImagePart,
    Message,
    TextPart,
)
from pareja.server.engine import Engine
from pareja.server.parameters import EngineHere
from pareja.server.problems import NAMED, Problem
from pareja.server.schemas import ImageInput, errors

router = APIRouter(tags=["embeddings"])


@router.post(
    "/v1/embeddings",
    responses=errors(400, 404, 413, 415, 422, 503),
)
async def embed(engine: EngineHere, request: EmbeddingsRequest) -> EmbeddingsBody:
    """Embed texts and pictures with an encoder of the collection.

    Requests that arrive while the encoder runs are embedded together. Pictures are data URLs:
    `{"input": [{"image": "data:image/png;base64,..."}]}`. Texts and pictures of one request lie in
    one space, so an encoder pair takes only one kind at a time.
    """
    items = _items(request)
    encoder = await to_thread.run_sync(engine.encoder, request.model)
    _refuse_what_differs(request, items, encoder)
    decodes = any(isinstance(item, ImageInput) for item in items)
    vectors = await engine.run(partial(embed_items, items, encoder, engine), decodes=decodes)
    if request.dimensions is not None:
        vectors = [cut(row, request.dimensions) for row in vectors]
    as_text = "base64" in (request.encoding_format, request.embedding_type)
    return EmbeddingsBody(
        model=encoder.name,
        data=[
            EmbeddingBody(index=index, embedding=_base64(row) if as_text else row.tolist())
            for index, row in enumerate(vectors)
        ],
    )


def embed_items(
    items: Sequence[str | ImageInput], encoder: SharedEncoder, engine: Engine
) -> list[Embeddings]:
    """Embed texts and pictures, in their order; one row ``(dim,)`` for each.

    Raises
    ------
    Problem
        If there is nothing, too much, or both kinds for a pair of networks.
    ImageError
        If a picture cannot be decoded.
    """
    limits = engine.settings.limits
    texts = [item for item in items if isinstance(item, str)]
    pictures = len(items) - len(texts)
    if not items:
        raise Problem(422, "no_input", param="input")
    if len(texts) > limits.texts:
        raise Problem(413, "texts", param="input", got=len(texts), limit=limits.texts)
    if pictures > limits.images:
        raise Problem(413, "images", param="input", got=pictures, limit=limits.images)
    if texts and pictures and encoder.kind == "pair":
        raise Problem(422, "pair", param="model", model=encoder.name)
    # One picture is decoded at a time, and only what the network sees of it is kept.
    pixels = [
        engine.prepare(item.image, f"input[{n}]", encoder)
        for n, item in enumerate(items)
        if isinstance(item, ImageInput)
    ]
    embedded_texts = iter(encoder.encode_texts(texts))
    embedded_pictures = iter(encoder.encode_pixels(np.stack(pixels)) if pixels else ())
    return [next(embedded_texts if isinstance(item, str) else embedded_pictures) for item in items]


def _items(request: EmbeddingsRequest) -> list[str | ImageInput]:
    """Return the texts and pictures of a request, however they were written."""
    if request.messages is not None:
        if request.input is not None:
            raise Problem(422, "input_twice", param="messages")
        return [_only_part(request.messages)]
    given = request.input if isinstance(request.input, list) else [request.input]
    return [item for item in given if item is not None]


def _only_part(messages: Sequence[Message]) -> str | ImageInput:
    parts: list[str | TextPart | ImagePart] = []
    for message in messages:
        parts += [message.content] if isinstance(message.content, str) else message.content
    if len(parts) != 1:
        raise Problem(422, "one_message", param="messages")
    match parts[0]:
        case TextPart(text=text):
            return text
        case ImagePart(image_url=picture):
            return ImageInput(image=picture.url)
        case text:
            return text


def _refuse_what_differs(
    request: EmbeddingsRequest, items: Sequence[str | ImageInput], encoder: SharedEncoder
) -> None:
    """Raise a `Problem` where the answer would not be what the request says that it wants."""
    if len({request.encoding_format, request.embedding_type} - {None}) > 1:
        raise Problem(422, "formats", param="embedding_type")
    if not request.normalized:
        raise Problem(422, "normalized", param="normalized")
    kinds = {"text" if isinstance(item, str) else "image" for item in items}
    if request.modality is not None and kinds - {request.modality}:
        raise Problem(422, "modality", param="modality", modality=request.modality)
    dims = {encoder.text_dim if kind == "text" else encoder.image_dim for kind in kinds}
    if request.dimensions in (None, *encoder.dims) or not dims - {request.dimensions}:
        return
    lengths = some_of(map(str, sorted({*dims, *encoder.dims}, reverse=True)), NAMED)
    raise Problem(
        400,
        "dimensions_trained" if encoder.dims else "dimensions",
        param="dimensions",
        dim=lengths,
        model=encoder.name,
    )


def _base64(row: Embeddings) -> str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode()
