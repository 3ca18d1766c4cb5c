from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pareja.search import Collection
from pareja.search.mapping import PictureMap, picture_map

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


def test_a_map_fills_its_square_and_leaves_evenly_many_out(
    tmp_path: Path,
    colour_folder: Path,
    colours: ColourEncoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Collection.open(tmp_path / "collection", create=True) as collection:
        collection.index([colour_folder], colours)
        pictures = {picture.id: picture for picture in collection.pictures()}
        ids, vectors = collection.embeddings(colours)
    found = picture_map(lambda some: {n: pictures[n] for n in some}, ids, vectors)
    assert [point.picture.id for point in found.points] == ids.tolist()
    assert found.total == len(ids)
    assert 0 < found.explained <= 1
    places = np.array([(point.x, point.y) for point in found.points])
    np.testing.assert_allclose(places.max(axis=0), 1)
    assert places.min() >= -1
    some = picture_map(lambda _: {int(ids[0]): pictures[int(ids[0])]}, ids, vectors)
    assert [point.picture.id for point in some.points] == [int(ids[0])]
    monkeypatch.setattr("pareja.search.mapping.MAX_MAPPED", 2)
    fewer = picture_map(lambda some: {n: pictures[n] for n in some}, ids, vectors)
    assert [point.picture.id for point in fewer.points] == [int(ids[0]), int(ids[-1])]
    assert fewer.total == len(ids)


def test_no_picture_and_one() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert picture_map(lambda _: {}, none, np.zeros((0, 3), np.float32)) == PictureMap((), 0, 1.0)
