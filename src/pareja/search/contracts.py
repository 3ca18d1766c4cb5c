"""What a search asks, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pareja.embedding.embedded import Embedded
from pareja.encoders.protocols import Embeddings, Fingerprint, Rectangle
from pareja.inputs import Picture as GivenPicture
from pareja.names import printable
from pareja.regions.parts import GivenBox


@dataclass(frozen=True)
class Picture:
    """One picture of a collection.

    Parameters
    ----------
    id
        Its number in the collection; never used again for another picture.
    digest
        SHA-256 of its file's bytes: the same picture under two names is one picture.
    path
        Where its file is now; the first of them if there are several.
    caption, category, caption_es, label, author, license, source_url
        What its dataset's metadata says; None where nothing.
    width, height
        In pixels, after orientation.
    """

    id: int
    digest: str
    path: Path
    caption: str | None = None
    category: str | None = None
    caption_es: str | None = None
    label: str | None = None
    author: str | None = None
    license: str | None = None
    source_url: str | None = None
    width: int = 0
    height: int = 0

    @property
    def shown_path(self) -> str:
        """The path as text, whatever bytes it has on the disk."""
        return printable(str(self.path))

    @property
    def shown_name(self) -> str:
        """The file's name as text."""
        return printable(self.path.name)


@dataclass(frozen=True)
class PictureFile:
    """A file that holds a picture.

    Parameters
    ----------
    path
        Where it is; inside an archive, the archive's path and the name in it.
    archive
        The archive, table or folder of shards that it is in; None for a plain file.
    """

    path: Path
    archive: Path | None = None

    @property
    def shown_path(self) -> str:
        """The path as text, whatever bytes it has on the disk."""
        return printable(str(self.path))

    @property
    def on_disk(self) -> Path:
        """The file that the disk has: itself, or its archive."""
        return self.archive or self.path

    @property
    def is_gone(self) -> bool:
        """Whether it is not where it was; nobody knows of one that is on no disk of ours."""
        if not self.on_disk.is_absolute():
            return False
        try:
            self.on_disk.stat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return False


class PictureClassifier(Protocol):
    """What tells from a picture's embedding which one of its labels the picture has.

    `pareja.classifiers.learned.Classifier` is one.
    """

    @property
    def labels(self) -> tuple[str, ...]:
        """What it tells apart, in the order of the columns."""
        ...

    @property
    def encoder(self) -> str:
        """Name of the encoder whose embeddings it reads."""
        ...

    @property
    def fingerprint(self) -> Fingerprint:
        """The space that it reads."""
        ...

    def probabilities(self, images: Embeddings) -> NDArray[np.float32]:
        """Return how probable each label is, ``(n, k)``, for pictures ``(n, dim)``."""
        ...


@dataclass(frozen=True)
class Shows:
    """What pictures should show, as a classifier that was learned from examples sees them.

    Parameters
    ----------
    classifier
        Gives each picture one of its labels. The vectors that it reads need not be those that are
        searched; the collection must hold both.
    labels
        Pictures with any of these.
    at_least
        How probable the picture's label must be, in [0, 1].
    """

    classifier: PictureClassifier
    labels: tuple[str, ...]
    at_least: float = 0.0


@dataclass(frozen=True)
class Query:
    """What is looked for; at least one of `text`, `image` and `like` is given.

    Parameters
    ----------
    text
        Words; parts of them may have weights: ``"a cat::2 in snow::0.5 indoors::-0.5"``. What is
        below 0 is moved away from. Words without a weight count 1, as a picture does.
    image
        A picture from elsewhere: its path, bytes, a PIL image or pixels; or its embedding with the
        space that it lies in, as `pareja.embed` returns it.
    like
        Id of a picture of the collection ("more like this"); it is not among the hits.
    box
        Only this part of `image`, or of the picture `like`: left, top, width and height in the
        upright picture's pixels; four numbers of at most 1 are fractions of its width and height.
    minus
        Words to move away from; they may have weights too, by default
        `pareja.search.composition.MINUS_WEIGHT`.
    category
        Only pictures of this category.
    shows
        Only pictures that fulfil each of these.
    without
        Ids of pictures that are left out.
    """

    text: str | None = None
    image: GivenPicture | Embedded | None = None
    like: int | None = None
    box: GivenBox | None = None
    minus: str | None = None
    category: str | None = None
    shows: tuple[Shows, ...] = ()
    without: tuple[int, ...] = ()


