"""Classes that are numbers: their names where a file has them, else a warning."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from pareja.datasets.formats.encodings import decode_text
from pareja.datasets.formats.folders import is_picture
from pareja.datasets.formats.reading import Reading
from pareja.datasets.records import Record
from pareja.errors import some_of

CLASS_FILES = frozenset(
    {
        *("classes.txt", "classnames.txt", "class_names.txt", "labels.txt", "categories.txt"),
        *("obj.names", "names.txt", "words.txt", "synset_words.txt", "loc_synset_mapping.txt"),
        *("classes.json", "class_names.json", "classnames.json", "label_map.json", "labels.json"),
        *("class_indices.json", "imagenet_class_index.json", "cat_to_name.json", "id2label.json"),
        *("data.yaml", "dataset.yaml"),
    }
)
"""Names, in lower case, of files that may tell the names of classes."""

_CODED = re.compile(r"(\d+|n\d{8})[\s:,=]+(\S.*)")
_YAML_NAMES = re.compile(
    r"^names:[ \t]*(\[[^\]]*\]|(?:\r?\n[ \t]*(?:-|\d+:)[^\n]*)+)", re.MULTILINE
)
_NUMBER = re.compile(r"\d+|n\d{8}")


def parse_class_names(file: str, content: bytes) -> Mapping[str, str]:
    """Return the names of classes by their numbers; empty where the file has none.

    Parameters
    ----------
    file
        Its name; one of `CLASS_FILES`.
    content
        Its bytes.
    """
    try:
        text = decode_text(content)
        if file.lower().endswith(".json"):
            return _from_json(json.loads(text))
    except ValueError:
        return {}
    if file.lower().endswith(".yaml"):
        found = _YAML_NAMES.search(text)
        items = re.findall(r"[^\[\],\n]+", found[1]) if found else []
        lines = [re.sub(r"^(?:-|\d+:)", "", item.strip()).strip().strip("'\"") for item in items]
    else:
        lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    coded = [_CODED.fullmatch(line) for line in lines]
    if lines and all(coded):
        return {_key(match[1]): match[2].strip() for match in coded if match}
    return {str(number): line for number, line in enumerate(lines)}


def with_class_names(
    records: Sequence[Record], names: Mapping[str, str], reading: Reading
) -> list[Record]:
    """Give classes that are numbers their names; note the columns that stay numbers.

    Parameters
    ----------
    records
        The pictures.
    names
        By number, as `parse_class_names` returns them.
    reading
        Takes note.
    """
    for column in ("label", "category"):
        given = {value for record in records if (value := getattr(record, column)) is not None}
        if not given or not all(map(_NUMBER.fullmatch, given)):
            continue
        keys = {value: _key(value) for value in given}
        # a list without numbers may count from 1
        digits = [int(key) for key in keys.values() if key.isdigit()]
        if digits and 0 not in digits and max(digits) == len(names) and "0" in names:
            keys = {value: str(int(key) - 1) for value, key in keys.items()}
        if all(key in names for key in keys.values()):
            spelled = {value: names[key] for value, key in keys.items()}
            records = [_renamed(record, column, spelled) for record in records]
            continue
        shown = some_of(sorted(given, key=lambda value: (len(value), value)))
        reading.note(
            "class_numbers",
            column,
            f"The column {column!r} holds numbers ({shown}), which say nothing as prompts. Write "
            "the names of the classes, one a line, into classnames.txt beside the pictures.",
        )
    return list(records)


def _renamed(record: Record, column: str, names: Mapping[str, str]) -> Record:
    if column == "label":
        return replace(record, label=names.get(record.label or ""))
    return replace(record, category=names.get(record.category or ""))


def _from_json(content: object) -> Mapping[str, str]:
    if isinstance(content, list) and all(isinstance(item, str) for item in content):
        return {str(number): item for number, item in enumerate(content)}
    if not isinstance(content, dict) or not content or any(map(is_picture, content)):
        return {}
    if all(isinstance(value, int) for value in content.values()):
        return {str(value): str(name) for name, value in content.items()}
    if not all(map(_NUMBER.fullmatch, map(str, content))):
        return {}
    # of ImageNet each number has [WordNet id, name]
    named = {
        key: value[-1] if isinstance(value, list) and value else value
        for key, value in content.items()
    }
    return {_key(key): name for key, name in named.items() if isinstance(name, str)}


def _key(number: str) -> str:
    return str(int(number)) if number.isdigit() else number


def names_beside(files: Mapping[str, bytes]) -> tuple[Mapping[str, str], list[str]]:
    """Return the class names of the first file that has some, and the files that were read."""
    for file, content in sorted(files.items(), key=lambda item: item[0].count("/")):
        names = parse_class_names(PurePosixPath(file).name, content)
        if names:
            return names, [file]
    return {}, []
