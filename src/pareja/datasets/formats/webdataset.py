"""WebDataset: tar files in which the files of one sample share a name up to its first dot."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import Path

from pareja.addresses import leads_out
from pareja.datasets.formats.class_names import CLASS_FILES, names_beside, with_class_names
from pareja.datasets.formats.encodings import decode_text
from pareja.datasets.formats.folders import (
    PICTURE_SUFFIXES,
    is_hidden,
    relative_name,
    too_large,
)
from pareja.datasets.formats.metadata import parse_json
from pareja.datasets.formats.places import split_in_file_name, split_named
from pareja.datasets.formats.reading import Reading
from pareja.datasets.formats.rows import (
    Row,
    canonical_columns,
    caption_lines,
    record_from,
    with_split,
)
from pareja.datasets.formats.sidecars import merge_cells
from pareja.datasets.images import MAX_FILE_BYTES
from pareja.datasets.records import Dataset, Record
from pareja.errors import DatasetError, ImageError, MetadataError
from pareja.names import printable
from pareja.shortages import naming_shortages

_TEXT_COLUMNS = {"txt": "caption", "text": "caption", "caption": "caption", "cls": "label"}

_TEXT_BYTES_LIMIT = 2**24

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass(frozen=True)
class TarSource:
    """A picture in a tar that is not compressed.

    Parameters
    ----------
    archive
        The tar.
    name
        The member, for messages.
    offset, size
        Where its bytes are, and how many.
    """

    archive: Path
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.archive}/{self.name}"

    def read(self) -> bytes:
        """Return the member's bytes, or raise `ImageError`."""
        if self.size > MAX_FILE_BYTES:
            raise ImageError(self, too_large(self.size))
        try:
            with naming_shortages(self), self.archive.open("rb") as stream:
                stream.seek(self.offset)
                content = stream.read(self.size)
        except OSError as error:
            raise ImageError(self, f"cannot be read: {error.strerror or error}") from error
        if len(content) < self.size:
            raise ImageError(self, "is cut short: the archive ends before it")
        return content


@dataclass
class _Sample:
    """The files of one sample, as far as they have a meaning here."""

    where: str
    picture: TarSource | None = None
    cells: dict[str, object] = field(default_factory=dict)


def shards_of(pattern: Path) -> tuple[Path, ...]:
    """Return the shards that a path names.

    Parameters
    ----------
    pattern
        A tar, a folder of tars and of folders of them, or a pattern with ranges, as
        ``shard-{000..003}.tar``.

    Raises
    ------
    DatasetError
        If a shard that the pattern names is not there, or the range runs backwards.
    """
    if pattern.is_dir():
        found = sorted(path for path in pattern.rglob("*") if path.suffix.lower() == ".tar")
        for shard in found:
            if leads_out(shard, pattern):
                raise DatasetError(
                    f"{shard} is a link that leads out of {pattern}. Copy the shard."
                )
        return tuple(found)
    if pattern.is_file():
        return (pattern,)
    text = str(pattern)
    ranges = []
    for first, last in _RANGE.findall(text):
        numbers = range(int(first), int(last) + 1)
        if not 0 < len(numbers) <= 100_000:
            raise DatasetError(f"{pattern}: the range {first}..{last} is empty or too long.")
        ranges.append([str(number).zfill(len(first)) for number in numbers])
    shards = tuple(_filled(text, numbers) for numbers in product(*ranges))
    absent = [shard for shard in shards if not shard.is_file()]
    if absent:
        raise DatasetError(
            f"{absent[0]} does not exist, which {pattern} names; "
            f"{len(shards) - len(absent)} of {len(shards)} shards are there."
        )
    return shards


def read_webdataset(
    location: Path, name: str, reading: Reading, limit: int | None = None
) -> Dataset:
    """Read WebDataset shards.

    Of each sample the first picture counts, with its captions (the lines of ``txt``, ``text`` or
    ``caption``), its label (``cls``), and the columns of its ``json``. A number as label has its
    name from ``classnames.txt`` beside the shards or above them. The tars' headers and texts are
    read once; pictures are read from the tars when they are needed.

    Parameters
    ----------
    location
        A tar, a folder of tars and of folders of them, or a pattern with ranges, as
        ``shard-{000..003}.tar``.
    name
        The dataset's name.
    reading
        Takes note of samples without a picture, and of those whose texts are wrong.
    limit
        Stop after so many pictures.

    Raises
    ------
    DatasetError
        If a tar is damaged, compressed, or holds no pictures.
    MetadataError
        If a sample's texts are wrong, unless `reading` keeps that.
    """
    shards = shards_of(location)
    records = list(islice(_records(shards, location, reading), limit))
    if not records and not reading.missing and not reading.notes:
        raise DatasetError(f"{location} holds no samples with pictures.")
    folders = {parent for shard in shards for parent in (shard.parent, shard.parent.parent)}
    class_files = {
        str(path): path.read_bytes()
        for folder in sorted(folders)
        for path in folder.iterdir()
        if path.name.lower() in CLASS_FILES and path.is_file() and not leads_out(path, folder)
    }
    names, _ = names_beside(class_files)
    records = with_class_names(records, names, reading)
    return Dataset(
        name,
        tuple(records),
        location,
        missing=tuple(reading.missing),
        notes=tuple(reading.notes),
    )