@dataclass(frozen=True)
class Why:
    """Why a hybrid search has a picture at its rank.

    Parameters
    ----------
    words
        Words of the query that its captions or the names of its files have.
    rank_by_words
        Its rank among the pictures that have any of them, from 1; None where it is not among the
        first 100.
    rank_by_vectors
        Its rank without the words; None where they brought it in from beyond the first 100.
    """

    words: tuple[str, ...]
    rank_by_words: int | None
    rank_by_vectors: int | None


@dataclass(frozen=True)
class LookedUp:
    """What a hybrid search did with the words of its query.

    Parameters
    ----------
    words
        Those that were looked up in captions and file names.
    left_out
        Those that were not, since too many of the texts have them, or since they are articles,
        prepositions and the like of English or Spanish.
    """

    words: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Hit:
    """One answer.

    Parameters
    ----------
    rank
        From 1.
    picture
        What was found.
    score
        Its cosine similarity in [-1, 1], or that of the part which is nearest.
    part
        That part: left, top, width and height in pixels of the upright picture. None where the
        whole picture is nearer, and in collections that have no parts.
    near_duplicates
        The near duplicates that were folded into this one, the nearest first, with its rank.
    why
        What the words of the query did for it; None if the search was not hybrid.
    """

    rank: int
    picture: Picture
    score: float
    part: Rectangle | None = None
    near_duplicates: tuple[Hit, ...] = ()
    why: Why | None = None


@dataclass(frozen=True)
class SearchResult:
    """The answer to a query: a sequence of hits, the best first.

    Parameters
    ----------
    query
        What was asked.
    model
        Name of the encoder that answered.
    hits
        Best first.
    took_ms
        Wall time of encoding the query and searching, in milliseconds.
    likely_relevant
        False when the best score is what unrelated queries reach in this collection as well:
        "probably nothing relevant". None where it is not known: a hybrid search that found words in
        texts does not say False.
    offset
        How many better pictures were left out.
    more
        Whether pictures follow after these.
    looked_up
        What a hybrid search did with the words; None if it was not hybrid.
    """

    query: Query
    model: str
    hits: tuple[Hit, ...]
    took_ms: float
    likely_relevant: bool | None = None
    offset: int = 0
    more: bool = False
    looked_up: LookedUp | None = None

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, rank: int) -> Hit:
        return self.hits[rank]


@dataclass(frozen=True)
class IndexReport:
    """What indexing did, in numbers of pictures.

    Parameters
    ----------
    added
        New in the collection, or new in this encoder's space.
    unchanged, moved, updated, removed
        Files that are as they were, that have another path, other content or other metadata, and
        that have gone.
    duplicates
        Further files with the content of another one.
    regions
        Pictures whose parts were embedded.
    skipped
        ``(name, reason)`` of every file that was left out.
    seconds
        How long it took.
    model
        Name of the encoder.
    moves
        ``(before, now)``, the paths of every file that was moved.
    """

    added: int = 0
    unchanged: int = 0
    moved: int = 0
    updated: int = 0
    removed: int = 0
    duplicates: int = 0
    regions: int = 0
    skipped: tuple[tuple[str, str], ...] = field(default=())
    seconds: float = 0.0
    model: str = ""
    moves: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True)
class VerifyReport:
    """What a check of a collection found.

    Parameters
    ----------
    problems
        One line each; none where all is well.
    repaired
        Whether what could be repaired was.
    pictures, vectors
        How many there are; vectors of all encoders.
    regions
        How many vectors of parts of pictures there are besides.
    """

    problems: tuple[str, ...]
    repaired: bool
    pictures: int
    vectors: int
    regions: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems
