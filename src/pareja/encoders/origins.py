"""Where an encoder came from, written so that it is found again from any working folder."""

from __future__ import annotations

import os
from pathlib import Path

from pareja.encoders.adapters import CONFIG, NOTES
from pareja.encoders.catalogue import find_card
from pareja.encoders.checkpoint import MARKERS
from pareja.encoders.loading import pair_halves
from pareja.encoders.protocols import AnyEncoder

# Which of them a folder has depends on the program that wrote it.
_DESCRIPTIONS = (*MARKERS, CONFIG, NOTES)


def origin_of(encoder: AnyEncoder) -> str:
    """Return what loads an encoder from any folder: its name, or the absolute path of its folder.

    Whatever keeps an encoder's name on disk keeps this. A relative path would mean another folder
    tomorrow, or a repository on the hub, which may be a stranger's.

    Examples
    --------
    >>> import pareja
    >>> origin_of(pareja.load("starter"))
    'starter'
    """
    halves = pair_halves(encoder.name) or (encoder.name,)
    return "+".join(map(_origin, halves))


def _origin(name: str) -> str:
    if find_card(name) is not None or not is_model_folder(name):
        return name
    # Links may lead elsewhere tomorrow.
    return os.path.abspath(Path(name).expanduser())  # noqa: PTH100  Path.resolve follows links


def is_model_folder(name: str) -> bool:
    """Return whether a name is the path of a folder with a model, seen from the current folder."""
    folder = Path(name).expanduser()
    return any((folder / described).is_file() for described in _DESCRIPTIONS)
