from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator

import pytest

import pareja.training
from pareja.errors import MissingDependencyError


@pytest.fixture
def whole() -> Iterator[None]:
    yield
    importlib.reload(pareja.training)


@pytest.mark.usefixtures("whole")
@pytest.mark.parametrize("package", ["torch", "peft"])
def test_without_what_it_needs_it_says_what_to_install(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    with monkeypatch.context() as change:
        change.setattr(
            importlib.util, "find_spec", lambda name: None if name == package else find(name)
        )
        with pytest.raises(MissingDependencyError, match=rf"{package} is needed .*pareja\[tune\]"):
            importlib.reload(pareja.training)
