"""The folder of a training that may be stopped: whose it is, and whether it may go on."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

from pareja.datasets.records import Dataset
from pareja.encoders.protocols import Encoder
from pareja.errors import OutputError


def identity(dataset: Dataset, base: Encoder, *settings: Any) -> str:
    """Return what a training that goes on must agree in with the one that was begun."""
    records = [(r.file_name, r.captions, r.label, r.category) for r in dataset]
    described = repr(
        (base.image_fingerprint.digest, base.text_fingerprint.digest, records, settings)
    )
    return sha256(described.encode()).hexdigest()


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
