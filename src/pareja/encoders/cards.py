"""From a TOML file with one table a model to cards; what is wrong in it is named with its line."""

from __future__ import annotations

import re
import tomllib
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pareja.errors import EncoderError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
Card = TypeVar("Card")


def read_cards(text: str, kind: type[Card], where: str) -> dict[str, Card]:
    """Read a file of cards.

    Parameters
    ----------
    text
        Its content.
    kind
        The dataclass of a card. Its field ``name`` is the name of a table, the others are what the
        table may hold, and must hold where they have no default.
    where
        How messages call the file.

    Returns
    -------
    dict
        The cards by their names, in the order of the file.

    Raises
    ------
    EncoderError
        If the file is no TOML, or a table of it is no card. The message names the line.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise EncoderError(f"{where}: this is no TOML: {error}.") from error
    cards = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            line = line_of(text, name)
            raise EncoderError(
                f"{where}:{line}: {name!r} stands outside of any table. Begin each model with its "
                "name in brackets, as in [my-clip]."
            )
        if not _NAME.fullmatch(name):
            raise EncoderError(
                f"{where}:{line_of(text, name)}: {name!r} cannot be the name of a model. Names are "
                "made of letters without accents, digits, dots, hyphens and underscores, and begin "
                "with a letter or a digit."
            )
        try:
            cards[name] = _made(kind, table, {"name": name})
        except _WrongFieldError as error:
            line = line_of(text, name, error.field)
            raise EncoderError(f"{where}:{line}: {name!r}: {error}.") from None
    return cards


class _WrongFieldError(Exception):
    """A table does not make a card."""

    def __init__(self, problem: str, field: str | None = None) -> None:
        super().__init__(problem)
        self.field = field


def _made(kind: type[Card], table: Mapping[str, Any], given: Mapping[str, Any]) -> Card:
    """Make a dataclass of a table."""
    hints = get_type_hints(kind)
    # is_dataclass narrows a variable, and the type of a type variable it cannot.
    known = {field.name: field for field in fields(kind) if field.name not in given}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise _WrongFieldError(f"there is no {key!r} in a card. It has {', '.join(known)}", key)
    needed = [name for name, field in known.items() if field.default is MISSING]
    if missing := [name for name in needed if name not in table]:
        raise _WrongFieldError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        )
    values = {key: _converted(hints[key], key, value) for key, value in table.items()}
    return kind(**given, **values)


def _converted(hint: Any, key: str, value: Any) -> Any:
    """Return a value of a table as its field wants it."""
    union = get_origin(hint) in (types.UnionType, Union)
    options = get_args(hint) if union else (hint,)
    for option in options:
        if get_origin(option) is Literal and value in get_args(option):
            return value
        if option is float and isinstance(value, int | float) and not isinstance(value, bool):
            return value
        if option in (int, str) and type(value) is option:
            return value
        lengths = get_origin(option) is tuple and isinstance(value, list) and value
        if lengths and all(type(number) is int and number > 0 for number in value):
            return tuple(sorted(value, reverse=True))
        if is_dataclass(option) and isinstance(option, type) and isinstance(value, dict):
            try:
                return _made(option, value, {})
            except _WrongFieldError as error:
                raise _WrongFieldError(f"{key}: {error}", key) from None
    raise _WrongFieldError(f"{key} = {value!r:.60} is not {_called(options)}", key)


def _called(options: tuple[Any, ...]) -> str:
    """Say what a field takes."""
    for option in options:
        if get_origin(option) is Literal:
            return "one of " + ", ".join(map(repr, get_args(option)))
        if get_origin(option) is tuple:
            return "a list of whole numbers above 0, as in [512, 256]"
        if is_dataclass(option):
            names = ", ".join(field.name for field in fields(option))
            return f'a table of {names}, as in {{ source = "..." }}'
    return {int: "a whole number", float: "a number", str: "a text"}[options[0]]


def line_of(text: str, table: str, key: str | None = None) -> int:
    r"""Return the line of a table's name, or of a key in it, counted from 1.

    Where the file writes it in a way that is not found, it is the line of the table, or the first.

    Examples
    --------
    >>> line_of("[a]\ndim = 1\n[b]\ndim = 2", "b", "dim")
    4
    """
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if _named(line, r"\[", table)), None)
    if start is None:
        return next((i for i, line in enumerate(lines, 1) if _named(line, "", table)), 1)
    for number, line in enumerate(lines[start + 1 :], start + 2):
        if key is not None and _named(line, "", key):
            return number
        if line.lstrip().startswith("["):
            break
    return start + 1


def _named(line: str, opening: str, name: str) -> bool:
    """Whether a line begins a table or a value of that name."""
    return re.match(rf"\s*{opening}\s*[\"']?{re.escape(name)}[\"']?\s*[\].=]", line) is not None
