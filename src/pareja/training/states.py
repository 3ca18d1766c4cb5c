"""The folder of a training that may be stopped: whose it is, and whether it may go on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from pareja.datasets.records import Dataset
from pareja.encoders.protocols import Encoder
from pareja.errors import OutputError
from pareja.files import staged_file
from pareja.training.schedule import Epoch

_STATE = "state.pt"
_LOG = "training.jsonl"


def identity(base: Encoder, datasets: Sequence[Dataset], settings: tuple[object, ...]) -> str:
    """Return what a training that goes on must agree in with the one that was begun.

    Parameters
    ----------
    base
        What is adapted.
    datasets
        What is learned from, and what is held on to.
    settings
        All else that decides which weights come out; their ``repr`` says all of them.
    """
    records = [
        [(r.file_name, r.captions, r.label, r.category, r.split) for r in dataset]
        for dataset in datasets
    ]
    spaces = base.image_fingerprint.digest, base.text_fingerprint.digest
    return sha256(repr((spaces, records, settings)).encode()).hexdigest()


def states_folder(out: Path, mine: str) -> Path:
    """Return the folder of a training's states, new or begun with the same settings."""
    folder = out.with_name(f"{out.name}.training")
    mark = folder / "identity"
    if folder.exists():
        known = mark.read_text() if mark.is_file() else ""
        if known != mine:
            raise OutputError(
                f"{folder}: a training was begun there with other settings or another dataset. "
                "Remove that folder, or write the result elsewhere."
            )
        return folder
    try:
        folder.mkdir(parents=True)
        mark.write_text(mine)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from error
    return folder


def write_state(folder: Path | None, run: Mapping[str, Any]) -> None:
    """Keep the state after an epoch, and the record of all epochs; nothing without a folder.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    if folder is None:
        return
    try:
        with staged_file(folder / _STATE, force=True) as stream:
            torch.save(dict(run), stream)
    except RuntimeError as error:  # where the disk is full; torch hides the reason
        raise OutputError(
            f"{folder / _STATE} cannot be written: is the disk full? Free some space; the same "
            "command goes on after the last epoch that was written."
        ) from error
    lines = "".join(json.dumps(Epoch(**entry).record()) + "\n" for entry in run["history"])
    with staged_file(folder / _LOG, force=True) as stream:
        stream.write(lines.encode())


def read_state(folder: Path | None) -> dict[str, Any] | None:
    """Return the state after the last epoch that was finished; None where there is none.

    Raises
    ------
    OutputError
        If it cannot be read.
    """
    if folder is None or not (folder / _STATE).is_file():
        return None
    try:
        run: dict[str, Any] = torch.load(folder / _STATE, weights_only=True)
    except Exception as error:  # pickle and zip errors share no base
        raise OutputError(
            f"{folder / _STATE}: the training that was begun there cannot be read: {error}. "
            "Remove the folder to begin anew."
        ) from error
    return run
