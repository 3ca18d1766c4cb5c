"""Writing an adapted encoder as a plain model that other libraries load."""

from __future__ import annotations

from pathlib import Path

from pareja.embedding.natural import Model
from pareja.encoders import load
from pareja.encoders.towers import NetworkDualEncoder
from pareja.errors import EncoderError
from pareja.files import staged_directory


def merge(model: Model, folder: Path | str, *, force: bool = False) -> Path:
    """Write an encoder, its adapter merged into the weights, in transformers' layout.

    What transformers and sentence-transformers make of the folder are the same embeddings, within
    1e-5 in float32.

    Parameters
    ----------
    model
        An adapted dual encoder, or the folder of one.
    folder
        Where to write.
    force
        Replace a folder that exists.

    Returns
    -------
    Path
        Absolute path of the folder.

    Raises
    ------
    EncoderError
        If the encoder is not made of transformers' networks.
    OutputError
        If the folder cannot be written, or exists and `force` is off.
    """
    encoder = load(model)
    if not isinstance(encoder, NetworkDualEncoder) or encoder.folder is None:
        raise EncoderError(
            f"{encoder.name} is not made of transformers' networks alone, so there is no plain "
            "model to write. Merge a folder that tuning wrote with lora, projection or full."
        )
    from pareja.training.whole import write_merged

    with staged_directory(folder, force=force) as staged:
        write_merged(encoder, staged)
    return Path(folder).expanduser().absolute()
