"""Embeddings that know what they are embeddings of, and in which space they lie."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pareja.arrays import unit
from pareja.datasets.formats.folders import FileSource
from pareja.datasets.records import Dataset, Record
from pareja.embedding.cache import picture_digest, text_digest
from pareja.embedding.export import Rows, beside, read_rows, write_rows
from pareja.encoders.protocols import Embeddings, Fingerprint
from pareja.errors import FingerprintMismatchError, ImageError, InputError
from pareja.names import printable


def _no_places() -> NDArray[np.intp]:
    return np.empty(0, np.intp)


@dataclass(frozen=True)
class EmbeddedSource:
    """A picture that was embedded, and that is known by its path.

    Parameters
    ----------
    path
        Where it was.
    digest
        SHA-256 of its bytes, hexadecimal. Only a picture that has it is given out: a file of
        embeddings from elsewhere could name any file that its reader may see. None where the path
        is the user's own.
    """

    path: Path
    digest: str | None

    def __str__(self) -> str:
        return printable(str(self.path))

    def read(self) -> bytes:
        """Return the picture's bytes, or raise `ImageError`."""
        content = FileSource(self.path).read()
        if self.digest not in (None, picture_digest(content)):
            raise ImageError(self, "is not the picture that was embedded")
        return content


@dataclass(frozen=True, eq=False)
class Embedded:
    """Pictures or texts, embedded; every function that takes pictures takes these in their place.

    Parameters
    ----------
    vectors
        float32 of length 1: ``(n, dim)`` where many were embedded, ``(dim,)`` where one was.
    space
        The space that they lie in.
    names
        What was embedded, as the user named it: n file names or texts. Pictures that were given
        without a name are called after their place, ``picture-3``.
    skipped
        ``(name, reason)`` of what has no vector.
    indices
        Positions of the pictures or texts in what was given, rising, ``(n,)``; without those in
        `skipped` they would be 0 to n - 1.
    digests
        SHA-256 of the pictures' bytes, or of the texts, hexadecimal; empty where nobody knows.
    pictures
        The pictures as a dataset, with what is known of each; None for texts, and for what was
        read from a file.
    places
        Where each picture is: the absolute path of its file, or of its archive with its name in
        there; the same as in `names` for what is in no file. Empty for texts.
    cached
        How many had been embedded before.

    Raises
    ------
    InputError
        If `vectors` has another shape, is no number, or has another length than `names`.

    Examples
    --------
    >>> import pareja
    >>> words = pareja.embed_texts(["a cat", "a kitten", "a castle"], "starter", cache=False)
    >>> words.vectors.shape, len(words)
    ((3, 512), 3)
    >>> (words.similarity(words)[0] > 0.5).tolist()
    [True, True, False]
    """

    vectors: Embeddings
    space: Fingerprint
    names: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    indices: NDArray[np.intp] = field(default_factory=_no_places)
    digests: tuple[str, ...] = ()
    pictures: Dataset | None = None
    places: tuple[str, ...] = ()
    cached: int = 0

    def __post_init__(self) -> None:
        vectors = np.asarray(self.vectors)
        if vectors.dtype.kind != "f" or vectors.ndim not in (1, 2) or not vectors.shape[-1]:
            raise InputError(
                f"vectors is a {vectors.dtype} array of shape {vectors.shape}. Give floats of "
                "shape (n, dim), or (dim,) for one."
            )
        if not isinstance(self.space, Fingerprint):
            raise InputError(
                f"space is of type {type(self.space).__name__}. Give the fingerprint of the "
                "encoder that made the vectors: its image_fingerprint or text_fingerprint."
            )
        rows = 1 if vectors.ndim == 1 else len(vectors)
        names = tuple(self.names) or tuple(f"vector-{row}" for row in range(rows))
        if len(names) != rows:
            raise InputError(f"names has {len(names)} names for {rows} vectors. Give one each.")
        indices = np.asarray(self.indices, np.intp)
        set_field = object.__setattr__
        set_field(self, "vectors", vectors.astype(np.float32, copy=False))
        set_field(self, "names", names)
        set_field(self, "indices", indices if indices.size == rows else np.arange(rows))

    @classmethod
    def of(cls, vectors: ArrayLike, space: Fingerprint) -> Embedded:
        """Take an array of vectors whose space the caller knows, and scale them to length 1.

        Parameters
        ----------
        vectors
            ``(n, dim)``, or ``(dim,)`` for one.
        space
            The fingerprint of the encoder that made them.

        Raises
        ------
        InputError
            If it is no array of finite floats, or `space` is no fingerprint.
        """
        given = cls(np.asarray(vectors), space)
        if not np.isfinite(given.vectors).all():
            raise InputError("vectors holds NaN or infinity. Give finite numbers.")
        return cls(unit(np.asarray(vectors, np.float64)).astype(np.float32), space)

    @property
    def rows(self) -> Embeddings:
        """The vectors as a matrix, ``(n, dim)``, also where there is one."""
        return cast(Embeddings, np.atleast_2d(self.vectors))

    @property
    def one(self) -> bool:
        """Whether one picture or text was embedded, and not a list."""
        return self.vectors.ndim == 1

    def dataset(self) -> Dataset:
        """Return the pictures as a dataset: `pictures`, or else what is known by name."""
        if self.pictures is not None:
            return self.pictures
        places = map(Path, self.places or self.names)
        digests = self.digests or (None,) * len(self)
        records = tuple(
            Record(name, EmbeddedSource(place.absolute(), digest))
            for name, place, digest in zip(self.names, places, digests, strict=True)
        )
        name = records[0].file_name if len(records) == 1 else f"{len(records)} pictures"
        return Dataset(name, records, name)

    def __len__(self) -> int:
        return len(self.names)

    def part(self, places: NDArray[np.intp]) -> Embedded:
        """Return some of them, ``(m, dim)``, whose `indices` are again 0 to m - 1.

        Parameters
        ----------
        places
            Which rows, ``(m,)``.
        """
        return Embedded(
            vectors=self.rows[places],
            space=self.space,
            names=tuple(self.names[place] for place in places),
            pictures=replace(
                self.dataset(), records=tuple(self.dataset().records[place] for place in places)
            ),
        )

    def require(self, space: Fingerprint, purpose: str) -> None:
        """Refuse another space.

        Parameters
        ----------
        space
            The only one that fits.
        purpose
            What has it, for the message: as in ``"the classifier reads"``.

        Raises
        ------
        FingerprintMismatchError
            If these vectors lie elsewhere.
        """
        if self.space != space:
            raise FingerprintMismatchError(
                f"these vectors are of {self.space}, and {purpose} those of {space}. "
                "Embed the same pictures or texts with that encoder."
            )

    def similarity(self, other: Embedded) -> NDArray[np.float32]:
        """Return the cosine of each with each of the others, ``(n, m)``, in [-1, 1].

        Raises
        ------
        FingerprintMismatchError
            If the others lie in another space.
        """
        other.require(self.space, "the others are")
        return cast(NDArray[np.float32], self.rows @ other.rows.T)

    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write names, digests, vectors and their space to one file.

        Parameters
        ----------
        path
            Ends in ``.npz`` or ``.parquet`` (needs ``pyarrow``). `load` reads it, and so do NumPy,
            pandas and others. Pictures below the file's folder are named from there, others by
            their absolute path.
        force
            Replace a file that exists.

        Returns
        -------
        Path
            Absolute path of the file.

        Raises
        ------
        OutputError
            If it has another ending, exists and `force` is off, or cannot be written.
        MissingDependencyError
            If ``pyarrow`` is needed and not installed.
        """
        names = beside(self.places, Path(path).absolute().parent) or list(self.names)
        digests = list(self.digests) or [""] * len(self)
        return write_rows(path, Rows(names, digests, self.rows), self.space, force=force)

    @classmethod
    def load(cls, path: Path | str, space: Fingerprint | None = None) -> Embedded:
        """Read what `save` or ``pareja embed`` wrote.

        Parameters
        ----------
        path
            The file.
        space
            The space that the vectors are going to be compared in, if that is known.

        Raises
        ------
        DatasetError
            If it cannot be read, or is no such file.
        FingerprintMismatchError
            If its vectors lie in another space.
        MissingDependencyError
            If ``pyarrow`` is needed and not installed.
        """
        stored = read_rows(path)
        folder = Path(path).absolute().parent
        loaded = cls(
            vectors=stored.embeddings,
            space=stored.space,
            names=tuple(stored.names),
            digests=tuple(stored.digests),
            places=tuple(
                (folder / name).as_posix() if digest and digest != text_digest(name) else name
                for name, digest in zip(stored.names, stored.digests, strict=True)
            ),
        )
        if space is not None:
            loaded.require(space, f"{path} was to hold")
        return loaded
