"""The zip that is handed in: pictures, metadata, attribution and checksums in one file."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from unicodedata import normalize
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from pareja.checksums import checksum_lines
from pareja.datasets.formats.folders import is_picture
from pareja.datasets.formats.layouts import ends_like_a_table
from pareja.datasets.formats.rows import COLUMNS, canonical_columns
from pareja.datasets.records import Dataset, Record
from pareja.datasets.signatures import HEAD_BYTES, picture_format
from pareja.errors import DatasetError
from pareja.files import staged_file

if TYPE_CHECKING:
    from pareja.datasets.checks import CheckReport

# What Windows allows in no name, and line breaks, which checksum files cannot hold.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|__macosx", re.IGNORECASE)
# The datasets library takes a file or folder with one of these words in its name for a split, and
# then leaves out every other picture and the metadata. It looks for lower case only.
_SPLIT_WORDS = re.compile(
    r"(?:^|(?<=[-._ 0-9]))"
    r"(?:train|training|validation|valid|dev|val|test|testing|eval|evaluation)"
    r"(?=[-._ 0-9]|$)"
)
_NAME_BYTES = 150

_ENDINGS = {"JPEG": "jpg", "JPEG 2000": "jp2"}


@dataclass(frozen=True)
class PackResult:
    """What `pack` wrote.

    Parameters
    ----------
    path
        The zip.
    size
        Its length in bytes.
    sha256
        Its SHA-256, in hexadecimal digits.
    renamed
        New name of each picture that does not keep the name it has in the dataset.
    """

    path: Path
    size: int
    sha256: str
    renamed: Mapping[str, str]


def pack(
    dataset: Dataset, out: Path | str, *, force: bool = False, report: CheckReport | None = None
) -> PackResult:
    """Write a dataset as one zip that anyone can check and read.

    It holds ``metadata.csv``, ``ATTRIBUTION.md``, the pictures byte for byte as
    ``images/<category>/<name>``, and ``SHA256SUMS`` of all of them. The same dataset gives the same
    bytes on every machine and day. `load_dataset` of the zip gives equal records, under the names
    that they have there: names that some system does not allow are changed, and of two pictures
    with one name the later gets a number. ``load_dataset`` of the ``datasets`` library finds the
    same rows, in the zip and in the folder it unpacks to; for its sake words that name a split are
    capitalised, as in ``images/Train/My Test.jpg``.

    Parameters
    ----------
    dataset
        The dataset. Pictures that its metadata does not name are left out.
    out
        The zip. It appears once it is complete.
    force
        Replace a file that exists.
    report
        What `check_dataset` found; by default the dataset is checked here.

    Raises
    ------
    DatasetError
        If the dataset has errors, or a column or text that CSV cannot hold.
    ImageError
        If a picture cannot be read.
    OutputError
        If the zip exists and `force` is off, or it cannot be written.
    """
    with staged_file(out, force=force) as stream:
        _refuse_errors(dataset, report or _checked(dataset))
        names = _names_in_zip(dataset.records)
        renamed = {
            record.file_name: name
            for record, name in zip(dataset.records, names, strict=True)
            if record.file_name != name
        }
        texts = {
            "metadata.csv": _metadata(dataset.records, names).encode(),
            "ATTRIBUTION.md": _attribution(dataset, names, renamed).encode(),
        }
        pictures = dict(zip(names, dataset.records, strict=True))
        digests: dict[str, str] = {}
        with ZipFile(stream, "w", ZIP_STORED) as archive:
            for name, content in texts.items():
                digests[name] = _add(archive, name, content)
            for name in sorted(pictures):
                digests[name] = _add(archive, name, pictures[name].source.read())
            _add(archive, "SHA256SUMS", checksum_lines(digests).encode())
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return PackResult(Path(out).resolve(), size, sha256, renamed)


def _checked(dataset: Dataset) -> CheckReport:
    from pareja.datasets.checks import check_dataset

    return check_dataset(dataset)


def _refuse_errors(dataset: Dataset, report: CheckReport) -> None:
    """Raise if the check found errors."""
    if report.ok:
        return
    shown = "; ".join(
        f"{problem.path}: {problem.message}" if problem.path else problem.message
        for problem in report.errors[:3]
    )
    more = f" And {len(report.errors) - 3} more." if report.errors[3:] else ""
    count = f"{len(report.errors)} error{'s' if report.errors[1:] else ''}"
    raise DatasetError(
        f"{dataset.name} has {count} and is not packed: {shown}{more} "
        "'pareja check' lists all problems."
    )


def _add(archive: ZipFile, name: str, content: bytes) -> str:
    """Add a file and return its SHA-256."""
    # Stored, since compressors differ between versions and pictures do not shrink; with the first
    # date that a zip can hold, a system (Unix) and permissions that are always the same.
    member = ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    member.create_system = 3
    member.external_attr = 0o644 << 16
    archive.writestr(member, content)
    return hashlib.sha256(content).hexdigest()


def _names_in_zip(records: Sequence[Record]) -> list[str]:
    """Return the name of each picture in the zip; no two differ in case only."""
    taken: set[str] = set()
    names = []
    for record in records:
        path = PurePosixPath(
            "images", _safe(record.category or "").replace(" ", "_"), _picture_name(record)
        )
        name = path.as_posix()
        number = 1
        while name.casefold() in taken:
            number += 1
            name = path.with_stem(f"{path.stem}-{number}").as_posix()
        taken.add(name.casefold())
        names.append(name)
    return names


def _picture_name(record: Record) -> str:
    """Return a name that every system allows, and that ends like a picture's."""
    name = PurePosixPath(record.file_name.replace("\\", "/")).name
    stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
    if not is_picture(name):
        kind = picture_format(record.source.read()[:HEAD_BYTES])
        stem, suffix = name, f".{_ENDINGS.get(kind, kind.lower())}" if kind else ""
        if not kind and ends_like_a_table(name):
            stem = name.replace(".", "_")
    return f"{_safe(stem) or 'picture'}{suffix}"


