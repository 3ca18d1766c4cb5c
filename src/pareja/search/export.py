"""Taking a collection elsewhere, embedding nothing: into a Parquet file, or into another store."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pareja.embedding.export import Rows, beside, writer_for
from pareja.errors import CollectionError, OutputError
from pareja.files import staged_file
from pareja.names import printable
from pareja.search.atlas import atlas_columns
from pareja.search.catalogue import Catalogue
from pareja.search.contracts import Picture
from pareja.search.database import Database
from pareja.search.filing import TOLD
from pareja.search.spaces import Space
from pareja.search.vectors.protocol import VectorStore
from pareja.search.vectors.stores import VectorStores

_AT_ONCE = 1024


@dataclass(frozen=True)
class ExportReport:
    """What was taken elsewhere.

    Parameters
    ----------
    path
        The Parquet file, or the folder of the new collection.
    pictures
        How many pictures are in it.
    vectors
        How many vectors are in it, of all its encoders.
    regions
        How many vectors of parts of pictures are in it besides; a Parquet file has none.
    models
        Names of the encoders that the vectors are of.
    """

    path: Path
    pictures: int
    vectors: int
    models: tuple[str, ...]
    regions: int = 0


def to_parquet(
    out: Path, catalogue: Catalogue, space: Space, store: VectorStore, *, atlas: bool, force: bool
) -> ExportReport:
    """Write the pictures that have a vector in one space, with their metadata, to a Parquet file.

    It has the columns that ``pareja embed`` writes (``file_name``, ``sha256``, ``embedding``), and
    beside them the metadata, ``width`` and ``height``. With `atlas` it also has those of
    `atlas_columns`.

    Raises
    ------
    CollectionError
        If the collection does not know the whole fingerprint of the space.
    OutputError
        If the file exists and `force` is off, or it cannot be written.
    MissingDependencyError
        If ``pyarrow`` is not installed.
    """
    fingerprint = space.whole_fingerprint
    if fingerprint is None:
        raise CollectionError(
            f"an older pareja indexed these pictures and kept only a digest of how {space.model} "
            f"embeds. Index one of them again with {space.model}, and the rest is written down."
        )
    write = writer_for(out)
    vectors = 0
    shown: dict[str, list[Any]] = {}
    if atlas:
        known = [picture.id for some in _pictures(catalogue, store) for picture in some]
        shown = atlas_columns(store.get(known))

    def rows() -> Iterator[Rows]:
        nonlocal vectors
        for pictures in _pictures(catalogue, store):
            here = slice(vectors, vectors + len(pictures))
            vectors += len(pictures)
            places = [printable(picture.path.as_posix()) for picture in pictures]
            yield Rows(
                names=beside(places, out.absolute().parent),
                digests=[picture.digest for picture in pictures],
                embeddings=store.get([picture.id for picture in pictures]),
                further={
                    name: [getattr(picture, name) for picture in pictures]
                    for name in ("width", "height", *TOLD)
                }
                | {name: values[here] for name, values in shown.items()},
            )

    with staged_file(out, force=force) as stream:
        write(stream, rows(), fingerprint, space.dim)
    return ExportReport(out.absolute(), vectors, vectors, (space.model,))


def to_collection(
    folder: Path, database: Database, catalogue: Catalogue, stores: VectorStores, store: str | None
) -> ExportReport:
    """Copy a collection, with all its encoders and judgements, to a folder and a store.

    The folder appears when all is in it. A server keeps nothing of a copy that failed.

    Raises
    ------
    OutputError
        If there is something in the folder already.
    CollectionError
        If the store does not answer or holds vectors under that name already, or nothing can be
        written there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} exists already. Name a new folder for the copy.")
    folder = folder.absolute()
    staging = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with Database(staging, create=True) as copy:
            copy.take_over(database)
            target = VectorStores.open(copy, Catalogue(copy), store)
            try:
                vectors = regions = 0
                for space in catalogue.spaces():
                    vectors += _copy(catalogue, stores(space), target(space))
                    if space.parts:
                        regions += _copy(
                            catalogue, stores.parts(space), target.parts(space), space.parts
                        )
            finally:
                target.close()
        with suppress(OSError):
            folder.rmdir()
        staging.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return ExportReport(folder, catalogue.count(), vectors, catalogue.models(), regions)


def _copy(catalogue: Catalogue, source: VectorStore, target: VectorStore, each: int = 1) -> int:
    """Copy the vectors of one space, of which a picture has so many; return how many."""
    done: list[int] = []
    try:
        every = source.ids()
        for start in range(0, len(every), _AT_ONCE):
            some = every[start : start + _AT_ONCE]
            pictures = catalogue.pictures_by_id(list({id_ // each for id_ in some}))
            ids = [id_ for id_ in some if id_ // each in pictures]
            done += ids
            categories = [{"category": pictures[id_ // each].category} for id_ in ids]
            target.upsert(ids, source.get(ids), categories)
        target.optimise()
    except BaseException:
        with suppress(Exception):
            target.remove(done)
        raise
    return len(done)


def _pictures(catalogue: Catalogue, store: VectorStore) -> Iterator[list[Picture]]:
    """Yield the pictures that have a vector, some at a time, by rising id."""
    ids = store.ids()
    for start in range(0, len(ids), _AT_ONCE):
        found = catalogue.pictures_by_id(ids[start : start + _AT_ONCE])
        if found:
            yield [found[picture_id] for picture_id in sorted(found)]


def is_file(out: str | os.PathLike[str]) -> bool:
    """Return whether a collection is to be exported to a Parquet file, and not to a folder.

    Raises
    ------
    OutputError
        If it is a file of another kind.
    """
    suffix = Path(out).suffix.lower()
    if suffix in (".npz", ".csv", ".json", ".jsonl"):
        raise OutputError(
            f"{out}: collections are exported to a .parquet file, or to a folder. Change the name."
        )
    return suffix == ".parquet"