def _filled(pattern: str, numbers: Sequence[str]) -> Path:
    """Return the pattern with one number in place of each range."""
    remaining = iter(numbers)
    return Path(_RANGE.sub(lambda _: next(remaining), pattern))


def _records(shards: Sequence[Path], location: Path, reading: Reading) -> Iterator[Record]:
    """Yield the records of all shards; note the samples without a picture."""
    for shard in shards:
        split = split_in_file_name(shard.name) or split_named(shard.parent.name)
        # keys are unique in their shard only
        above = location if location.is_dir() else shard.parent
        prefix = f"{shard.relative_to(above).with_suffix('').as_posix()}/"
        for key, sample in _samples(shard, reading).items():
            if sample.picture is None:
                reading.lacks(
                    sample.where,
                    key,
                    MetadataError(
                        f"{sample.where}: has no picture; the name up to its first dot counts. Add "
                        "it to the shard, or remove the sample. 'pareja check' lists all of them."
                    ),
                )
                continue
            file_name = (prefix if len(shards) > 1 else "") + sample.picture.name
            try:
                row = with_split(Row(sample.where, sample.cells), split)
                yield record_from(row, file_name, sample.picture)
            except MetadataError as error:
                reading.refuse(error)


def _samples(shard: Path, reading: Reading) -> Mapping[str, _Sample]:
    """Return the samples of one shard by their keys."""
    members: dict[str, list[TarSource]] = {}
    size = shard.stat().st_size
    try:
        # "r:" refuses compressed tars: one cannot read from the middle of them
        with tarfile.open(shard, "r:") as tar, shard.open("rb") as stream:
            for member in tar:
                name = _checked_name(shard, member, size)
                if name is None:
                    continue
                source = TarSource(shard, name, member.offset_data, member.size)
                members.setdefault(_key(name, ".")[0], []).append(source)
            # tarfile takes a damaged header for the end
            stream.seek(tar.offset)
            if stream.read(tarfile.BLOCKSIZE).strip(b"\0"):
                raise tarfile.ReadError(f"damaged header at byte {tar.offset}")
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise DatasetError(
            f"{shard} is no tar, or a compressed or damaged one: {error}. "
            "Decompress it, or make or download it again."
        ) from error
    samples: dict[str, _Sample] = {}
    with_dots: list[str] = []
    for sources in members.values():
        has_picture = any(_is_picture(_key(source.name, ".")[1]) for source in sources)
        dotted = not has_picture and any(
            _is_picture(_key(source.name, "last")[1]) for source in sources
        )
        if dotted:
            with_dots += [s.name for s in sources if _is_picture(_key(s.name, "last")[1])]
        for source in sources:
            key, ending = _key(source.name, "last" if dotted else ".")
            sample = samples.setdefault(key, _Sample(f"{shard.name}:{key}"))
            try:
                _add(sample, source, ending)
            except MetadataError as error:
                reading.refuse(error)
    if with_dots:
        reading.note(
            "names_with_dots",
            shard.name,
            f"Pictures with dots in their names, as {with_dots[0]!r}: {len(with_dots)}. The key of "
            "their samples is the name up to its last dot, since up to the first they would have "
            "no picture; other programs take the first. Rename the members to be safe.",
        )
    return samples


def _key(name: str, dot: str) -> tuple[str, str]:
    """Return key and ending of a member, parted at the first or the last dot of its name."""
    folder, _, base = name.rpartition("/")
    stem, _, ending = base.rpartition(".") if dot == "last" else base.partition(".")
    return (f"{folder}/{stem}" if folder else stem), ending


def _is_picture(ending: str) -> bool:
    return f".{ending.lower()}" in PICTURE_SUFFIXES


def _checked_name(shard: Path, member: tarfile.TarInfo, size: int) -> str | None:
    """Return a member's name; None if it is no file that counts."""
    try:
        name = relative_name(printable(member.name))
    except ValueError as error:
        if member.isdir():
            return None
        raise DatasetError(f"{shard}: member {member.name!r} {error}.") from error
    if not member.isfile() or member.issparse() or is_hidden(name):
        return None
    if member.offset_data + member.size > size:
        raise DatasetError(
            f"{shard} is cut short: it ends before member {name!r} does. Download it again."
        )
    return name


def _add(sample: _Sample, source: TarSource, ending: str) -> None:
    """Add a file to its sample if it has a meaning."""
    ending = ending.lower()
    if _is_picture(ending):
        sample.picture = sample.picture or source
        return
    if ending not in _TEXT_COLUMNS and ending != "json":
        return
    where = f"{sample.where}.{ending}"
    if source.size > _TEXT_BYTES_LIMIT:
        raise MetadataError(f"{where}: has {source.size:,} bytes, too many for a text.")
    text = decode_text(source.read())
    if ending != "json":
        column = _TEXT_COLUMNS[ending]
        added: object = caption_lines(text) if column == "caption" else text.strip()
        merge_cells(sample.cells, {column: added})
        return
    values = parse_json(where, text)
    if not isinstance(values, dict):
        raise MetadataError(f"{where}: is no JSON object.")
    columns = canonical_columns(list(values))
    merge_cells(sample.cells, dict(zip(columns, values.values(), strict=True)))