def _safe(part: str) -> str:
    """Return part of a path as every system allows it; empty if nothing is left."""
    text = normalize("NFC", part.encode(errors="replace").decode())
    text = _UNSAFE.sub("_", " ".join(text.split()))
    text = text.encode()[:_NAME_BYTES].decode(errors="ignore").strip(" .")
    text = _SPLIT_WORDS.sub(lambda word: word[0].capitalize(), text)
    return f"_{text}" if _RESERVED.fullmatch(text) else text


def _metadata(records: Sequence[Record], names: Sequence[str]) -> str:
    """Return metadata.csv, with one row for each caption."""
    extras = sorted({column for record in records for column in record.extra})
    header = [*COLUMNS, *extras]
    if canonical_columns(header) != header or {"", "captions", *COLUMNS} & set(extras):
        raise DatasetError(
            f"these columns cannot be kept, since they would be read as others: {extras}. "
            "Rename them: lower case, with _ for spaces, and none of the names with a meaning."
        )
    text = io.StringIO(newline="")
    # With \n alone, some versions of csv leave a \r inside a text unquoted, where it splits rows.
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(header)
    longest = csv.field_size_limit()
    for record, name in zip(records, names, strict=True):
        described = [getattr(record, column) or "" for column in COLUMNS[2:]]
        added = [record.extra.get(column, "") for column in extras]
        for caption in record.captions or ("",):
            cells = [name, caption, *described, *added]
            if max(map(len, cells)) > longest:
                raise DatasetError(
                    f"{record.file_name}: has a text of more than {longest:,} characters, "
                    "which readers of CSV refuse. Shorten it."
                )
            writer.writerow(cells)
    return text.getvalue()


def _attribution(dataset: Dataset, names: Sequence[str], renamed: Mapping[str, str]) -> str:
    """Return ATTRIBUTION.md: the dataset's own, or one written from what the records say."""
    if dataset.attribution is None:
        rows = [
            (name, record.author, record.license, record.source_url)
            for name, record in zip(names, dataset.records, strict=True)
        ]
        return f"# {dataset.name}: where the pictures come from\n\n" + _table(
            ("file", "author", "licence", "source"), rows
        )
    if not renamed:
        return dataset.attribution
    return f"{dataset.attribution.rstrip()}\n\n## Names of the files here\n\n" + _table(
        ("name above", "name here"), list(renamed.items())
    )


def _table(header: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(text: str | None) -> str:
    if text is None:
        return "not given"
    text = " ".join(text.split()).replace("|", r"\|")
    return f"<{text}>" if text.startswith(("http://", "https://")) else text
