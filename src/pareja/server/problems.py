"""What is wrong with a request: for people in their language, for programs in English."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from fastapi.exceptions import RequestValidationError
from markupsafe import Markup
from starlette.exceptions import HTTPException

from pareja.errors import (
    BoxError,
    CollectionFaultError,
    EncoderError,
    ImageError,
    MachineError,
    MissingDependencyError,
    NoSuchPictureError,
    OutputError,
    QueryError,
    ReadOnlyError,
    some_of,
)
from pareja.words.pages import wording
from pareja.words.wording import Lang

RETRY_AFTER = 5
"""Seconds after which a client that was sent away is asked to come back."""

NAMED = 20
"""How many names a refusal lists of what there is to choose from."""

UNKNOWN_FIELD = "unknown_field"
NO_WORDS = "no_words"
TOKENS = "tokens"
"""Types of the mistakes that pydantic does not know by itself."""

_MISTAKES = {
    "missing": "missing",
    NO_WORDS: "no_words",
    "string_too_short": "missing",
    "string_too_long": "too_long",
    "too_long": "too_many",
    "greater_than_equal": "too_small",
    "less_than_equal": "too_large",
}
_LIMITS = ("max_length", "ge", "le")
_TYPES = {"bool", "float", "int", "str"}


class Problem(HTTPException):
    """A request that cannot be answered, said in the visitor's language.

    Parameters
    ----------
    status
        The status of the answer.
    key
        Of the wording, below ``error.``.
    detail
        What programs are told in place of the English wording.
    quotes
        Whether people are told the detail too, as a quotation behind the wording.
    headers
        Of the answer.
    param
        The parameter of the request that it is about, for programs.
    values
        What fills the wording's placeholders.
    """

    def __init__(
        self,
        status: int,
        key: str,
        *,
        detail: str = "",
        quotes: bool = False,
        headers: dict[str, str] | None = None,
        param: str | None = None,
        **values: object,
    ) -> None:
        self.key, self.values, self.quotes = f"error.{key}", values, quotes
        self.param = param
        super().__init__(status, detail or wording("en").text(self.key, **values), headers)

    def text(self, lang: Lang) -> str:
        """Return what is wrong, as a sentence of a page; a quotation is marked as English."""
        said = wording(lang).text(self.key, **self.values)
        if not self.quotes:
            return said
        return Markup('{} <span lang="en">{}</span>').format(said, self.detail)

    def to_json(self) -> dict[str, str | None]:
        """Return what programs get, with the fields of an error of the OpenAI API."""
        return {
            "message": self.detail,
            "type": "invalid_request_error" if self.status_code < 500 else "server_error",
            "param": self.param,
            "code": self.key.removeprefix("error."),
        }


def problem_of(error: Exception) -> Problem:
    """Return what a request made raise as something to tell its sender.

    Parameters
    ----------
    error
        A `ParejaError`, what the framework raises for requests that fit no route, or a `Problem`,
        which is returned as it is.
    """
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return _invalid(error)
        case HTTPException():
            missing = error.status_code in {404, 405}
            return Problem(
                error.status_code,
                "not_found" if missing else "unread",
                detail=error.detail,
                quotes=not missing,
                headers=dict(error.headers or {}),
            )
        case NoSuchPictureError():
            return Problem(404, "no_picture", id=error.picture_id)
        case ReadOnlyError():
            return Problem(403, "read_only")
        case QueryError():
            words, weight = (error.values.get(name) for name in ("words", "weight"))
            kind = f"query_{error.kind}"
            return Problem(422, kind, detail=str(error), words=words, weight=weight)
        case BoxError():
            return Problem(422, "box", detail=str(error), quotes=True)
        case ImageError():
            return Problem(422, "no_image", detail=str(error), name=error.path)
        case CollectionFaultError() | MachineError():
            again = {"retry-after": str(RETRY_AFTER)}
            return Problem(503, "setup", detail=str(error), quotes=True, headers=again)
    fault = isinstance(error, EncoderError | MissingDependencyError | OutputError)
    return Problem(503 if fault else 422, "setup", detail=str(error), quotes=True)


def _invalid(error: RequestValidationError) -> Problem:
    mistakes = error.errors()
    # Without that header, the framework hands the body on as it came.
    if all(m["loc"] == ("body",) and isinstance(m["input"], bytes) for m in mistakes):
        return Problem(415, "content_type")
    # Of the kinds that a field may have, the one that fits deepest is the one that was meant.
    first = max(mistakes, key=lambda m: (len(m["loc"]), m["type"] == UNKNOWN_FIELD))
    if first["type"] == UNKNOWN_FIELD:
        return unknown_field(first["ctx"]["got"], first["ctx"]["known"])
    if first["type"] == TOKENS:
        return Problem(422, "tokens", param="input")
    if first["type"] == "json_invalid":
        return Problem(400, "json", at=first["loc"][-1], reason=first["ctx"]["error"])
    # The input is not repeated: it may be ten thousand texts, or no valid Unicode.
    place = _place(first["loc"])[:80]
    text = f"{place}: {first['msg']}".encode("utf-8", "replace").decode()
    bounds = first.get("ctx", {})
    limit = next((bounds[name] for name in _LIMITS if name in bounds), 0)
    return Problem(
        422,
        _MISTAKES.get(first["type"], "invalid"),
        detail=text,
        param=place,
        field=place,
        # The bounds of a float are floats: 1.0.
        limit=int(limit) if limit == int(limit) else limit,
    )


def _place(loc: Sequence[int | str]) -> str:
    """Return where a mistake is, as a program would write it, without pydantic's own names.

    Examples
    --------
    >>> _place(("body", "input", "list[union[constrained-str,ImageInput]]", 0, "constrained-str"))
    'input[0]'
    """
    whole = ""
    for part in loc[1:] or loc:
        if isinstance(part, int):
            whole += f"[{part}]"
        elif part.isidentifier() and part.islower() and part not in _TYPES:
            whole += f".{part}" if whole else part
    return whole or str(loc[0])


def unknown_field(got: str, known: Iterable[str]) -> Problem:
    """Return the refusal of a field, with the one that was probably meant.

    Examples
    --------
    >>> unknown_field("kategory", ["q", "category"]).detail
    'There is no field kategory here. Did you mean category?'
    """
    known = list(known)
    near = get_close_matches(got, known, n=1)
    if near:
        return Problem(422, "misspelt_field", param=got[:80], got=got[:80], near=near[0])
    return Problem(422, "unknown_field", param=got[:80], got=got[:80], known=some_of(known, NAMED))
