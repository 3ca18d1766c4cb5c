"""Labels and the prompts around them: where they come from, and what is wrong with them."""

from __future__ import annotations

import csv
import io
import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path

from pareja.errors import LabelError
from pareja.inputs import find_texts

PLACE = "{}"
"""What stands for the label in a template."""

DEFAULT_TEMPLATES = ("a photo of a {}",)
"""The templates that are used unless others are named."""

_MOST_BYTES = 10_000_000


@cache
def _table() -> Mapping[str, Mapping[str, Sequence[str]]]:
    text = resources.files("pareja.classifiers").joinpath("templates.toml").read_text("utf-8")
    return tomllib.loads(text)


def template_sets() -> dict[str, tuple[str, ...]]:
    """Return the named sets of templates.

    Examples
    --------
    >>> sets = template_sets()
    >>> sets["photo"], len(sets["clip7"]), len(sets["clip80"])
    (('a photo of a {}',), 7, 80)
    """
    return {name: tuple(texts) for name, texts in _table()["templates"].items()}


def background_texts() -> tuple[str, ...]:
    """Return the texts that describe a picture which is none of the labels."""
    return tuple(_table()["background"]["texts"])


def find_templates(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return templates that are named as `read_templates` says, or listed.

    Raises
    ------
    LabelError
        If there is none, or one has no ``{}`` or is there twice.
    InputError
        If something else was given.
    """
    if isinstance(given, str):
        return read_templates(given)
    return checked_templates(find_texts(given, "templates")[0])


def read_templates(given: str) -> tuple[str, ...]:
    """Return the templates that an option names.

    Parameters
    ----------
    given
        The name of a set (`template_sets`), a template with ``{}`` in it, or a text file with one
        template a line.

    Raises
    ------
    LabelError
        If it is none of these, or a template has no ``{}``.
    """
    sets = template_sets()
    if given in sets:
        return sets[given]
    if PLACE in given:
        return checked_templates([given])
    path = Path(given).expanduser()
    if path.is_file():
        return checked_templates(_lines(path, "templates"), str(path))
    near = get_close_matches(given, sets, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise LabelError(
        f"template {given!r} has no {PLACE} for the label, and is no file. {hint}"
        f"Write one as 'a photo of a {PLACE}', or name a set: {', '.join(sets)}."
    )


def checked_templates(templates: Sequence[str], where: str = "") -> tuple[str, ...]:
    """Return the templates, or say what is wrong with them.

    Raises
    ------
    LabelError
        If there is none, one has no ``{}``, or one is there twice.
    """
    place = f"{where}: " if where else ""
    if not templates:
        raise LabelError(f"{place}no templates. Give at least one, as in 'a photo of a {PLACE}'.")
    for template in templates:
        if PLACE not in template:
            raise LabelError(
                f"{place}template {template!r} has no {PLACE} for the label. Write it as in "
                f"'a photo of a {PLACE}'."
            )
        if templates.count(template) > 1:
            raise LabelError(f"{place}template {template!r} is given twice. Give it once.")
    return tuple(templates)


def find_labels(
    given: str | os.PathLike[str] | Iterable[str], *, least: int = 2
) -> tuple[str, ...]:
    """Return labels: of a list, of a text with commas between them, or of a file.

    Parameters
    ----------
    given
        ``"cat,dog"``, a text file with one label a line, or a list.
    least
        How few there may be.

    Raises
    ------
    LabelError
        If there are fewer, or two are the same but for case.
    InputError
        If something else was given.
    """
    if isinstance(given, str | os.PathLike):
        return read_labels(os.fspath(given), least=least)
    return checked_labels(find_texts(given, "labels")[0], least=least)


def read_labels(given: str, *, least: int = 2) -> tuple[str, ...]:
    """Return the labels that an option names.

    Parameters
    ----------
    given
        Labels with commas between them, or a text file with one label a line; blank lines, spaces
        around a label and a byte-order mark do not count.
    least
        How few there may be.

    Raises
    ------
    LabelError
        If there are fewer, two are the same but for case, or the file cannot be read.

    Examples
    --------
    >>> read_labels("cat, dog")
    ('cat', 'dog')
    """
    path = Path(given).expanduser()
    try:
        is_file = path.is_file()
    except OSError:
        is_file = False
    if is_file:
        return checked_labels(_lines(path, "labels"), str(path), least=least)
    labels = split_labels(given)
    if len(labels) == 1 and path.suffix in {".txt", ".csv", ".lst"}:
        raise LabelError(f"{given}: no such file. Give a file of labels, or 'cat,dog'.")
    return checked_labels(labels, least=least)


def split_labels(written: str) -> list[str]:
    """Return labels that were written with commas or line ends between them.

    A label that has a comma itself stands in quotes, as in a CSV file (RFC 4180).

    Examples
    --------
    >>> split_labels('cat, "dog, sleeping",,')
    ['cat', 'dog, sleeping']
    """
    rows = csv.reader(io.StringIO(written.replace("\r", "\n")), skipinitialspace=True)
    try:
        return [label for row in rows for part in row if (label := part.strip())]
    except csv.Error as error:
        raise LabelError(f"the labels cannot be read: {error}. Write 'cat,dog'.") from error


def join_labels(labels: Iterable[str]) -> str:
    """Return labels in one text, with commas between them and quotes where a label has one.

    `split_labels` reads it.

    Examples
    --------
    >>> join_labels(["cat", "dog, sleeping"])
    'cat, "dog, sleeping"'
    """
    return ", ".join(
        '"{}"'.format(label.replace('"', '""')) if set(label) & set(',"') else label
        for label in labels
    )


def checked_labels(labels: Sequence[str], where: str = "", *, least: int = 2) -> tuple[str, ...]:
    """Return the labels, or say what is wrong with them.

    Parameters
    ----------
    labels
        Names of what pictures may show.
    where
        The file they come from, for messages.
    least
        How few there may be.

    Raises
    ------
    LabelError
        If there are fewer, or two are the same but for case.
    """
    place = f"{where}: " if where else ""
    if not labels:
        raise LabelError(f"{place}no labels. Name what the pictures may show, as in 'cat,dog'.")
    seen: dict[str, str] = {}
    for label in labels:
        other = seen.setdefault(label.casefold(), label)
        if other is not label or labels.count(label) > 1:
            raise LabelError(f"{place}label {label!r} is given twice. Give it once.")
    if len(labels) < least:
        raise LabelError(
            f"{place}{labels[0]!r} is the only label, so every picture would get it. Name at least "
            f"{least}. 'pareja classify --unknown', and pareja.classify with unknown=True, "
            "ask whether it is there at all."
        )
    return tuple(labels)


def _lines(path: Path, what: str) -> list[str]:
    """Return the lines of a text file that are not blank."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise LabelError(f"{path}: larger than 10 MB, which no list of {what} is.")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise LabelError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise LabelError(f"{path}: not UTF-8 at byte {error.start}. Save it as UTF-8.") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
