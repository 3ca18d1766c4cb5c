"""What requests may say: a field that no route reads is refused, since it would change nothing.

That holds for the fields of a body and for the parameters of a URL, of the API and of pages. Links
to pages are passed around, and get ``utm_source`` or ``fbclid`` on their way: those are left alone.
"""

from __future__ import annotations

import re
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from pareja.data_urls import is_data_url
from pareja.server.problems import NO_WORDS, UNKNOWN_FIELD, unknown_field

API = "/v1/"

_ADDED_ON_THE_WAY = re.compile(
    r"(utm|mc|mtm|pk|hsa|vero)_\w+|_ga|_gl|\w*clid|[gw]braid|igsh(id)?|org\.htmx\.[\w.-]+"
)
"""Parameters that newsletters, social networks and browsers add to links, and htmx to requests."""


async def refuse_unknown_parameters(request: Request) -> None:
    """Raise a `Problem` if the URL has a parameter that its route does not read."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = sorted(_parameters(route.dependant))
    for name in request.query_params:
        added = not route.path.startswith(API) and _ADDED_ON_THE_WAY.fullmatch(name)
        if name not in known and not added:
            raise unknown_field(name, known)


def _parameters(dependant: Dependant) -> set[str]:
    """Return the names of the parameters that a route and its dependencies read from the URL."""
    names = {field.alias for field in dependant.query_params}
    return names.union(*map(_parameters, dependant.dependencies))


class Sent(BaseModel):
    """Base of what clients send: an unknown field is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, given: Any) -> Any:
        if isinstance(given, dict):
            for name in given:
                if name not in cls.model_fields:
                    raise PydanticCustomError(
                        UNKNOWN_FIELD,
                        "has a field {got} that is not known",
                        {"got": str(name), "known": list(cls.model_fields)},
                    )
        return given


def _words(text: str) -> str:
    if is_data_url(text):
        raise PydanticCustomError(NO_WORDS, "is a data URL where words belong")
    return text


def _whole(given: Any) -> Any:
    return int(given) if isinstance(given, float) and given.is_integer() else given


Whole = BeforeValidator(_whole)
"""Takes 7.0 for 7: in JSON it is the same number, and some clients write it so."""

NOT_BLANK: dict[str, Any] = {"pattern": r"\S"}
"""What the description of the API says of texts that are more than spaces."""

OnlyWords = AfterValidator(_words)
"""Refuses a data URL: embedded as words, its letters would get a vector that means nothing."""
