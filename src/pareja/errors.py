"""Every error that pareja raises on purpose.

::

    ParejaError
    ├── InputError               an argument is of a kind that the function does not take
    │   └── BoxError                 a box is no part of the picture
    ├── DatasetError             a dataset cannot be read, or is not what was asked for
    │   ├── ImageError           one picture cannot be decoded
    │   │   └── LostPictureError     no file of a collection's picture holds it any more
    │   └── MetadataError        one row of the metadata is wrong
    ├── EncoderError             an encoder cannot be loaded or used
    │   ├── UnknownModelError        no encoder has that name
    │   ├── ModelUnavailableError    known, but its weights are not on this machine
    │   └── FingerprintMismatchError embeddings of two spaces were about to be mixed
    ├── LabelError               labels or prompt templates that nothing can be classified with
    ├── AnalysisError            arrays that a measure cannot be computed from
    ├── CollectionError          a collection cannot be opened, searched or written
    │   ├── NoSuchPictureError       a collection has no picture with that number
    │   ├── CollectionFaultError     its files are gone, damaged, locked, or their disk is full
    │   └── ReadOnlyError            a collection was to be written where it can only be read
    ├── OutputError              a result cannot be written where it was asked for
    ├── MachineError             memory, open files or a disk fail; the file may be sound
    ├── ServerError              a server cannot be started as asked
    ├── ClusterError             a cluster cannot be reached, or its machines differ
    └── MissingDependencyError   an optional package is needed and not installed

A message says what went wrong, where, what was found, and what to do about it. The command line
prints it as one line and exits with status 1.

A message names a parameter in backquotes, with the value to give where there is one: `` `labels` ``
or `` `truth='category'` ``. The command line prints its option in that place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

PARAMETER = re.compile(r"`(?P<name>[a-z][a-z_]*)(?:=(?P<value>[^`]+))?`")
"""A parameter that a message names, and the value to give it, as Python writes it."""


def some_of(names: Iterable[str], most: int = 5) -> str:
    """Return names for a message in any language: the first, and how many more there are.

    Parameters
    ----------
    names
        The names.
    most
        How many are shown.

    Examples
    --------
    >>> some_of(["cat", "dog"]), some_of("abcde", most=3), some_of([])
    ('cat, dog', 'a, b, c … (+2)', '-')
    """
    every = list(names)
    more = f" … (+{len(every) - most})" if len(every) > most else ""
    return ", ".join(every[:most]) + more or "-"


class ParejaError(Exception):
    """Base of all errors that pareja raises on purpose."""

    @property
    def parameter(self) -> str | None:
        """The parameter that the message names first; None if it names no parameter."""
        named = PARAMETER.search(str(self))
        return named and named["name"]


class InputError(ParejaError, TypeError):
    """An argument is of a kind that the function does not take."""


class BoxError(InputError):
    """A box is no part of the picture that it is to be cut out of."""


class DatasetError(ParejaError):
    """A dataset cannot be read, or is not what was asked for."""


class ImageError(DatasetError):
    """A picture cannot be decoded.

    Parameters
    ----------
    path
        The picture, as the user would name it.
    reason
        What is wrong with it, as one clause without a full stop.
    """

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, ...]]:
        # Exception pickles self.args, which holds the joined message: decoding runs in worker
        # processes, and an error that cannot come back would hang its pool.
        return type(self), (self.path, self.reason)


PictureLoss = Literal["gone", "replaced", "damaged"]
"""What became of a picture's file: it is not there, is another picture, or cannot be read."""


class LostPictureError(ImageError):
    """No file of a picture of a collection holds what was indexed any more.

    Parameters
    ----------
    path
        The picture's first file.
    reason
        What is wrong with that, as one clause without a full stop.
    loss
        The same for programs.
    """

    def __init__(self, path: object, reason: str, loss: PictureLoss) -> None:
        super().__init__(path, reason)
        self.loss = loss

    def __reduce__(self) -> tuple[type[LostPictureError], tuple[str, str, PictureLoss]]:
        return type(self), (self.path, self.reason, self.loss)


class MetadataError(DatasetError):
    """A row of a dataset's metadata is wrong; the message starts with ``file:line:``."""


class EncoderError(ParejaError):
    """An encoder cannot be loaded or used."""


