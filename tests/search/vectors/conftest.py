"""What the tests of several stores share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.search.vectors.fake_qdrant import FakeQdrant

from pareja.search.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """The database of a collection that has nothing in it."""
    with Database(tmp_path / "collection", create=True) as database:
        yield database


@pytest.fixture
def fake() -> Iterator[FakeQdrant]:
    """A stand-in for a server; a request that a server would not take fails the test."""
    with FakeQdrant().run() as fake:
        yield fake
    assert fake.complaints == []
