"""Lists without a header: ``name#0<tab>caption`` as in Flickr8k, ``name label`` as in ImageNet."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pareja.datasets.formats.folders import NameIndex, is_picture
from pareja.datasets.formats.rows import Row

_CAPTION = re.compile(r"(?P<name>[^\t]+?)(?:#\w+)?\t(?P<text>.+)")
_LABEL = re.compile(r"(?P<name>\S+)[ \t]+(?P<text>[\w./-]+)")


def is_list(text: str, index: NameIndex) -> bool:
    """Return whether the first lines of a text name pictures of the tree, each with something."""
    lines = [line for line in text.splitlines() if line.strip()][:20]
    return any((found := _matched(line)) and index.find_below("", found["name"]) for line in lines)


def list_rows(file: str, text: str) -> Iterator[Row]:
    """Yield one row for each line."""
    for number, line in enumerate(text.splitlines(), start=1):
        found = _matched(line)
        if found:
            label = found.re is _LABEL
            yield Row(
                f"{file}:{number}",
                {"file_name": found["name"], "label" if label else "caption": found["text"]},
                anywhere=True,
            )


def _matched(line: str) -> re.Match[str] | None:
    """Match a line: a caption after a tab, else one word after a space."""
    label = _LABEL.fullmatch(line)
    if label and is_picture(label["name"]):
        return label
    return _CAPTION.fullmatch(line)
