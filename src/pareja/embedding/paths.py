"""From what a user names (pictures, folders, patterns, datasets) to a file of embeddings."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pareja.datasets import load_dataset
from pareja.datasets.formats.folders import FileSource, FolderTree, is_picture, printable
from pareja.datasets.records import Source
from pareja.embedding.cache import EmbeddingCache
from pareja.embedding.export import Rows, writer_for
from pareja.embedding.pipeline import OnProgress, stream_images
from pareja.encoders.protocols import Fingerprint, ImageEncoder, TextEncoder
from pareja.errors import DatasetError, EncoderError
from pareja.files import staged_file


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
    """

    path: Path
    pictures: int
    cached: int
    skipped: tuple[tuple[str, str], ...]
    fingerprint: Fingerprint
    seconds: float


@dataclass(frozen=True)
class FoundPictures:
    """The pictures that were asked for.

    Parameters
    ----------
    names
        As the user would write them, with forward slashes and what is no Unicode replaced.
    sources
        Where they are, in the same order; each once.
    refused
        ``(name, reason)`` of links that lead out of their folder.
    places
        Their names with the absolute path of the folder or archive that holds them; where that is
        no file, as for a bundled dataset, the same as in `names`.
    """

    names: tuple[str, ...]
    sources: tuple[Source, ...]
    refused: tuple[tuple[str, str], ...]
    places: tuple[str, ...]

    def names_from(self, folder: Path) -> list[str]:
        """Return names that hold in a file in `folder`: relative where the picture lies below.

        Elsewhere they are absolute, since names that lead out of a folder are refused when a
        dataset is read.
        """
        below = f"{folder.absolute().as_posix().rstrip('/')}/"
        return [place.removeprefix(below) for place in self.places]


def find_pictures(paths: Iterable[str | Path]) -> FoundPictures:
    """List pictures, in the order asked for and sorted by name within a folder.

    Parameters
    ----------
    paths
        Picture files, folders (all pictures in them and below), patterns with ``*``, ``**``, ``?``
        or ``[...]``, and whatever `pareja.datasets.load_dataset` reads.

    Raises
    ------
    DatasetError
        If there are no pictures in one of them.
    """
    found: dict[Source, str] = {}
    places: dict[Source, str] = {}
    refused: dict[str, str] = {}
    for given in paths:
        for path in _matches(given):
            named: dict[Source, str]
            tree = FolderTree(path) if path.is_dir() else None
            pictures = [name for name in tree.names if is_picture(name)] if tree else []
            if tree is not None and pictures:
                # Not load_dataset: pictures that a metadata file does not list count as well.
                refused.update((f"{path.as_posix()}/{n}", r) for n, r in tree.refused.items())
                named = {tree.source(name): f"{path.as_posix()}/{name}" for name in pictures}
            elif path.is_file() and is_picture(path.name):
                named = {FileSource(path.absolute()): path.as_posix()}
            else:
                place = path if path.exists() else given
                named = {
                    record.source: f"{place}/{record.file_name}" for record in load_dataset(place)
                }
            for source, name in named.items():
                found.setdefault(source, name)
                absolute = Path(os.path.abspath(name)).as_posix() if path.exists() else name  # noqa: PTH100  resolves .. and no links
                places.setdefault(source, absolute)
    return FoundPictures(
        tuple(map(printable, found.values())),
        tuple(found),
        tuple((printable(name), reason) for name, reason in refused.items()),
        tuple(map(printable, places.values())),
    )


def embed_paths(
    paths: Iterable[str | Path],
    encoder: ImageEncoder | TextEncoder,
    out: Path | str,
    *,
    cache: EmbeddingCache | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    force: bool = False,
    progress: OnProgress | None = None,
) -> EmbeddedPaths:
    """Embed pictures into one file, which `pareja.embedding.export.read_embeddings` reads.

    Its ``file_name`` is relative to the folder of the file where a picture lies below that folder,
    so that both can move together and `load_dataset` of the file finds the pictures; elsewhere it
    is absolute.

    The file appears when all is done; in one folder the same pictures and encoder give the same
    bytes. With a cache, a run that was interrupted or killed goes on where it stopped when it is
    repeated.

    Parameters
    ----------
    paths
        As `find_pictures` takes them.
    encoder
        What embeds them.
    out
        A ``.parquet`` (needs ``pyarrow``) or ``.npz`` file.
    cache
        Embeddings of earlier runs. Without one, nothing outlasts the run but the file.
    batch_size, workers, progress
        As for `pareja.embedding.pipeline.stream_images`.
    force
        Replace a file that exists.

    Raises
    ------
    DatasetError
        If there are no pictures, or none of them decodes.
    EncoderError
        If the encoder embeds no pictures.
    OutputError
        If the file or the cache cannot be written, or the file is of neither kind.
    MissingDependencyError
        If ``pyarrow`` is needed and not installed.
    """
    start = time.perf_counter()
    if not isinstance(encoder, ImageEncoder):
        raise EncoderError(f"{encoder.name!r} embeds no pictures. Choose an image or dual encoder.")
    write = writer_for(out)
    found = find_pictures(paths)
    stored_names = found.names_from(Path(out).absolute().parent)
    skipped = list(found.refused)
    pictures = cached = 0

    def rows(cache: EmbeddingCache) -> Iterator[Rows]:
        nonlocal pictures, cached
        for batch in stream_images(
            found.sources,
            encoder,
            batch_size=batch_size,
            workers=workers,
            cache=cache,
            progress=progress,
        ):
            pictures += len(batch.indices)
            cached += batch.cached
            skipped.extend(batch.skipped)
            names = [stored_names[index] for index in batch.indices]
            yield Rows(names, list(batch.digests), batch.embeddings)

    with ExitStack() as stack:
        if cache is None:
            folder = stack.enter_context(TemporaryDirectory(prefix="pareja-"))
            cache = stack.enter_context(EmbeddingCache(Path(folder, "embeddings.sqlite3")))
        stream = stack.enter_context(staged_file(out, force=force))
        write(stream, rows(cache), encoder.image_fingerprint, encoder.image_dim)
        if not pictures:
            raise DatasetError(_none_decoded(skipped))
    return EmbeddedPaths(
        path=Path(out),
        pictures=pictures,
        cached=cached,
        skipped=tuple(skipped),
        fingerprint=encoder.image_fingerprint,
        seconds=time.perf_counter() - start,
    )


def _matches(given: str | Path) -> list[Path]:
    """Expand a pattern; anything else stands for itself."""
    path = Path(given)
    if path.exists() or not glob.has_magic(str(given)):
        return [path]
    found = sorted(map(Path, glob.glob(str(given), recursive=True)))  # noqa: PTH207  Path.glob takes no absolute patterns
    pictures = [match for match in found if match.is_file() and is_picture(match.name)]
    if not pictures:
        raise DatasetError(
            f"no picture matches {str(given)!r}. Check the pattern; ** stands for any folders."
        )
    return pictures


def _none_decoded(skipped: Sequence[tuple[str, str]]) -> str:
    if not skipped:
        return "there are no pictures to embed. Name pictures, folders or a dataset."
    name, reason = skipped[0]
    return f"none of {len(skipped)} pictures could be decoded; the first, {name}: {reason}."
