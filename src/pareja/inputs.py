"""What a user may give: pictures, datasets and texts, one or many, for all callers alike."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast
from zipfile import is_zipfile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pareja.data_urls import is_data_url, read_data_url
from pareja.datasets.bundled import BUNDLED
from pareja.datasets.formats import load_dataset, only_split
from pareja.datasets.formats.archives import ZipTree
from pareja.datasets.formats.folders import FileSource, FolderTree, is_picture
from pareja.datasets.formats.remote import RemoteSource, is_remote
from pareja.datasets.images import MAX_FILE_BYTES, as_png, image_size
from pareja.datasets.records import Dataset, Record, Source
from pareja.encoders.bases import is_list, one_or_many
from pareja.errors import DatasetError, ImageError, InputError
from pareja.names import printable

Picture: TypeAlias = (
    "str | os.PathLike[str] | bytes | Image.Image | NDArray[np.uint8] | BinaryIO | Record | Source"
)
"""One picture: a file, its bytes, an open file, pixels, or a dataset's record."""

Pictures: TypeAlias = "Picture | Dataset | Iterable[Picture | Dataset]"
"""One picture or many: folders, patterns, datasets and their names are many."""

_TAKEN = (
    "a path, a dataset's name, bytes, an open file, a PIL image, a uint8 array (height, width, 3), "
    "a record or a dataset"
)


@dataclass(frozen=True)
class BytesSource:
    """A picture whose file is in memory.

    Parameters
    ----------
    name
        How messages call it.
    content
        The encoded picture.
    """

    name: str
    content: bytes

    def __str__(self) -> str:
        return self.name

    def read(self) -> bytes:
        """Return the encoded picture."""
        return self.content


@dataclass(frozen=True, eq=False)
class ImageSource:
    """A picture that Pillow has opened or made.

    Parameters
    ----------
    name
        How messages call it.
    image
        In any mode.
    """

    name: str
    image: Image.Image

    def __str__(self) -> str:
        return self.name

    def read(self) -> bytes:
        """Return the picture as a PNG, or raise `ImageError`."""
        return as_png(self.image, self.name)


@dataclass(frozen=True)
class Given:
    """The pictures that a user gave.

    Parameters
    ----------
    dataset
        One record for each picture, in the order given and sorted by name within a folder. Of one
        place (a folder, an archive, a dataset) the records have the names that they have there, of
        several the names begin with the place. No two records have the same name.
    one
        Whether one picture was given, and not a list or a place that holds pictures.
    places
        The absolute path of each picture's file, or of its archive followed by its name in there;
        the same as its name for a picture that is in no file.
    skipped
        ``(name, reason)`` of pictures that are part of what was given and that nobody can read: a
        row of the metadata without its file, a link that leads out of its folder.
    """

    dataset: Dataset
    one: bool
    places: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where the pictures are."""
        return tuple(record.source for record in self.dataset)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The pictures' names, with forward slashes and what is no Unicode replaced."""
        return _names(self.dataset)


def find_pictures(
    given: Pictures, parameter: str = "pictures", *, split: str | None = None
) -> Given:
    """Find out which pictures are meant; none is decoded.

    Parameters
    ----------
    given
        One of these, or any iterable of them, mixed:

        - the path of a picture, ``~`` allowed,
        - a pattern with ``*``, ``**``, ``?`` or ``[...]``, as in ``"photos/**/*.jpg"``,
        - a folder: every picture in it and below, described by its metadata where it has some,
        - a bundled dataset's name, or anything else that `pareja.load_dataset` reads,
        - the bytes of a picture file, a data URL of them, or a file opened in binary mode,
        - a PIL image of any mode, or pixels: uint8 of shape ``(height, width, 3)``,
        - a record, or a dataset.
    parameter
        What errors call it.
    split
        Of a dataset only this part, as ``test``.

    Raises
    ------
    InputError
        If something else was given; the message says where, and what it takes.
    ImageError
        If a data URL holds no picture.
    DatasetError
        If there is nothing at a place, no pictures, or nothing was given at all.
    """
    items = _several(given, parameter)
    if items is None:
        parts = [_part(cast(Any, given), parameter, "picture", split)]
    else:
        parts = [
            _part(item, f"{parameter}[{position}]", f"picture-{position}", split)
            for position, item in enumerate(items)
        ]
    if not parts:
        raise DatasetError(f"{parameter} is empty: there are no pictures. Give at least one.")
    if split is not None and any(part.place is None for part in parts):
        raise DatasetError(
            f"split is {split!r}, and {parameter} names single pictures, which have no splits. "
            "Give a dataset."
        )
    skipped = tuple(pair for part in parts for pair in part.skipped)
    place = parts[0].place
    if len(parts) == 1 and place is not None:
        dataset = replace(place, records=_distinct(parts[0].records))
    else:
        records = _distinct(record for part in parts for record in part.named())
        name = records[0].file_name if len(records) == 1 else f"{len(records)} pictures"
        dataset = Dataset(name, records, name)
    if not len(dataset):
        name, reason = skipped[0] if skipped else (dataset.name, "holds no pictures")
        raise DatasetError(f"{dataset.name}: there are no pictures. {name} {reason}.")
    places = [part.place_of(record) for part in parts for record in part.records]
    return Given(
        dataset=dataset,
        one=items is None and parts[0].single,
        places=tuple(place or name for place, name in zip(places, _names(dataset), strict=True)),
        skipped=skipped,
    )


