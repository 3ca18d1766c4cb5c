"""What the tests of the Qdrant store share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.search.vectors.fake_qdrant import FakeQdrant


@pytest.fixture
def fake() -> Iterator[FakeQdrant]:
    """A stand-in for a server; a request that a server would not take fails the test."""
    with FakeQdrant().run() as fake:
        yield fake
    assert fake.complaints == []
