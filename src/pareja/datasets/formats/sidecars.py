"""A text beside each picture: ``a.txt`` or ``a.caption``, or ``a.json`` with its columns."""

from __future__ import annotations

from collections.abc import Mapping

from pareja.datasets.formats.folders import Tree, ending, is_picture, without_ending
from pareja.datasets.formats.metadata import decode_named, parse_json
from pareja.datasets.formats.reading import Reading
from pareja.datasets.formats.rows import (
    CAPTION_COLUMNS,
    Row,
    canonical_columns,
    caption_lines,
)
from pareja.errors import MetadataError

_TEXTS = (".txt", ".caption", ".captions", ".text")


def find_sidecars(tree: Tree) -> Mapping[str, list[str]]:
    """Return the texts and JSON files that lie beside pictures of the same name.

    Parameters
    ----------
    tree
        The files.

    Returns
    -------
    dict
        By picture; those without any are left out.
    """
    pictures: dict[str, str] = {}
    for name in filter(is_picture, tree.names):
        pictures.setdefault(without_ending(name), name)
        pictures[name] = name
    found: dict[str, list[str]] = {}
    for name in tree.names:
        if ending(name) in (*_TEXTS, ".json", ".xml"):
            picture = pictures.get(without_ending(name))
            if picture:
                found.setdefault(picture, []).append(name)
    return found


def sidecar_cells(tree: Tree, files: list[str], reading: Reading) -> dict[str, object]:
    """Return what the files beside a picture say of it; note those that say nothing known.

    Parameters
    ----------
    tree
        The files.
    files
        Those beside one picture.
    reading
        Takes note.
    """
    cells: dict[str, object] = {}
    for name in files:
        content = tree.read(name)
        kind = ending(name)
        if not content.strip():
            continue
        guesses = Reading()
        try:
            text = decode_named(name, content, guesses)
            if kind == ".json":
                added = described_cells(parse_json(name, text))
            elif kind == ".xml" or _is_boxes(text):
                added = {}
            else:
                added = {"caption": caption_lines(text)}
        except MetadataError as error:
            reading.refuse(error)
            continue
        for note in guesses.notes:
            message = f"{name} is the first such file. {note.message}"
            reading.note(note.code, f"*{kind}", message, first_only=True)
        if added:
            merge_cells(cells, added)
        else:
            reading.note(
                "file_unread",
                f"*{kind}",
                f"The {kind} files beside the pictures, as {name}, hold no captions that are "
                "known. Write captions into .txt files beside the pictures, or into metadata.csv.",
                first_only=True,
            )
    return cells


def described_cells(values: object) -> dict[str, object]:
    """Return the columns of a JSON object about one picture; empty where it has no words of it."""
    if not isinstance(values, Mapping):
        return {}
    cells = dict(zip(canonical_columns(list(values)), values.values(), strict=True))
    wanted = (*CAPTION_COLUMNS, "category", "label", "caption_es")
    if not any(cells.get(column) for column in wanted):
        return {}
    return {column: value for column, value in cells.items() if column != "file_name"}


def merge_cells(cells: dict[str, object], added: Mapping[str, object]) -> None:
    """Add what another source says of a picture; what is empty there erases nothing.

    A caption that repeats, as one text, what ``cells`` has in several lines makes it one again.
    """
    for column, value in added.items():
        given = cells.get(column)
        if value in (None, "", []):
            continue
        if column == "caption" and isinstance(given, list) and isinstance(value, str):
            whole = caption_lines(value)
            cells[column] = [" ".join(whole)] if whole == given else [*given, value]
        elif column == "caption" and given and isinstance(value, list):
            held = given if isinstance(given, list) else [given]
            cells[column] = (
                [" ".join(value)] if caption_lines(str(given)) == value else [*held, *value]
            )
        else:
            cells[column] = value


def _is_boxes(text: str) -> bool:
    """Return whether a text holds numbers only, as the boxes of YOLO."""
    return all(_is_number(word) for word in text.split())


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def sidecar_row(picture: str, files: list[str], cells: dict[str, object]) -> Row:
    """Return the row of one picture."""
    return Row(files[0], {"file_name": picture, **cells})
