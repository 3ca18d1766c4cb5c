"""Embeddings in a file: Parquet or NumPy, with the space they lie in written beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pareja.encoders.protocols import Embeddings, Fingerprint
from pareja.errors import (
    DatasetError,
    MissingDependencyError,
    OutputError,
)
from pareja.files import open_regular, staged_file

KEY = "pareja.fingerprint"
"""Where a Parquet file's metadata has the space, as `space_to_json` writes it."""

ROW_GROUP = 1024
"""Rows of a row group of a Parquet file."""


@dataclass(frozen=True)
class Rows:
    """Some rows of such a file.

    Parameters
    ----------
    names
        The pictures' names.
    digests
        SHA-256 of their bytes, hexadecimal.
    embeddings
        ``(n, dim)``.
    further
        Further columns of a Parquet file, by name: texts, numbers, or dictionaries of lists of
        numbers. A text may be None.
    """

    names: list[str]
    digests: list[str]
    embeddings: Embeddings
    further: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Stored(Rows):
    """A whole file, as `read_rows` returns it.

    Parameters
    ----------
    space
        Where the embeddings lie.
    """

    space: Fingerprint


Writer = Callable[[BinaryIO, Iterable[Rows], Fingerprint, int], None]


def writer_for(path: Path | str) -> Writer:
    """Return what writes a file of that name: a function of stream, rows, fingerprint and dim.

    Raises
    ------
    OutputError
        If the name ends neither in ``.parquet`` nor in ``.npz``.
    MissingDependencyError
        If ``pyarrow`` is needed and not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".npz":
        return _write_npz
    if suffix != ".parquet":
        raise OutputError(f"{path}: embeddings are written as .parquet or .npz. Change the ending.")
    require_pyarrow("to write Parquet files (.npz needs nothing)")
    return _write_parquet


def beside(places: Iterable[str], folder: Path) -> list[str]:
    """Return names that hold in a file in `folder`: relative where a picture lies below.

    Elsewhere they stay absolute, since names that lead out of a folder are refused when a dataset
    is read.
    """
    below = f"{folder.as_posix().rstrip('/')}/"
    return [place.removeprefix(below) for place in places]


def write_rows(path: Path | str, rows: Rows, space: Fingerprint, *, force: bool = False) -> Path:
    """Write a whole file at once; return its absolute path.

    Raises
    ------
    OutputError
        If it has another ending than `writer_for` takes, exists and `force` is off, or cannot be
        written.
    MissingDependencyError
        If ``pyarrow`` is needed and not installed.
    """
    write = writer_for(path)
    with staged_file(path, force=force) as stream:
        write(stream, [rows], space, rows.embeddings.shape[1])
    return Path(path).absolute()


def read_rows(path: Path | str) -> Stored:
    """Read a whole file.

    Raises
    ------
    DatasetError
        If it cannot be read, or is no such file.
    MissingDependencyError
        If ``pyarrow`` is needed and not installed.
    """
    read = _read_npz if Path(path).suffix.lower() == ".npz" else _read_parquet
    try:
        with open_regular(path):
            return read(Path(path))
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}.") from error
    except MemoryError as error:
        raise DatasetError(
            f"{path} claims to hold more than fits into memory. It is damaged, or too large for "
            "this machine."
        ) from error
    except Exception as error:  # whoever made the file may have written anything into it
        raise DatasetError(
            f"{path} holds no embeddings as 'pareja embed' writes them: {error}. Write it anew."
        ) from error


def _write_parquet(
    stream: BinaryIO, rows: Iterable[Rows], fingerprint: Fingerprint, dim: int
) -> None:
    import pyarrow
    import pyarrow.parquet

    groups = _regrouped(rows, dim)
    first = next(groups, Rows([], [], _no_rows(dim)))
    schema = pyarrow.schema(
        [
            ("file_name", pyarrow.string()),
            ("sha256", pyarrow.string()),
            ("embedding", pyarrow.list_(pyarrow.float32(), dim)),
            *(
                (name, pyarrow.string() if _is_text(values) else pyarrow.array(values[:1]).type)
                for name, values in first.further.items()
            ),
        ],
        metadata={KEY: space_to_json(fingerprint)},
    )
    with pyarrow.parquet.ParquetWriter(
        stream, schema, compression="none", use_dictionary=False, write_page_checksum=True
    ) as writer:
        for group in chain([first], groups):
            vectors = pyarrow.FixedSizeListArray.from_arrays(group.embeddings.ravel(), dim)
            columns = [group.names, group.digests, vectors, *group.further.values()]
            writer.write_table(pyarrow.table(columns, schema=schema), row_group_size=ROW_GROUP)


def _is_text(values: Sequence[Any]) -> bool:
    return not values or values[0] is None or isinstance(values[0], str)


def _write_npz(stream: BinaryIO, rows: Iterable[Rows], fingerprint: Fingerprint, dim: int) -> None:
    every = list(rows)
    np.savez(
        stream,
        file_name=np.array([name for some in every for name in some.names], np.str_),
        sha256=np.array([digest for some in every for digest in some.digests], np.str_),
        embedding=np.concatenate([_no_rows(dim), *(some.embeddings for some in every)]),
        fingerprint=np.array(space_to_json(fingerprint)),
    )


def _read_parquet(path: Path) -> Stored:
    require_pyarrow("to read Parquet files")
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path, page_checksum_verification=True)
    # In a shard, pictures that failed have none.
    table = table.filter(table["embedding"].is_valid())
    written = (table.schema.metadata or {})[KEY.encode()]
    vectors = table["embedding"].combine_chunks()
    dim = vectors.type.list_size
    return Stored(
        names=table["file_name"].to_pylist(),
        digests=table["sha256"].to_pylist(),
        embeddings=vectors.flatten().to_numpy().reshape(-1, dim),
        space=space_from_json(written),
    )


def _read_npz(path: Path) -> Stored:
    with np.load(path, allow_pickle=False) as arrays:
        return Stored(
            names=arrays["file_name"].tolist(),
            digests=arrays["sha256"].tolist(),
            embeddings=arrays["embedding"],
            space=space_from_json(str(arrays["fingerprint"])),
        )


def _regrouped(rows: Iterable[Rows], dim: int) -> Iterator[Rows]:
    """Yield the same rows in groups of one size, so that the file does not tell how they came."""
    kept = Rows([], [], _no_rows(dim))
    for some in rows:
        kept = Rows(
            kept.names + some.names,
            kept.digests + some.digests,
            np.concatenate([kept.embeddings, some.embeddings]),
            {name: [*kept.further.get(name, ()), *more] for name, more in some.further.items()},
        )
        if len(kept.names) >= ROW_GROUP:
            yield _part(kept, slice(None, ROW_GROUP))
            kept = _part(kept, slice(ROW_GROUP, None))
    if kept.names:
        yield kept


def _part(rows: Rows, which: slice) -> Rows:
    further = {name: values[which] for name, values in rows.further.items()}
    return Rows(rows.names[which], rows.digests[which], rows.embeddings[which], further)


def _no_rows(dim: int) -> Embeddings:
    return np.empty((0, dim), np.float32)


def space_to_json(fingerprint: Fingerprint) -> str:
    """Return a fingerprint as JSON, with all its fields."""
    return json.dumps(asdict(fingerprint), sort_keys=True, ensure_ascii=False)


def space_from_json(text: str | bytes) -> Fingerprint:
    """Return the fingerprint that `space_to_json` wrote."""
    return Fingerprint(**json.loads(text))


def require_pyarrow(purpose: str) -> None:
    """Raise `MissingDependencyError` where ``pyarrow`` is not installed.

    Parameters
    ----------
    purpose
        What it is needed for, as in "to read Parquet files".
    """
    try:
        import pyarrow.parquet  # noqa: F401  only whether it is there
    except ImportError as error:
        raise MissingDependencyError("pyarrow", purpose, "parquet") from error
