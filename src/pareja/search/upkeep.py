"""What keeps a collection sound and takes it elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

from pareja.embedding.natural import Model
from pareja.errors import InputError
from pareja.search.contracts import VerifyReport
from pareja.search.export import ExportReport, is_file, to_collection, to_parquet
from pareja.search.indexing import Remover
from pareja.search.judged import JudgedPictures
from pareja.search.verification import verify


class Upkeep(JudgedPictures):
    """The part of a collection that forgets, checks and exports.

    Parameters
    ----------
    database, catalogue, stores
        The parts of the collection.
    """

    def forget(self, location: str | Path) -> int:
        """Remove what was indexed from a place, whether the place is still there or not.

        Parameters
        ----------
        location
            As it was indexed, or a folder above or below that.

        Returns
        -------
        int
            How many pictures left the collection. Those that lie at other places too stay.

        Raises
        ------
        CollectionError
            If nothing comes from there.
        """
        return Remover(self._database, self._catalogue, self._stores).forget_place(location)

    def verify(self, *, repair: bool = False) -> VerifyReport:
        """Check everything; with `repair`, throw away and rebuild what is derived.

        Rows without a picture or a file are removed; a damaged database is reported and left as it
        is, as is all of a collection that can only be read.
        """
        repair = repair and not self._database.read_only
        return verify(self._database, self._catalogue, self._stores, repair=repair)

    def export(
        self,
        out: str | os.PathLike[str],
        *,
        model: Model | None = None,
        store: str | None = None,
        atlas: bool = False,
        force: bool = False,
    ) -> ExportReport:
        """Take the collection elsewhere; nothing is embedded, and it stays as it is.

        Parameters
        ----------
        out
            A ``.parquet`` file (needs ``pyarrow``): one row for each picture, with ``file_name``,
            ``sha256``, ``embedding``, metadata and size, and the fingerprint in the file's own
            metadata; `pareja.Embedded.load` and `pareja.load_dataset` read it. Or a new folder: a
            copy of the collection, with the vectors of all encoders and all judgements.
        model
            Whose vectors go into the file; by default those of the first encoder.
        store
            Where the copy keeps its vectors: ``qdrant://host:6333/name``; by default in its folder.
        atlas
            Whether the file also gets ``x``, ``y`` and ``neighbors``, which embedding-atlas shows:
            the first two principal components, and the 15 nearest rows with their distances.
        force
            Replace a file that exists. A folder is never replaced.

        Raises
        ------
        CollectionError
            If the collection has no vectors of that encoder, or the store does not answer or holds
            vectors under that name already.
        InputError
            If `model` or `atlas` is given for a folder, or `store` for a file.
        OutputError
            If the file or the folder exists, or cannot be written.
        MissingDependencyError
            If ``pyarrow`` or ``qdrant-client`` is needed and not installed.
        """
        path = Path(out).expanduser()
        if not is_file(path):
            if model is not None:
                raise InputError("a copy has the vectors of all models. Leave model out.")
            if atlas:
                raise InputError(
                    "atlas adds columns to a .parquet file. Leave it out, or name one."
                )
            with self._database.read():
                return to_collection(path, self._database, self._catalogue, self._stores, store)
        if store is not None:
            raise InputError("a Parquet file needs no store. Leave store out, or name a folder.")
        spaces = self._catalogue.spaces()
        if not spaces:
            raise self._catalogue.nothing_yet()
        named = [space for space in spaces if space.model == model]
        if model is None:
            space = spaces[0]
        else:
            space = named[-1] if named else self._catalogue.space_of(self.encoder(model))
        with self._database.read():
            return to_parquet(
                path, self._catalogue, space, self._stores(space), atlas=atlas, force=force
            )