def find_dataset(given: Pictures, parameter: str = "data") -> Dataset:
    """Return the dataset that is meant, with what its metadata says of the pictures.

    Parameters
    ----------
    given
        A dataset, its name or place (whatever `pareja.load_dataset` reads), or what
        `find_pictures` takes, which may have neither captions nor labels.
    parameter
        What errors call it.

    Raises
    ------
    InputError
        If something else was given.
    DatasetError
        If there is no dataset, or it cannot be read.
    """
    if isinstance(given, Dataset):
        return given
    if isinstance(given, str | os.PathLike) and (
        is_remote(given) or not _is_one_picture(Path(given).expanduser())
    ):
        return load_dataset(os.fspath(given))
    return find_pictures(given, parameter).dataset


def find_texts(given: str | Iterable[str], parameter: str = "texts") -> tuple[list[str], bool]:
    """Return the texts, and whether one was given and not a list.

    Parameters
    ----------
    given
        One text, or any iterable of texts.
    parameter
        What errors call it.

    Raises
    ------
    InputError
        If there is none, or something else was given, as a picture in a data URL, whose letters
        would get a vector that means nothing. The message says where.
    """
    texts, one = one_or_many(given, str, parameter, "text")
    if not texts:
        raise InputError(f"{parameter} is empty. Give at least one text.")
    for position, text in enumerate(texts):
        if is_data_url(text):
            where = parameter if one else f"{parameter}[{position}]"
            raise InputError(f"{where} is a data URL: a picture, and no words. Embed it as one.")
    return [str(text) for text in texts], one


def within(parameter: str, value: float, least: float, most: float) -> float:
    """Return a number that lies between two others, both allowed.

    Raises
    ------
    InputError
        If it lies outside, or is no number: nothing is above or below NaN, so that a threshold of
        NaN would refuse or keep everything.
    """
    if not isinstance(value, Real) or not least <= value <= most:
        raise InputError(f"`{parameter}` is {value!r}. Give a number in [{least}, {most}].")
    return float(value)


def one_of(parameter: str, value: object, choices: Iterable[str]) -> None:
    """Raise `InputError` unless a word is one of those that a parameter takes."""
    known = list(choices)
    if value not in known:
        listed = ", ".join(map(repr, known[:-1]))
        raise InputError(f"`{parameter}` is {value!r}. Give {listed} or {known[-1]!r}.")


@dataclass(frozen=True)
class _Part:
    """What one of the things that were given stands for."""

    records: tuple[Record, ...]
    single: bool = False
    place: Dataset | None = None
    prefix: str = ""
    skipped: tuple[tuple[str, str], ...] = ()

    def named(self) -> Iterator[Record]:
        """Yield the records, with their place before their names."""
        for record in self.records:
            name = f"{self.prefix}/{record.file_name}" if self.prefix else record.file_name
            yield replace(record, file_name=name)

    def place_of(self, record: Record) -> str:
        """Return where a record's picture is; nothing where it is in no file."""
        if isinstance(record.source, FileSource):
            place = os.path.abspath(record.source.path)  # noqa: PTH100  Path.resolve follows links
            return printable(Path(place).as_posix())
        if isinstance(record.source, RemoteSource):
            return str(record.source)
        if self.place is not None and Path(self.place.location).is_file():
            return printable(
                f"{Path(self.place.location).absolute().as_posix()}/{record.file_name}"
            )
        return ""


def _several(given: object, parameter: str) -> list[object] | None:
    """Return the things in a list of them; None for one thing."""
    if isinstance(given, np.ndarray) and given.dtype.kind in "buif" and given.ndim in (2, 3):
        return None
    if isinstance(given, Mapping | AbstractSet):
        raise InputError(f"{parameter} is {_kind(given)}, which has no order. Give a list.")
    if isinstance(given, Dataset) or not is_list(given):
        return None
    return list(cast(Iterable[object], given))


def _reads(given: object) -> bool:
    return callable(getattr(given, "read", None))


