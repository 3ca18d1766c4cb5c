"""What requests may say: a field that no route reads is refused, since it would change nothing.

The API refuses unknown fields of a body and unknown parameters of a URL. Pages take any parameter,
because links to them are passed around and get ``utm_source`` or ``fbclid`` on their way.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from pareja.data_urls import is_data_url
from pareja.server.problems import NO_WORDS, UNKNOWN_FIELD, unknown_field

API = "/v1/"


async def refuse_unknown_parameters(request: Request) -> None:
    """Raise a `Problem` if the URL of an API call has a parameter that its route does not read."""
    path = getattr(request.scope.get("route"), "path_format", "")
    if not path.startswith(API):
        return
    # The description of the API is the one public place where all parameters of a route stand.
    operation = request.app.openapi()["paths"][path][request.method.lower()]
    parameters = operation.get("parameters", ())
    known = [field["name"] for field in parameters if field["in"] == "query"]
    for name in request.query_params:
        if name not in known:
            raise unknown_field(name, known)


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
