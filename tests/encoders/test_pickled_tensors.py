from __future__ import annotations

import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pareja.encoders.pickled_tensors import read_tensors


def saved(content: Any, *, zipped: bool = False) -> bytes:
    stream = BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def test_tensors_of_any_shape_and_order_in_memory() -> None:
    whole = torch.arange(24.0).reshape(2, 3, 4)
    tensors = {
        "whole": whole,
        "turned": whole.permute(2, 0, 1),
        "part": whole[1, 1:, ::2],
        "one": torch.tensor(2.5),
        "whole numbers": torch.tensor([1, -(2**40)]),
        "none": torch.zeros(0, 3),
    }
    arrays = read_tensors(saved(tensors))
    assert list(arrays) == list(tensors)
    for name, tensor in tensors.items():
        assert arrays[name].dtype == tensor.numpy().dtype
        assert arrays[name].flags.c_contiguous
        np.testing.assert_array_equal(arrays[name], tensor.numpy())


def test_what_would_run_code_is_refused(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(tmp_path / "ran"),)

    for content in ({"x": Malicious()}, {"x": torch.zeros(2), "y": Malicious()}):
        with pytest.raises(pickle.UnpicklingError, match="which is no tensor"):
            read_tensors(saved(content))
    with pytest.raises(pickle.UnpicklingError, match="which is no tensor"):
        read_tensors(pickle.dumps(Malicious()))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [pickle.dumps(1) * 5, saved({"x": torch.zeros(2)})[:-1]])
def test_files_that_are_something_else_or_cut_off(content: bytes) -> None:
    with pytest.raises((pickle.UnpicklingError, ValueError)):
        read_tensors(content)


def test_the_zip_format_is_refused() -> None:
    with pytest.raises(pickle.UnpicklingError):
        read_tensors(saved({"x": torch.zeros(2)}, zipped=True))


def test_a_tensor_cannot_reach_beyond_its_storage() -> None:
    content = saved({"x": torch.arange(3.0)})
    shape = b"K\x03\x85q"  # the tuple (3,) in the pickle
    assert content.count(shape) == 1
    with pytest.raises((TypeError, ValueError)):
        read_tensors(content.replace(shape, b"K\x04\x85q"))
