"""Pictures inside archives and tables, whose contents are listed once and not for each picture."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import TypeAlias

from pareja.datasets import load_dataset
from pareja.datasets.formats import SHARD_SUFFIXES
from pareja.datasets.records import Source
from pareja.embedding.cache import Stamp

_Dataset: TypeAlias = "tuple[str, str | None]"

_KEPT = 4


class Members:
    """Finds pictures by their names in datasets that are no plain folders.

    The last few datasets are kept, and listed again when one of their files has changed. May be
    used by several threads.
    """

    def __init__(self) -> None:
        self._listed: OrderedDict[_Dataset, tuple[tuple[Stamp, ...], Mapping[str, Source]]] = (
            OrderedDict()
        )
        self._lock = Lock()

    def find(self, location: str, split: str | None, name: str) -> Source | None:
        """Return where a picture's bytes are; None if the dataset has no such picture any more.

        Parameters
        ----------
        location
            The archive, table, folder of shards or address of the dataset.
        split
            The part of it that was indexed; None for all of it. Two splits of a dataset of the hub
            may have pictures of the same name.
        name
            The picture's name in it.

        Raises
        ------
        DatasetError
            If the dataset cannot be read any more.
        """
        # Held while a dataset is listed: a page of thumbnails asks for one dataset many times.
        with self._lock:
            now = _stamps(Path(location))
            before, sources = self._listed.pop((location, split), (None, {}))
            if before != now:
                dataset = load_dataset(location, split=split, on_missing="keep")
                sources = {record.file_name: record.source for record in dataset}
            if all(stamp.settled for stamp in now):
                self._listed[location, split] = now, sources
                while len(self._listed) > _KEPT:
                    self._listed.popitem(last=False)
        return sources.get(name)


def _stamps(path: Path) -> tuple[Stamp, ...]:
    """Return what tells whether a dataset has changed; nothing where it is on no disk."""
    files = (
        [file for file in path.rglob("*") if file.suffix.lower() in SHARD_SUFFIXES]
        if path.is_dir()
        else [path]
    )
    return tuple(stamp for file in sorted(files) if (stamp := Stamp.of(file)) is not None)
