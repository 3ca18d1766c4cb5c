"""Where a collection keeps its vectors: in its own database, or in a Qdrant server."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Self

from pareja.errors import CollectionError
from pareja.search.catalogue import Catalogue
from pareja.search.database import Database
from pareja.search.parts import EACH
from pareja.search.spaces import Space
from pareja.search.vectors.protocol import VectorStore
from pareja.search.vectors.qdrant import QdrantVectors
from pareja.search.vectors.qdrant_server import QdrantAddress, QdrantServer
from pareja.search.vectors.quantization import checked, choose, chosen
from pareja.search.vectors.sqlite import SqliteVectors

_STORE = "store"


class VectorStores:
    """The stores of a collection, one for each space; any thread may ask for them.

    Parameters
    ----------
    database
        The collection's.
    server
        Where the vectors are; None for the same database.
    """

    def __init__(self, database: Database, server: QdrantServer | None = None) -> None:
        self._database = database
        self._server = server
        self._opened: dict[tuple[str, int], VectorStore] = {}
        self._opening = threading.Lock()

    @classmethod
    def open(
        cls,
        database: Database,
        catalogue: Catalogue,
        wanted: str | None,
        quantization: str | None = None,
    ) -> Self:
        """Connect to where the vectors are, and remember it.

        Parameters
        ----------
        database, catalogue
            The collection's.
        wanted
            An address, ``qdrant://host:6333/name``; None for the one that is remembered.
        quantization
            How the vectors that are searched are compressed from now on; None leaves it as it is.

        Raises
        ------
        CollectionError
            If the collection has its vectors elsewhere, the server does not answer, or has vectors
            of another collection under that name; or if there is no such quantization.
        """
        compressed = None if quantization is None else checked(quantization)
        address = None if wanted is None else QdrantAddress.parse(wanted)
        kept = catalogue.setting(_STORE)
        there = QdrantAddress.parse(kept) if kept else None
        if kept is not None and address is not None and address != there:
            raise CollectionError(
                f"the collection in {database.folder} keeps its vectors in "
                f"{kept or 'its own folder'}, not in {wanted}. Index into another folder to use "
                "that store, or export the collection there."
            )
        address = address or there
        server = None if address is None else QdrantServer(address)
        if server is not None and kept is None:
            _refuse_others(server)
        # Only a store that answered is remembered: with a mistyped one nothing could be done.
        if not database.read_only and kept is None:
            catalogue.set(_STORE, wanted or "")
        stores = cls(database, server)
        if compressed is not None and choose(database, compressed):
            stores._bring_up_to_date(catalogue.spaces())
        return stores

    def _bring_up_to_date(self, spaces: Iterable[Space]) -> None:
        for space in spaces:
            self(space).optimise()
            if space.parts:
                self.parts(space).optimise()

    def __call__(self, space: Space) -> VectorStore:
        """Return the store of the pictures of a space."""
        return self._store(space.fingerprint, space.id, space.dim, 1)

    def parts(self, space: Space) -> VectorStore:
        """Return the store of the parts of these pictures."""
        # To the database it is a space like others, below those that have a row of their own.
        return self._store(f"{space.fingerprint}-parts", -space.id, space.dim, EACH)

    def _store(self, name: str, number: int, dim: int, each: int) -> VectorStore:
        with self._opening:
            store = self._opened.get((name, number))
            if store is None:
                store = (
                    SqliteVectors(self._database, number, dim, each=each)
                    if self._server is None
                    else QdrantVectors(
                        self._server,
                        name,
                        dim,
                        chosen(self._database),
                        create=not self._database.read_only,
                    )
                )
                self._opened[name, number] = store
        return store

    def close(self) -> None:
        """Let go of the server, if there is one."""
        if self._server is not None:
            self._server.close()


def _refuse_others(server: QdrantServer) -> None:
    """Raise where another collection has its vectors: both number their pictures from 1 on."""
    if held := server.held():
        raise CollectionError(
            f"Qdrant at {server.address.url} holds vectors of another collection under the name "
            f"{server.address.name!r} already. Choose another name in the address of the store, or "
            f"delete there: {', '.join(held)}."
        )
