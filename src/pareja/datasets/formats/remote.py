"""Datasets on storage that fsspec reaches by a URL, as ``s3://bucket/pictures``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, TypeGuard

from pareja.addresses import is_url
from pareja.datasets.formats.described import read_tree
from pareja.datasets.formats.folders import is_hidden, relative_name, sifted, too_large
from pareja.datasets.formats.hub import HUB_SCHEME
from pareja.datasets.formats.reading import Reading
from pareja.datasets.images import MAX_FILE_BYTES
from pareja.datasets.records import Dataset, Record
from pareja.errors import DatasetError, ImageError, MachineError, MissingDependencyError
from pareja.names import printable

# What S3 calls a refusal that is of the keys, and not of one file.
_OF_KEYS = {
    "AccountProblem",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidSecurity",
    "NotSignedUp",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
}


def is_remote(location: object) -> TypeGuard[str]:
    """Return whether a place is named by a URL that fsspec reads.

    Examples
    --------
    >>> is_remote("s3://bucket/pictures"), is_remote("hf://owner/name"), is_remote("C:/pictures")
    (True, False, False)
    """
    return (
        isinstance(location, str)
        and "://" in location
        and is_url(location)
        and not location.startswith(HUB_SCHEME)
    )


@dataclass(frozen=True)
class RemoteSource:
    """A picture in a file on other storage.

    Parameters
    ----------
    url
        The file.
    size
        Its bytes, as the storage lists them.
    """

    url: str
    size: int

    def __str__(self) -> str:
        return printable(self.url)

    def read(self) -> bytes:
        """Return the file's bytes, or raise `ImageError`; `MachineError` if nobody answers."""
        if self.size > MAX_FILE_BYTES:
            raise ImageError(self, too_large(self.size))
        try:
            with _answering(self.url):
                storage, path = _storage(self.url)
                content: bytes = storage.cat_file(path)
        except DatasetError as error:
            raise ImageError(self, str(error).removeprefix(f"{self}: ").rstrip(".")) from error
        return content


class RemoteTree:
    """The files below a URL: a `Tree`.

    Parameters
    ----------
    url
        The folder.

    Raises
    ------
    DatasetError
        If there are no files.
    MachineError
        If the storage does not answer.
    MissingDependencyError
        If ``fsspec``, or what it needs for this storage, is not installed.
    """

    def __init__(self, url: str) -> None:
        with _answering(url):
            storage, root = _storage(url)
            listed = storage.find(root, detail=True)
        # For messages alone: on this machine there is no such path.
        self.location = Path(root)
        self.refused: Mapping[str, str] = MappingProxyType({})
        self.closed: Mapping[str, str] = MappingProxyType({})
        self._sources: dict[str, RemoteSource] = {}
        for path, about in sorted(listed.items()):
            name = path.removeprefix(root).lstrip("/") or PurePosixPath(path).name
            try:
                name = relative_name(printable(name))
            except ValueError as error:
                raise DatasetError(f"{url}: the file {name!r} {error}.") from error
            if not is_hidden(name):
                source = RemoteSource(storage.unstrip_protocol(path), about.get("size") or 0)
                self._sources[name] = source
        if not self._sources:
            raise DatasetError(f"{printable(url)}: there are no files. Check the address.")
        self.names, self.left_out = sifted(list(self._sources))

    def read(self, name: str) -> bytes:
        """Return a file's bytes, or raise `DatasetError`."""
        return self._sources[name].read()

    def source(self, name: str) -> RemoteSource:
        """Return where a picture's bytes are."""
        return self._sources[name]


def read_remote(tree: RemoteTree, url: str) -> Dataset:
    """Read a folder of pictures, described as in any folder or not.

    Parameters
    ----------
    tree
        The files.
    url
        How it was named.

    Raises
    ------
    DatasetError
        If there are no pictures.
    MetadataError
        If what is written about them is wrong.
    """
    dataset = read_tree(tree, printable(url).rstrip("/"), Reading("error"))
    unlisted = [Record(printable(name), tree.source(name)) for name in dataset.unlisted]
    return replace(dataset, records=(*dataset.records, *unlisted), unlisted=(), location=url)


@contextmanager
def fetched(url: str) -> Iterator[Path]:
    """Copy a file to this machine's disk for as long as the block runs.

    Raises
    ------
    DatasetError
        If there is no such file, or it may not be read.
    MachineError
        If the storage does not answer, or the disk is full.
    """
    with TemporaryDirectory(prefix="pareja-") as folder:
        # The folder's name may be that of a split.
        above, name = ("in", *PurePosixPath(url).parts)[-2:]
        path = Path(folder, above.replace(":", ""), name)
        path.parent.mkdir(exist_ok=True)
        with _answering(url):
            storage, place = _storage(url)
            storage.get_file(place, str(path))
        yield path


def _storage(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it."""
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingDependencyError("fsspec", f"to read {printable(url)}", "cluster") from error
    storage, path = url_to_fs(url)
    return storage, str(path)


@contextmanager
def _answering(url: str) -> Iterator[None]:
    """Tell what is wrong with a file from what is wrong with the way to it."""
    shown = printable(url)
    try:
        yield
    except (DatasetError, MachineError, MissingDependencyError):
        raise
    except FileNotFoundError as error:
        raise DatasetError(f"{shown}: does not exist.") from error
    except PermissionError as error:
        answer = getattr(error.__cause__, "response", {})
        if answer.get("Error", {}).get("Code") in _OF_KEYS:
            # They may have run out after hours, and no picture is to be given up for that.
            reason = f"the storage refuses the keys: {error}".rstrip(".")
            raise MachineError(shown, f"{reason}. Give it others") from error
        raise DatasetError(f"{shown}: may not be read.") from error
    except (ImportError, ValueError) as error:
        # A protocol that nobody has, or whose package is missing.
        raise DatasetError(f"{shown} cannot be read: {error}".rstrip(".") + ".") from error
    except Exception as error:
        # Each storage has errors of its own, and a picture is not to be given up for them.
        raise MachineError(shown, f"the storage does not answer as it should: {error}") from error
