"""Bringing a collection up to date with the pictures on disk."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pareja.datasets import image_size, load_dataset
from pareja.datasets.formats.folders import FileSource
from pareja.datasets.records import Record, Source
from pareja.embedding.cache import EmbeddingCache, Memory, Stamp, Vector
from pareja.embedding.pipeline import DEFAULT_BATCH, OnProgress, at_stage, stream_images
from pareja.embedding.stages import ImageBatch, stacked
from pareja.encoders.protocols import Fingerprint, ImageEncoder
from pareja.errors import CollectionError, DatasetError, ImageError
from pareja.names import printable
from pareja.regions.windows import WindowsEncoder
from pareja.search.catalogue import Catalogue
from pareja.search.contracts import IndexReport
from pareja.search.database import Database
from pareja.search.filing import Filed, Found
from pareja.search.folding import Alike, noticed
from pareja.search.looking import Looking
from pareja.search.parts import EACH, PartVectors
from pareja.search.places import Place, absolute
from pareja.search.spaces import Space
from pareja.search.vectors.protocol import Stores, VectorStore

_TALLIES = ("added", "unchanged", "moved", "updated", "removed", "duplicates", "regions")


@dataclass
class Remover:
    """What takes files out of a collection, and pictures of which no file is left.

    Parameters
    ----------
    database, catalogue, stores
        The collection.
    """

    database: Database
    catalogue: Catalogue
    stores: Stores

    def forget_place(self, location: str | Path) -> int:
        """Forget what was indexed from a place; return how many pictures that removed.

        Raises
        ------
        CollectionError
            If nothing comes from there.
        """
        filed = self.catalogue.files_below(absolute(location))
        if not filed:
            with suppress(DatasetError):
                filed = self.catalogue.files_below(str(load_dataset(location).location))
        if not filed:
            places = ", ".join(self.catalogue.places()) or "no place yet"
            raise CollectionError(
                f"nothing in {self.database.folder} comes from {location}. It was indexed from: "
                f"{places}."
            )
        return self.forget(list(filed), [known.picture for known in filed.values()])

    def forget(self, paths: Sequence[bytes], pictures: Iterable[int]) -> int:
        """Forget files, and those of the pictures that have none left; return how many."""
        touched = set(pictures)
        if not touched and not paths:
            return 0
        with self.database.write():
            self.catalogue.forget_files(paths)
            orphans = self.catalogue.orphans(sorted(touched))
            self._recategorise(self.catalogue.describe(touched - set(orphans)))
            remove_pictures(self.catalogue, self.stores, orphans)
        return len(orphans)

    def _recategorise(self, changed: Mapping[int, str | None]) -> None:
        """Tell every space the new categories of pictures that it has."""
        for space in self.catalogue.spaces() if changed else ():
            if space.parts:
                PartVectors(self.stores.parts(space)).recategorise(changed)
            store = self.stores(space)
            ids = sorted(store.known(list(changed)))
            if ids:
                store.upsert(
                    ids, store.get(ids), [{"category": changed[picture_id]} for picture_id in ids]
                )


@dataclass
class Indexer(Remover):
    """One run of indexing.

    A picture becomes part of the collection together with its vector, a batch of them in one
    transaction: whenever the process ends, what is there is whole, and the next run goes on.

    Parameters
    ----------
    encoder
        What embeds pictures.
    space
        The space that it embeds them in.
    cache
        Embeddings of earlier runs, of any command; new ones are stored in it.
    known_looks
        What pictures look like, as `Looking` takes it.
    """

    encoder: ImageEncoder
    space: Space
    cache: Memory | None = None
    known_looks: EmbeddingCache | None = None
    tally: Counter[str] = field(default_factory=Counter)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    moves: list[tuple[str, str]] = field(default_factory=list)
    _vanished: dict[int, list[bytes]] = field(default_factory=dict)

    def run(
        self,
        places: Sequence[Place],
        *,
        batch_size: int | None = None,
        progress: OnProgress | None = None,
        remove_missing: bool = True,
    ) -> IndexReport:
        """Index what was found at these places."""
        start = time.perf_counter()
        known: dict[bytes, Filed] = {}
        present: set[bytes] = set()
        for place in places:
            filed = self.catalogue.files_below(place.path)
            known |= {
                path: each
                for path, each in filed.items()
                if place.is_all_of(each.location) and not place.may_hold(path)
            }
            present |= self._index(place, filed, batch_size, progress)
        if remove_missing:
            # Only now: what left one place may have come to a later one.
            gone = [path for path in known if path not in present]
            self.tally["removed"] += self.catalogue.count_files(gone)
            self.forget(gone, [known[path].picture for path in gone])
        self.stores(self.space).optimise()
        self._looking.look_at(places, at_stage("near duplicates", progress))
        if self.space.parts:
            self._index_parts(places, batch_size, progress)
        return IndexReport(
            **{name: self.tally[name] for name in _TALLIES},
            skipped=tuple(self.skipped),
            seconds=time.perf_counter() - start,
            model=self.encoder.name,
            moves=tuple(self.moves),
        )

    @property
    def _looking(self) -> Looking:
        return Looking(self.database, self.catalogue, self.known_looks)

    def _index(
        self,
        place: Place,
        filed: Mapping[bytes, Filed],
        batch_size: int | None,
        progress: OnProgress | None,
    ) -> set[bytes]:
        """Index what was found at a place; return the paths that hold pictures."""
        self.skipped += place.skipped
        store = self.stores(self.space)
        embedded = store.known([known.picture for known in filed.values()])
        pending: list[Found] = []
        retold: list[Found] = []
        for found in place.pictures:
            known = filed.get(found.key)
            if known is None or known.picture not in embedded or not known.holds(found):
                pending.append(found)
            elif known.told != found.told and not known.stays(found):
                retold.append(found)
            else:
                self.tally["unchanged"] += 1
        if retold:
            self._retell(retold, filed)
        memory = _Memory(self.catalogue, store, self.cache)
        decoded: set[int] = set()
        for batch in stream_images(
            [found.record.source for found in pending],
            self.encoder,
            batch_size=batch_size,
            cache=memory,
            progress=progress,
            notice=noticed,
        ):
            self._store(batch, pending, filed)
            decoded.update(batch.indices.tolist())
        undecodable = {found.key for n, found in enumerate(pending) if n not in decoded}
        return {found.key for found in place.pictures} - undecodable

    def _index_parts(
        self, places: Sequence[Place], batch_size: int | None, progress: OnProgress | None
    ) -> None:
        """Embed the parts of the pictures at these places that have none yet.

        After the pictures themselves, which can be found meanwhile. All parts of a picture come in
        one transaction.
        """
        parts = PartVectors(self.stores.parts(self.space))
        pending: list[Source] = []
        for place in places:
            filed = self.catalogue.files_below(place.path)
            lacking = {known.picture for known in filed.values()}
            lacking -= parts.known(sorted(lacking))
            for found in place.pictures:
                known = filed.get(found.key)
                if known is not None and known.picture in lacking:
                    lacking.remove(known.picture)
                    pending.append(found.record.source)
        for batch in stream_images(
            pending,
            WindowsEncoder(self.encoder),
            # Of so many pictures the model gets about a batch of windows at once.
            batch_size=max(1, (batch_size or DEFAULT_BATCH) // EACH),
            cache=self.cache,
            progress=at_stage("parts", progress),
        ):
            self.skipped += batch.skipped
            rows = dict(zip(batch.digests, batch.embeddings, strict=True))
            with self.database.write():
                # A picture may have left the collection, or its file may have another by now.
                here = self.catalogue.ids_by_digest(list(rows))
                pictures = self.catalogue.pictures_by_id(list(here.values()))
                vectors = {here[digest]: row for digest, row in rows.items() if digest in here}
                if vectors:
                    parts.upsert(
                        list(vectors),
                        stacked(list(vectors.values()), EACH * self.space.dim),
                        [pictures[picture_id].category for picture_id in vectors],
                    )
                self.tally["regions"] += len(vectors)
        parts.store.optimise()

    def _store(
        self, batch: ImageBatch, pending: Sequence[Found], filed: Mapping[bytes, Filed]
    ) -> None:
        """Store a batch, and keep a note of its pictures that did not decode."""
        self.skipped += batch.skipped
        seen = zip(batch.digests, batch.noticed, strict=True)
        self._looking.keep({digest: look for digest, look in seen if look is not None})
        sizes = {
            digest: size or _size(pending[index].record)
            for index, digest, size in zip(batch.indices, batch.digests, batch.sizes, strict=True)
        }
        store = self.stores(self.space)
        with self.database.write():
            here = self.catalogue.ids_by_digest(batch.digests)
            embedded = store.known(list(here.values()))
            vectors: dict[int, Vector] = {}
            left: list[int] = []
            looks: dict[int, bytes] = {}
            for index, digest, vector, look in zip(
                batch.indices, batch.digests, batch.embeddings, batch.noticed, strict=True
            ):
                found = pending[index]
                picture_id = here.get(digest)
                self.tally[self._kind(found, picture_id, picture_id in embedded, filed)] += 1
                if picture_id is None:
                    picture_id = here[digest] = self.catalogue.add_picture(digest, *sizes[digest])
                if picture_id not in embedded:
                    vectors[picture_id] = vector
                    embedded.add(picture_id)
                if look is not None:
                    looks[picture_id] = look
                if found.key in filed and filed[found.key].picture != picture_id:
                    left.append(filed[found.key].picture)
                self.catalogue.file(found, picture_id, filed.get(found.key))
            Alike(self.database).add(looks)
            changed = self.catalogue.describe(here.values())
            pictures = self.catalogue.pictures_by_id(list(vectors))
            if vectors:
                store.upsert(
                    list(vectors),
                    stacked(list(vectors.values()), self.space.dim),
                    [{"category": pictures[picture_id].category} for picture_id in vectors],
                )
            self._recategorise(
                {
                    picture_id: changed[picture_id]
                    for picture_id in changed
                    if picture_id not in vectors
                }
            )
            self.forget([], left)

    def _kind(
        self, found: Found, picture_id: int | None, embedded: bool, filed: Mapping[bytes, Filed]
    ) -> str:
        """Return what has happened to a file, as the report counts it."""
        known = filed.get(found.key)
        if known is not None and known.picture != picture_id:
            return "updated"
        if picture_id is None or not embedded:
            return "added"
        if known is not None:
            return "unchanged"
        if picture_id not in self._vanished:
            # Looking at all other copies for each copy would cost their number squared.
            self._vanished[picture_id] = self.catalogue.vanished_files(picture_id)
            self.catalogue.forget_files(self._vanished[picture_id])
        if not self._vanished[picture_id]:
            return "duplicates"
        before = self._vanished[picture_id].pop(0)
        self.moves.append((printable(os.fsdecode(before)), printable(found.path)))
        return "moved"

    def _retell(self, retold: Sequence[Found], filed: Mapping[bytes, Filed]) -> None:
        """Take over metadata that changed while the pictures did not."""
        with self.database.write():
            for found in retold:
                self.catalogue.file(found, filed[found.key].picture)
            self._recategorise(
                self.catalogue.describe(filed[found.key].picture for found in retold)
            )
        self.tally["updated"] += len(retold)


def remove_pictures(catalogue: Catalogue, stores: Stores, ids: Sequence[int]) -> None:
    """Remove pictures, and the vectors of them and of their parts in every space."""
    if not ids:
        return
    for space in catalogue.spaces():
        stores(space).remove(ids)
        if space.parts:
            PartVectors(stores.parts(space)).remove(ids)
    catalogue.forget_pictures(ids)


def _size(record: Record) -> tuple[int, int]:
    """Return width and height; zeros when the file has gone since it was embedded."""
    source = record.source
    try:
        return image_size(source.path if isinstance(source, FileSource) else source)
    except ImageError:
        return 0, 0


class _Memory:
    """What is known already, as the embedding pipeline asks for it: the collection, and a cache."""

    def __init__(self, catalogue: Catalogue, store: VectorStore, cache: Memory | None) -> None:
        self._catalogue = catalogue
        self._store = store
        self._cache = cache

    def known_digest(self, stamp: Stamp) -> str | None:
        """Return the SHA-256 of a file that the cache knows and that did not change, or None.

        What did not change since it was indexed does not get here.
        """
        return None if self._cache is None else self._cache.known_digest(stamp)

    def find(self, fingerprint: Fingerprint, digests: Sequence[str]) -> dict[str, Vector]:
        """Return the vectors of pictures that are in the collection under any name, or cached."""
        ids = self._catalogue.ids_by_digest(digests)
        known = self._store.known(list(ids.values())) if ids else set()
        here = {digest: picture_id for digest, picture_id in ids.items() if picture_id in known}
        found = dict(zip(here, self._store.get(list(here.values())), strict=True))
        if self._cache is not None:
            rest = [digest for digest in digests if digest not in found]
            found |= self._cache.find(fingerprint, rest)
        return found

    def store(
        self,
        fingerprint: Fingerprint,
        embeddings: Mapping[str, Vector],
        files: Iterable[tuple[Stamp, str]] = (),
    ) -> None:
        """Keep embeddings in the cache. The collection takes whole batches, with their files."""
        if self._cache is not None:
            self._cache.store(fingerprint, embeddings, files)
