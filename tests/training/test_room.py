from __future__ import annotations

import gc
import os
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pareja.errors import EncoderError, OutputError
from pareja.training import room


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(room, "KEPT_IN_MEMORY", 40)
    return tmp_path


def test_small_arrays_stay_in_memory_and_large_ones_hold_what_they_are_given(
    temporary: Path,
) -> None:
    assert not isinstance(room.room_for("numbers", (10,), np.float32), np.memmap)
    large = room.room_for("numbers", (11, 2), np.float32)
    assert isinstance(large, np.memmap)
    large[3:5] = 7
    assert (large.shape, large.dtype, large.sum()) == ((11, 2), np.float32, 28)


@pytest.mark.skipif(os.name != "posix", reason="an open file has a name elsewhere")
def test_a_large_array_leaves_no_file_behind(temporary: Path) -> None:
    large = room.room_for("numbers", (100,), np.float32)
    large[:] = 1
    assert list(temporary.iterdir()) == []
    del large
    gc.collect()
    assert list(temporary.iterdir()) == []


def test_a_disk_without_space_is_said_before(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1_500_000_000))
    with pytest.raises(OutputError, match=r"need 4,000.0 MB, and 1,500.0 MB are free") as found:
        room.room_for("the numbers", (10**9,), np.float32)
    assert str(temporary) in str(found.value)


def test_short_memory_is_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    room.require_memory(1000)
    monkeypatch.setattr("pareja.training.room.has_memory", lambda amount: amount < 10**9)
    with pytest.raises(EncoderError, match=r"at least 5,000\.0 MB more memory"):
        room.require_memory(5 * 10**9)