class UnknownModelError(EncoderError):
    """No encoder has the name that was asked for.

    Parameters
    ----------
    name
        The name that was asked for.
    suggestions
        Names that exist and resemble it, best first.
    """

    def __init__(self, name: str, suggestions: Sequence[str] = ()) -> None:
        hint = f" Did you mean {' or '.join(map(repr, suggestions))}?" if suggestions else ""
        super().__init__(
            f"unknown model {name!r}.{hint} 'pareja models' lists the names; "
            "a local folder or owner/repo works as well."
        )
        self.name = name
        self.suggestions = tuple(suggestions)

    def __reduce__(self) -> tuple[type[UnknownModelError], tuple[str, tuple[str, ...]]]:
        return type(self), (self.name, self.suggestions)


class ModelUnavailableError(EncoderError):
    """An encoder is known, but its weights are not on this machine and cannot be fetched."""


class FingerprintMismatchError(EncoderError):
    """Embeddings of two different spaces were about to be mixed."""


class LabelError(ParejaError):
    """Labels or prompt templates are such that nothing can be classified with them."""


class AnalysisError(ParejaError, ValueError):
    """A measure cannot be computed from the arrays it was given."""


class CollectionError(ParejaError):
    """A collection of pictures cannot be opened, searched or written."""


QueryMistake = Literal["weight", "no_words", "only_away", "minus_below_0", "hybrid_words"]
"""What may be wrong with the words of a query."""


class QueryError(CollectionError):
    """The words of a query cannot be understood: a weight is no number, or nothing is wanted.

    Parameters
    ----------
    kind
        What is wrong.
    message
        The whole message.
    values
        The words and the weight that it speaks of, by the names ``words`` and ``weight``.
    """

    def __init__(self, kind: QueryMistake, message: str, values: Mapping[str, str]) -> None:
        super().__init__(message)
        self.kind, self.values = kind, values

    def __reduce__(self) -> tuple[type[QueryError], tuple[QueryMistake, str, Mapping[str, str]]]:
        return type(self), (self.kind, str(self), self.values)


class NoSuchPictureError(CollectionError):
    """A collection has no picture with the number that was asked for.

    Parameters
    ----------
    picture_id
        That number.
    folder
        The collection.
    """

    def __init__(self, picture_id: int, folder: object) -> None:
        super().__init__(
            f"there is no picture {picture_id} in {folder}. "
            "Searches print the numbers of the pictures that they find."
        )
        self.picture_id = picture_id
        self.folder = str(folder)

    def __reduce__(self) -> tuple[type[NoSuchPictureError], tuple[int, str]]:
        return type(self), (self.picture_id, self.folder)


class CollectionFaultError(CollectionError):
    """The files of a collection are gone or replaced, damaged or locked, or their disk is full."""


class ReadOnlyError(CollectionError):
    """A collection was to be written, and it, or its place, can only be read."""


class OutputError(ParejaError):
    """A result cannot be written where it was asked for."""


class MachineError(ParejaError):
    """Memory, open files or a disk failed: nothing is known to be wrong with what was read.

    Parameters
    ----------
    what
        What was being read or computed.
    reason
        What the machine lacks, as a clause, and what to do about it.
    """

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}. Nothing is known to be wrong with it.")
        self.what = what
        self.reason = reason

    def __reduce__(self) -> tuple[type[MachineError], tuple[str, str]]:
        return type(self), (self.what, self.reason)


class ServerError(ParejaError):
    """A server cannot be started where, or as, it was asked to."""


class ClusterError(ParejaError):
    """A cluster cannot be reached, or its machines lack something or differ in it."""


class MissingDependencyError(ParejaError):
    """An optional package is needed and not installed.

    Parameters
    ----------
    package
        The package that is missing, as ``pip`` names it.
    purpose
        What it is needed for, as in "to read Parquet files".
    extra
        pareja's optional group that brings it.
    """

    def __init__(self, package: str, purpose: str, extra: str) -> None:
        super().__init__(
            f"{package} is needed {purpose} and is not installed. "
            f"Install it with: pip install 'pareja[{extra}]'"
        )
        self.package = package
        self.purpose = purpose
        self.extra = extra

    def __reduce__(self) -> tuple[type[MissingDependencyError], tuple[str, str, str]]:
        return type(self), (self.package, self.purpose, self.extra)
