"""A dataset in memory: pictures that are read when needed, and what is written about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pareja.errors import DatasetError, some_of


class Source(Protocol):
    """Where the bytes of one picture are: a file, a member of an archive, a cell of a table.

    ``str(source)`` is how a user would name the picture in a message. Sources are small, hashable
    and can be pickled, so that worker processes decode.
    """

    def read(self) -> bytes:
        """Return the encoded picture.

        Raises
        ------
        ImageError
            If the bytes cannot be had.
        """
        ...


@dataclass(frozen=True)
class Note:
    """Something that happened while a dataset was read and that its user should know.

    Parameters
    ----------
    code
        Its kind, one of `pareja.datasets.profiles.CODES`.
    path
        The file or folder that is meant; empty for the dataset as a whole.
    message
        What was found and what to do, as sentences.
    """

    code: str
    path: str
    message: str


@dataclass(frozen=True)
class Record:
    """One picture with its captions, category and provenance.

    Parameters
    ----------
    file_name
        The picture's name inside its dataset, with forward slashes; unique there.
    source
        Where its bytes are.
    captions
        People's words about it, none or several.
    category, label
        The group it belongs to, and a finer name of what it shows; None where not given.
    caption_es, author, license, source_url
        Spanish caption and provenance; None where not given.
    extra
        Further columns of the metadata, as text; ``split`` where the layout says it.
    where
        The place in the metadata that describes it, as ``metadata.csv:17``, for messages.
    """

    file_name: str
    source: Source
    captions: tuple[str, ...] = ()
    category: str | None = None
    label: str | None = None
    caption_es: str | None = None
    author: str | None = None
    license: str | None = None
    source_url: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    where: str = ""

    @property
    def caption(self) -> str:
        """The first caption; empty where there is none."""
        return self.captions[0] if self.captions else ""

    @property
    def split(self) -> str | None:
        """The part of a published dataset that it belongs to, as ``train``; None if unknown."""
        return self.extra.get("split")


@dataclass(frozen=True)
class Dataset:
    """A set of captioned pictures.

    Parameters
    ----------
    name
        How the dataset is called in messages and reports.
    records
        Its pictures, in the order of the metadata.
    location
        The folder, archive or address that it was read from.
    attribution
        The text of its ATTRIBUTION.md, or None.
    unlisted
        Pictures that lie in the dataset's folder and that its metadata does not name.
    missing
        ``(where, file_name)`` of the metadata rows whose picture does not exist (only with
        ``on_missing="keep"``; otherwise such a row is an error).
    notes
        What was not read, left out, or read with a doubt.
    """

    name: str
    records: tuple[Record, ...]
    location: Path | str
    attribution: str | None = None
    unlisted: tuple[str, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    notes: tuple[Note, ...] = ()

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    @cached_property
    def captions(self) -> tuple[str, ...]:
        """Every caption, picture by picture, ``(n_captions,)``."""
        return tuple(caption for record in self.records for caption in record.captions)

    @cached_property
    def owner(self) -> NDArray[np.intp]:
        """For each caption the index of its picture, ``(n_captions,)``."""
        return np.repeat(
            np.arange(len(self.records)), [len(record.captions) for record in self.records]
        )

    def with_captions(self, column: str) -> Dataset:
        """Return the dataset with the texts of one column of its metadata as its captions.

        Parameters
        ----------
        column
            ``"caption"`` for those that it has, ``"caption_es"``, or any further column. A picture
            without a text there has no caption.

        Raises
        ------
        DatasetError
            If no picture has a text in that column; the message names the columns that there are.

        Examples
        --------
        >>> from pareja.datasets import load_dataset
        >>> load_dataset("shapes:1").with_captions("caption_es").captions
        ('un triángulo naranja a la derecha de una cruz morada',)
        """
        if column in ("caption", "captions"):
            return self
        texts = [
            (record.caption_es if column == "caption_es" else record.extra.get(column)) or ""
            for record in self.records
        ]
        if not any(texts):
            own = {name for record in self.records for name in record.extra}
            own |= {"caption"} if self.captions else set()
            own |= {"caption_es"} if any(record.caption_es for record in self.records) else set()
            raise DatasetError(
                f"{self.name}: no picture has a text in the column {column!r}. The columns with "
                f"texts are: {some_of(sorted(own), most=20)}."
            )
        records = tuple(
            # What was the Spanish caption would be shown twice.
            replace(record, captions=(text,) if text else (), caption_es=None)
            for record, text in zip(self.records, texts, strict=True)
        )
        return replace(self, records=records)

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """The distinct categories, in order of first appearance."""
        return tuple(dict.fromkeys(r.category for r in self.records if r.category is not None))

    @cached_property
    def skipped(self) -> tuple[tuple[str, str], ...]:
        """``(name, reason)`` of what the dataset says and its records do not hold.

        Rows without a picture, rows that are wrong, and files that are not read.
        """
        wrong = [
            (note.path or self.name, note.message)
            for note in self.notes
            if note.code in ("row_wrong", "file_unread", "folder_closed")
        ]
        absent = [
            (name, f"is listed at {where} and does not exist") for where, name in self.missing
        ]
        return (*absent, *wrong)

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """The distinct splits, in order of first appearance; empty where there are none."""
        return tuple(dict.fromkeys(r.split for r in self.records if r.split is not None))
