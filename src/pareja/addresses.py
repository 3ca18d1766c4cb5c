"""Where data may lead: to files below its own folder, and to repositories by their names."""

from __future__ import annotations

import re
from pathlib import Path

# What the hub allows in a name. Neither part can be "..", nor begin as an option or a hidden file.
_NAME = r"(?=\w)(?:[\w-]|\.(?!\.)){1,96}(?<![.-])"
REPOSITORY = rf"{_NAME}/{_NAME}"
"""Pattern of a repository's name on the Hugging Face hub, ``owner/name``."""


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
