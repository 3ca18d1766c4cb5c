"""The folder of a training that may be stopped: whose it is, and whether it may go on."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from pareja.datasets.records import Dataset
from pareja.encoders.protocols import Encoder
from pareja.errors import OutputError


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
