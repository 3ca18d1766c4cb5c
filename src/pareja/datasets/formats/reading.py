"""What is noticed while a dataset is read: rows that are wrong, pictures that are not there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pareja.datasets.records import Note
from pareja.errors import MetadataError

OnMissing = Literal["error", "skip", "keep"]
"""What to do about a picture that the metadata names and that is not there."""


@dataclass
class Reading:
    """Collects what is wrong with a dataset, or stops at the first thing that is.

    Parameters
    ----------
    on_missing
        With ``"keep"`` nothing stops: every wrong row is noted, so that a check can report all of
        them at once. Otherwise a wrong row is an error; ``"skip"`` passes over rows without a
        picture.
    notes
        What was noticed, in the order of reading.
    missing
        ``(where, file_name)`` of the rows whose picture does not exist.
    """

    on_missing: OnMissing = "error"
    notes: list[Note] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)
    _made: set[Note] = field(default_factory=set, repr=False)

    def note(self, code: str, path: str, message: str, *, first_only: bool = False) -> None:
        """Keep a note; the same one only once, or only the first of its code and path."""
        made = Note(code, path, message)
        key = Note(code, path, "") if first_only else made
        if key not in self._made:
            self._made.add(key)
            self.notes.append(made)

    def refuse(self, error: MetadataError) -> None:
        """Raise the error, or note it and go on.

        Raises
        ------
        MetadataError
            The error, unless `on_missing` is ``"keep"``.
        """
        if self.on_missing != "keep":
            raise error
        self.notes.append(Note("row_wrong", "", str(error)))

    def lacks(self, where: str, file_name: str, error: MetadataError) -> None:
        """Take note of a row without a picture, or raise the error.

        Raises
        ------
        MetadataError
            The error, if `on_missing` is ``"error"``.
        """
        if self.on_missing == "error":
            raise error
        if self.on_missing == "keep":
            self.missing.append((where, file_name))
