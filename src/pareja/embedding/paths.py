"""From pictures, however many, to a file of embeddings, holding a batch of them at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pareja.decimals import counted
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.export import Rows, beside, writer_for
from pareja.embedding.pipeline import OnProgress, stream_images
from pareja.embedding.stages import together_with
from pareja.encoders.protocols import Fingerprint, ImageEncoder, TextEncoder
from pareja.errors import DatasetError, EncoderError
from pareja.files import staged_file
from pareja.inputs import Given, Pictures, find_pictures


@dataclass(frozen=True)
class EmbeddedPaths:
    """What `embed_paths` did.

    Parameters
    ----------
    path
        The file that it wrote.
    pictures
        Rows of the file.
    cached
        How many of them had been embedded before.
    skipped
        ``(name, reason)`` of the pictures that are not in it.
    fingerprint
        The space of the embeddings.
    seconds
        How long it took.
    alone
        How many have no caption, where the others were embedded with theirs.
    """

    path: Path
    pictures: int
    cached: int
    skipped: tuple[tuple[str, str], ...]
    fingerprint: Fingerprint
    seconds: float
    alone: int = 0


def embed_paths(
    paths: Pictures,
    encoder: ImageEncoder | TextEncoder,
    out: Path | str,
    *,
    split: str | None = None,
    cache: EmbeddingCache | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    force: bool = False,
    captions: bool = False,
    progress: OnProgress | None = None,
) -> EmbeddedPaths:
    """Embed pictures into one file, which `pareja.embedding.export.read_rows` reads.

    Its ``file_name`` is relative to the folder of the file where a picture lies below that folder,
    so that both can move together and `load_dataset` of the file finds the pictures; elsewhere it
    is absolute.

    The file appears when all is done; in one folder the same pictures and encoder give the same
    bytes. With a cache, a run that was interrupted or killed goes on where it stopped when it is
    repeated.

    Parameters
    ----------
    paths
        Pictures, folders, patterns and datasets, as `pareja.inputs.find_pictures` describes them.
    encoder
        What embeds them.
    out
        A ``.parquet`` (needs ``pyarrow``) or ``.npz`` file.
    split
        Of a dataset only this part, as ``test``; by default all.
    cache
        Embeddings of earlier runs. Without one, nothing outlasts the run but the file.
    batch_size
        Pictures that the encoder gets at once; 32 by default.
    workers
        Decoding threads; by default one a core.
    progress
        Called after each batch, in the caller's thread.
    force
        Replace a file that exists.
    captions
        Whether each picture and its captions become one vector, in the same space; a Parquet file
        then says which, as ``caption``. A picture without a caption is embedded alone.

    Raises
    ------
    DatasetError
        If there are no pictures, none of them decodes, none has a caption where captions are asked
        for, or there is no such split.
    EncoderError
        If the encoder embeds no pictures, or none with their captions.
    OutputError
        If the file or the cache cannot be written, or the file is of neither kind.
    MissingDependencyError
        If ``pyarrow`` is needed and not installed.
    """
    start = time.perf_counter()
    if not isinstance(encoder, ImageEncoder):
        raise EncoderError(f"{encoder.name!r} embeds no pictures. Choose an image or dual encoder.")
    write = writer_for(out)
    found = find_pictures(paths, "paths", split=split)
    stored_names = beside(found.places, Path(out).absolute().parent)
    texts = fused_captions(found) if captions else None
    skipped = list(found.skipped)
    pictures = cached = alone = 0

    def rows() -> Iterator[Rows]:
        nonlocal pictures, cached, alone
        for batch in stream_images(
            found.sources,
            encoder,
            batch_size=batch_size,
            workers=workers,
            cache=cache,
            progress=progress,
            captions=texts,
        ):
            pictures += len(batch.indices)
            cached += batch.cached
            skipped.extend(batch.skipped)
            names = [stored_names[index] for index in batch.indices]
            told = [] if texts is None else [texts[index] for index in batch.indices]
            alone += told.count("")
            further = {} if texts is None else {"caption": told}
            yield Rows(names, list(batch.digests), batch.embeddings, further)

    with staged_file(out, force=force) as stream:
        write(stream, rows(), encoder.image_fingerprint, encoder.image_dim)
        if not pictures:
            raise none_decoded(skipped)
    return EmbeddedPaths(
        path=Path(out),
        pictures=pictures,
        cached=cached,
        skipped=tuple(skipped),
        fingerprint=encoder.image_fingerprint,
        alone=alone,
        seconds=time.perf_counter() - start,
    )


def fused_captions(found: Given) -> list[str]:
    """Return what each picture is embedded together with.

    Raises
    ------
    DatasetError
        If no picture has a caption.
    """
    texts = [together_with(record) for record in found.dataset.records]
    if not any(texts):
        raise without_captions(found.dataset.name)
    return texts


def without_captions(name: str) -> DatasetError:
    """Return the error for pictures none of which has a caption to be embedded with."""
    return DatasetError(
        f"{name} has no captions that its pictures could be embedded with. Leave captions out, or "
        "give a dataset of captioned pictures."
    )


def none_decoded(skipped: Sequence[tuple[str, str]]) -> DatasetError:
    """Return the error for pictures that all were skipped."""
    name, reason = skipped[0]
    return DatasetError(
        f"none of {counted(len(skipped), 'picture')} could be decoded; the first, {name}: {reason}."
    )