def _part(given: object, where: str, name: str, split: str | None) -> _Part:
    """Return what one thing stands for."""
    if isinstance(given, str) and is_data_url(given):
        return _Part((Record(name, BytesSource(name, read_data_url(given, where))),), single=True)
    if isinstance(given, str | os.PathLike):
        return _from_path(given, where, split)
    if isinstance(given, Dataset):
        part = given if split is None else only_split(given, split)
        return _Part(part.records, place=part, prefix=part.name)
    if isinstance(given, Record):
        return _Part((given,), single=True)
    if isinstance(given, Image.Image):
        opened = getattr(given, "filename", "")
        name = printable(Path(opened).name) if isinstance(opened, str) and opened else name
        return _Part((Record(name, ImageSource(name, given)),), single=True)
    if isinstance(given, bytes | bytearray | memoryview):
        return _Part((Record(name, BytesSource(name, bytes(given))),), single=True)
    if isinstance(given, np.ndarray):
        image = ImageSource(name, _painted(given, where))
        return _Part((Record(name, image),), single=True)
    if _reads(given):
        return _Part((_from_stream(cast(Any, given), where, name),), single=True)
    raise InputError(f"{where} is {_kind(given)}. Give {_TAKEN}.")


def _from_path(given: str | os.PathLike[str], where: str, split: str | None) -> _Part:
    text = os.fspath(given)
    if not isinstance(text, str) or not text:
        raise InputError(f"{where} is {given!r}, which names nothing. Give {_TAKEN}.")
    if not is_remote(given) and (text not in BUNDLED or not isinstance(given, str)):
        try:
            path = Path(text).expanduser()
            if _is_one_picture(path):
                return _Part((_from_file(path),), single=True)
            if not path.exists() and glob.has_magic(text):
                return _Part(tuple(map(_from_file, _matches(str(path)))))
        except (OSError, ValueError, RuntimeError) as error:
            # a name that is too long, a folder that may not be searched, ~nobody without a home
            raise DatasetError(f"{printable(text)} cannot be read: {error}.") from error
    return _from_place(given if isinstance(given, str) else Path(given), split)


def _is_one_picture(path: Path) -> bool:
    """Return whether a path is that of a picture, there or not, and not that of many."""
    if is_picture(path.name):
        return not path.is_dir() and not (glob.has_magic(path.name) and not path.exists())
    if not path.is_file():
        return False
    try:
        image_size(path, max_pixels=2**62)
    except ImageError:
        return False
    return True


def _from_file(path: Path) -> Record:
    return Record(printable(path.as_posix()), FileSource(path.absolute()))


def _matches(pattern: str) -> list[Path]:
    found = sorted(map(Path, glob.glob(pattern, recursive=True)))  # noqa: PTH207  Path.glob takes no absolute patterns
    pictures = [match for match in found if match.is_file() and is_picture(match.name)]
    if not pictures:
        raise DatasetError(
            f"no picture matches {pattern!r}. Check the pattern; ** stands for any folders."
        )
    return pictures


def _from_place(location: str | Path, split: str | None) -> _Part:
    """Return every picture of a dataset, described or not."""
    dataset = load_dataset(location, split=split, on_missing="keep")
    skipped = list(dataset.skipped)
    unlisted: list[Record] = []
    root = Path(dataset.location)
    if root.is_dir():
        tree = FolderTree(root)
        unlisted = [Record(printable(name), tree.source(name)) for name in dataset.unlisted]
        skipped += [(name, why) for name, why in tree.refused.items() if is_picture(name)]
    # Who gives a file that lists pictures means these, and not what else lies beside them.
    elif dataset.unlisted and is_zipfile(root):
        archive = ZipTree(root)
        unlisted = [Record(name, archive.source(name)) for name in dataset.unlisted]
    return _Part(
        (*dataset.records, *unlisted),
        place=dataset,
        prefix=printable(str(location)).rstrip("/"),
        skipped=tuple((printable(name), reason) for name, reason in skipped),
    )


def _painted(pixels: NDArray[Any], where: str) -> Image.Image:
    fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if pixels.dtype != np.uint8 or not fits or 0 in pixels.shape:
        raise InputError(
            f"{where} is a {pixels.dtype} array of shape {pixels.shape}. Give pixels as uint8 in "
            "[0, 255], of shape (height, width, 3)."
        )
    return Image.fromarray(pixels)


def _from_stream(given: Any, where: str, name: str) -> Record:
    """Return an open file, which is read now, or the source of a record, which is not."""
    if not hasattr(given, "readable"):
        return Record(printable(str(given)), cast(Source, given))
    content = given.read(MAX_FILE_BYTES + 1)
    if not isinstance(content, bytes):
        raise InputError(
            f"{where} is a file that gives {type(content).__name__}. Open it in binary mode."
        )
    known = getattr(given, "name", "")
    name = printable(Path(known).name) if isinstance(known, str) and known else name
    return Record(name, BytesSource(name, content))


def _names(dataset: Dataset) -> tuple[str, ...]:
    return tuple(record.file_name for record in dataset)


def _distinct(records: Iterable[Record]) -> tuple[Record, ...]:
    """Give the second of two records with one name a number."""
    taken: dict[str, int] = {}
    found = []
    for record in records:
        count = taken[record.file_name] = taken.get(record.file_name, 0) + 1
        name = record.file_name if count == 1 else f"{record.file_name} ({count})"
        found.append(record if count == 1 else replace(record, file_name=name))
    return tuple(found)


def _kind(given: object) -> str:
    return "None" if given is None else f"of type {type(given).__name__}"
