"""Search a graph through the interface of the library that built it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pareja.search.vectors.exact import Keys
from pareja.search.vectors.graph_search import BEAMS, NEIGHBOURS, Bytes, SearchedGraph, Walk
from pareja.search.vectors.mapped import Content

if TYPE_CHECKING:
    from usearch.index import Index


class LibraryGraph(SearchedGraph):
    """The graph in a file of the library `usearch`, searched by the library.

    It is for files whose layout pareja does not know: the answers are as good as those of
    `pareja.search.vectors.walking.Graph`, and take longer.

    Parameters
    ----------
    path, walk
        The graph, and how to search it; see `SearchedGraph`.

    Raises
    ------
    ValueError
        If the library does not know the file either.
    """

    def __init__(self, path: Path, walk: Walk) -> None:
        super().__init__(path, walk)
        # The library's calls share what they remember of a walk.
        self._searching = threading.Lock()
        self._lay_out(self.content)

    def __len__(self) -> int:
        return len(self._index)

    def _lay_out(self, content: Content) -> None:
        index = _viewed(content)
        with self._searching:
            # The library reads the bytes of the index, and does not keep them alive.
            self._index, self._viewed = index, content

    def reached(self, query: Bytes, wanted: int, walk: Walk) -> tuple[Keys, NDArray[np.floating]]:
        """Have the library search; keys and cosines, best first."""
        room = max(BEAMS[-1], wanted)
        with self._searching:
            for beam in (max(walk.beam, wanted), room):
                # The library defines the setter where the type checker does not look for it.
                self._index.expansion_search = beam  # type: ignore[misc]
                found = self._index.search(
                    query[0], min(max(wanted, NEIGHBOURS), len(self)), threads=1
                )
                cosines = 1 - np.asarray(found.distances, np.float64)
                if cosines[:NEIGHBOURS][-1] >= walk.usual:
                    break
        return found.keys[:wanted].astype(np.int64), cosines[:wanted]


def _viewed(content: Content) -> Index:
    from usearch.index import Index

    try:
        index = Index.restore(memoryview(content), view=True)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"the library usearch cannot read the graph: {error}") from error
    if index is None:
        raise ValueError("the library usearch knows no graph in the file")
    return index
