"""Vectors of pictures that other runs or machines have embedded, as indexing asks for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pareja.decimals import counted
from pareja.embedding.cache import Stamp, Vector
from pareja.embedding.export import ROW_GROUP
from pareja.embedding.shards import ShardFolder
from pareja.encoders.bases import ImageEncoderBase
from pareja.encoders.protocols import Embeddings, Fingerprint, ImageEncoder, Pixels
from pareja.errors import DatasetError, FingerprintMismatchError, ImageError, some_of
from pareja.search.catalogue import Catalogue
from pareja.search.contracts import IndexReport

_GROUPS_KEPT = 64
_DIGEST_BYTES = 32
_ASKED = 4096


class ShardMemory:
    """The embeddings in a folder of shards, found by what a picture contains.

    It is what the embedding pipeline asks before it runs a model (`pareja.embedding.cache.Memory`).
    In memory are 48 bytes of each picture, and the vectors of the last few groups of rows.

    Parameters
    ----------
    location
        The folder.

    Raises
    ------
    DatasetError
        If it holds no shards, not all that belong together, or those of several runs, or one is
        damaged.
    MissingDependencyError
        If ``pyarrow`` is not installed.
    """

    def __init__(self, location: Path | str) -> None:
        self._folder = ShardFolder(location)
        self._files = self._folder.names()
        self._require_one_run()
        self.about = self._folder.shard(self._files[0])
        missing = self._folder.missing(self.about.of)
        if missing:
            raise DatasetError(
                f"{location} lacks {len(missing)} of {self.about.of} shards, of the partitions "
                f"{some_of(map(str, missing))}. Repeat the command that embeds them, or copy them "
                "from the machine that has them. Nothing was indexed."
            )
        self._lock = Lock()
        self._groups: OrderedDict[tuple[int, int], NDArray[np.float32]] = OrderedDict()
        digests, rows = zip(*map(self._pictures, range(len(self._files))), strict=True)
        self._digests = np.concatenate(digests)
        self._rows = np.concatenate(rows)
        # The first eight bytes are enough to sort by, and nearly enough to tell pictures apart.
        starts = self._digests[:, :8].copy().view(">u8").ravel()
        order = np.argsort(starts, kind="stable")
        self._starts = starts[order].astype(np.uint64)
        self._digests, self._rows = self._digests[order], self._rows[order]

    def _require_one_run(self) -> None:
        runs = {name.rpartition("-")[2]: name for name in self._files}
        if not runs:
            raise DatasetError(
                f"{self._folder} holds no shards. 'pareja embed PICTURES --part 1/1 -o "
                f"{self._folder}' makes them."
            )
        if len(runs) > 1:
            raise DatasetError(
                f"{self._folder} holds shards of several runs, with other pictures or models: "
                f"{some_of(runs.values())}. Keep those of one in it."
            )

    def _pictures(self, file: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return the digests ``(m, 32)`` of the pictures of a shard, and their rows ``(m, 2)``."""
        listed = self._folder.columns(self._files[file], ["sha256"])["sha256"]
        rows = [row for row, digest in enumerate(listed) if digest is not None]
        joined = bytes.fromhex("".join(listed[row] for row in rows))
        digests = np.frombuffer(joined, np.uint8).reshape(-1, _DIGEST_BYTES)
        return digests, np.array([(file, row) for row in rows], np.int64).reshape(-1, 2)

    def __len__(self) -> int:
        """Return how many pictures have an embedding, copies counted."""
        return len(self._rows)

    def require(self, space: Fingerprint) -> None:
        """Refuse an encoder of another space.

        Raises
        ------
        FingerprintMismatchError
            If the shards lie in another one.
        """
        if space != self.about.space:
            raise FingerprintMismatchError(
                f"{self._folder} holds vectors of {self.about.space}, and the model makes those "
                f"of {space}. Name the `model` that embedded them: {self.about.model}."
            )

    def known_digest(self, stamp: Stamp) -> str | None:
        """Return None: each picture is read, since its SHA-256 must be that of the shard."""
        return None

    def find(self, fingerprint: Fingerprint, digests: Sequence[str]) -> dict[str, Vector]:
        """Return the embeddings, ``(dim,)`` each, of those of the pictures that are in a shard."""
        if fingerprint != self.about.space:
            return {}
        places = {digest: self._place(digest) for digest in digests}
        return {
            digest: self._group(place[0], place[1] // ROW_GROUP)[place[1] % ROW_GROUP]
            for digest, place in places.items()
            if place is not None
        }

    def store(
        self,
        fingerprint: Fingerprint,
        embeddings: Mapping[str, Vector],
        files: Iterable[tuple[Stamp, str]] = (),
    ) -> None:
        """Keep nothing: shards are not added to."""

    def in_place_of(self, encoder: ImageEncoder) -> ImageEncoder:
        """Return what embeds no picture, and says of one that it is in no shard."""
        return NoEncoder(
            encoder,
            f"is in no shard of {self._folder}: it is new, or was changed since it was embedded",
        )

    def checked(self, report: IndexReport, catalogue: Catalogue) -> IndexReport:
        """Return what indexing did, with the pictures that are in the shards alone as skipped.

        Raises
        ------
        DatasetError
            If no picture that was indexed is in the shards.
        """
        lost = self.lost(catalogue)
        if lost and len(lost) == len(self):
            raise DatasetError(
                f"no picture there is one of the {counted(len(self), 'picture')} in "
                f"{self._folder}, which were embedded from {', '.join(self.about.sources)}. Name "
                "the folder that holds them on this machine."
            )
        reason = "was embedded, and is not among the pictures that are indexed"
        return replace(report, skipped=(*report.skipped, *((place, reason) for place in lost)))

    def lost(self, catalogue: Catalogue) -> list[str]:
        """Return where the pictures were that have an embedding and are not in a collection."""
        rows: dict[int, list[int]] = {}
        numbers = iter(range(len(self)))
        while some := list(islice(numbers, _ASKED)):
            digests = [self._digests[number].tobytes().hex() for number in some]
            here = catalogue.ids_by_digest(digests)
            for number, digest in zip(some, digests, strict=True):
                if digest not in here:
                    file, row = self._rows[number].tolist()
                    rows.setdefault(file, []).append(row)
        return [
            places[row]
            for file, lost in sorted(rows.items())
            for places in [self._folder.columns(self._files[file], ["place"])["place"]]
            for row in sorted(lost)
        ]

    def _place(self, digest: str) -> tuple[int, int] | None:
        """Return the shard and the row of a picture."""
        wanted = bytes.fromhex(digest)
        start = np.uint64(int.from_bytes(wanted[:8]))
        for number in range(
            int(np.searchsorted(self._starts, start, "left")),
            int(np.searchsorted(self._starts, start, "right")),
        ):
            if self._digests[number].tobytes() == wanted:
                file, row = self._rows[number].tolist()
                return file, row
        return None

    def _group(self, file: int, group: int) -> NDArray[np.float32]:
        """Return the vectors of a group of rows."""
        with self._lock:
            if (file, group) not in self._groups:
                self._groups[file, group] = self._folder.vectors(self._files[file], group)
                while len(self._groups) > _GROUPS_KEPT:
                    self._groups.popitem(last=False)
            self._groups.move_to_end((file, group))
            return self._groups[file, group]


@dataclass(frozen=True)
class NoEncoder(ImageEncoderBase):
    """Stands for an encoder where all embeddings are there, and refuses to make another one.

    Parameters
    ----------
    encoder
        The encoder.
    reason
        Why a picture gets no embedding, as one clause.
    """

    encoder: ImageEncoder
    reason: str

    @property
    def name(self) -> str:
        """How the encoder is called in commands and messages."""
        return self.encoder.name

    @property
    def image_dim(self) -> int:
        """Length of a picture's embedding."""
        return self.encoder.image_dim

    @property
    def image_side(self) -> int:
        """Side of the square that the network sees, in pixels."""
        return self.encoder.image_side

    @property
    def image_fingerprint(self) -> Fingerprint:
        """The space that the embeddings of pictures lie in."""
        return self.encoder.image_fingerprint

    def prepare(self, image: Image.Image) -> Pixels:
        """Raise `ImageError`: a picture that gets here has no embedding."""
        raise ImageError("picture", self.reason)

    def _embed_pixels(self, pixels: Pixels) -> Embeddings:
        raise ImageError("picture", self.reason)
