"""What routes take from a request, the same for pages and API."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Path, Query, Request
from pydantic import BeforeValidator, Field

from pareja.server.asks import DEFAULT_HITS, Ask
from pareja.server.engine import Engine
from pareja.server.fields import OnlyWords
from pareja.server.settings import MAX_HITS, MAX_LABELS, MAX_QUERY

LARGEST_ID = 2**53 - 1
"""Largest picture id that JavaScript and SQLite both hold exactly."""

SHOWS = (
    "Only pictures to which a classifier of the server gives this label, as kinds/castle. Several "
    "of one classifier: any of them; of several: one of each."
)
BOX = (
    "Only this part of the picture: left, top, width and height in pixels of the picture as it is "
    "shown; four numbers of at most 1 are fractions of its width and height."
)
WORDS = "Words to look for; parts of them may have weights, as in: a cat::2 indoors::-0.5"
FOLD = (
    "Near duplicates are one hit, which has the others in near_duplicates; k and offset then count "
    "such hits."
)
HYBRID = (
    "The words are also looked up in captions and file names, and both rankings are fused; why and "
    "looked_up say what that did. It needs words."
)
OFFSET = "How many to leave out, from the first: the next page."
AT_LEAST = "How probable such a label must be."


def _without_commas(values: object) -> object:
    """Take ``box=1,2,3,4`` for four numbers, as the command line does."""
    if not isinstance(values, list):
        return values
    return [number for value in values for number in str(value).split(",")]


BoxParameter = Annotated[
    list[Annotated[float, Field(allow_inf_nan=False)]],
    BeforeValidator(_without_commas),
    Query(max_length=4, description=BOX),
]
ShownLabel = Annotated[str, Field(max_length=MAX_QUERY, json_schema_extra={"pattern": "^$|/"})]
ShownLabels = Annotated[
    list[ShownLabel],
    Query(max_length=MAX_LABELS, description=SHOWS),
]
CategoryName = Annotated[
    str, Query(max_length=MAX_QUERY, description="Only pictures of this category.")
]
LeastProbability = Annotated[float, Query(ge=0, le=1, description=AT_LEAST)]


def box_of(numbers: list[float]) -> tuple[float, ...]:
    """Return the box that a URL says, with 12 where a URL would have 12.0."""
    return tuple(int(number) if number == int(number) else number for number in numbers)


def engine_of(request: Request) -> Engine:
    """Return the engine that answers a request."""
    return cast(Engine, request.app.state.engine)


async def _engine(request: Request) -> Engine:
    # Not `engine_of` itself: what is not async waits for a thread, in line behind whole searches.
    return engine_of(request)


async def ask_of(
    q: Annotated[str, Query(max_length=MAX_QUERY, description=WORDS), OnlyWords] = "",
    minus: Annotated[
        str, Query(max_length=MAX_QUERY, description="Words to move away from."), OnlyWords
    ] = "",
    category: CategoryName = "",
    model: Annotated[
        str, Query(max_length=MAX_QUERY, description="The encoder; by default the first.")
    ] = "",
    like: Annotated[
        int | None, Query(ge=1, le=LARGEST_ID, description="More like this picture.")
    ] = None,
    image: Annotated[
        str, Query(max_length=40, description="A picture that was uploaded to search by.")
    ] = "",
    box: BoxParameter = [],  # noqa: B006  FastAPI copies defaults
    k: Annotated[int, Query(ge=1, le=MAX_HITS, description="How many hits.")] = DEFAULT_HITS,
    shows: ShownLabels = [],  # noqa: B006  FastAPI copies defaults
    at_least: LeastProbability = 0.0,
    hybrid: Annotated[bool, Query(description=HYBRID)] = False,
) -> Ask:
    """Return what a URL asks for."""
    # A form sends a filter that is left at "all" as an empty one.
    labels = tuple(one for one in shows if one)
    return Ask(
        q=q.strip(),
        minus=minus.strip(),
        category=category,
        model=model,
        like=like,
        image=image,
        box=box_of(box),
        k=k,
        shows=labels,
        at_least=at_least,
        hybrid=hybrid,
    )


EngineHere = Annotated[Engine, Depends(_engine)]
Asked = Annotated[Ask, Depends(ask_of)]
Offset = Annotated[int, Query(ge=0, le=LARGEST_ID, description=OFFSET)]
Fold = Annotated[bool, Query(description=FOLD)]
PictureId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="A picture of the collection.")]
ModelName = Annotated[
    str, Query(max_length=MAX_QUERY, description="The encoder; by default the first.")
]
