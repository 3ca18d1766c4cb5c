"""What is wrong with the arguments that an agent gave a tool, in one line."""

from __future__ import annotations

import json
from collections.abc import Collection
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pareja.errors import some_of

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_WANTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    # "is_instance_of": all that the tools ask for in this way is a Sequence.
    "is": "a list",
}
_LONGEST = 60


def refusal(error: ValidationError, known: Collection[str]) -> str:
    """Return a line that says what is wrong, and what to give.

    Parameters
    ----------
    error
        What pydantic found.
    known
        The tool's arguments.
    """
    mistakes = error.errors(include_url=False)
    # A misspelt argument leaves another one out: it explains both.
    first = min(mistakes, key=lambda mistake: mistake["type"] != "extra_forbidden")
    return _told(first, known)


def _told(mistake: ErrorDetails, known: Collection[str]) -> str:
    name, *inside = mistake["loc"]
    kind, place = mistake["type"], f"`{name}{''.join(f'[{step}]' for step in inside)}`"
    if kind == "missing":
        return f"{place} is missing."
    if kind == "extra_forbidden":
        near = get_close_matches(str(name), known, n=1)
        if near:
            return f"there is no argument {place}. Did you mean `{near[0]}`?"
        return f"there is no argument {place}. There are: {some_of(known, 20)}."
    wanted = mistake.get("ctx", {}).get("expected") or _WANTED.get(kind.partition("_")[0])
    if wanted is None:
        return f"{place} is {_shown(mistake['input'])}: {mistake['msg']}."
    return f"{place} is {_shown(mistake['input'])}. Give {wanted}."


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
