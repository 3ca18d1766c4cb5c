"""Where data may lead: files below its own folder, repositories by name; and what is a URL."""

from __future__ import annotations

import os
import re
from pathlib import Path

# What the hub allows in a name. Neither part can be "..", nor begin as an option or a hidden file.
_NAME = r"(?=\w)(?:[\w-]|\.(?!\.)){1,96}(?<![.-])"
REPOSITORY = rf"{_NAME}/{_NAME}"
"""Pattern of a repository's name on the Hugging Face hub, ``owner/name``."""


# Two letters at least, since one is a drive. A `Path` of a URL has lost a slash.
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


def is_url(place: str | os.PathLike[str]) -> bool:
    """Return whether a place has the form of a URL.

    Examples
    --------
    >>> is_url("s3://bucket/out"), is_url(Path("s3://bucket/out")), is_url("C:/out")
    (True, True, False)
    """
    return _URL.match(os.fspath(place)) is not None


def is_repository_name(name: str) -> bool:
    """Return whether a name has the form ``owner/name`` of the Hugging Face hub.

    Examples
    --------
    >>> is_repository_name("nlphuji/flickr30k"), is_repository_name("../etc")
    (True, False)
    """
    return re.fullmatch(REPOSITORY, name, re.ASCII) is not None


def leads_out(path: Path, root: Path) -> bool:
    """Return whether a path is that of something outside a folder, all links followed.

    Parameters
    ----------
    path
        As it was found, or as data from elsewhere names it.
    root
        The folder that the data itself lies in.
    """
    try:
        return not path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError, ValueError):
        # a link that leads to itself, or no name of a file at all
        return True
