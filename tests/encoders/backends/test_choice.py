from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pareja.encoders import backends
from pareja.encoders.backends import choose, runtime
from pareja.errors import EncoderError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a machine with the given accelerator, and abilities of its CPU."""

    def make(accelerator: str | None = None, bfloat16: bool = False) -> None:
        monkeypatch.setattr(backends, "_accelerator", lambda: accelerator)
        monkeypatch.setattr(backends, "_cpu_has_bfloat16", lambda: bfloat16)

    return make


@pytest.mark.parametrize(
    ("has", "device", "precision"),
    [
        ({"accelerator": "cuda"}, "cuda", "bfloat16"),
        ({"accelerator": "mps", "bfloat16": True}, "mps", "float32"),
        ({"bfloat16": True}, "openvino", "bfloat16"),
        ({}, "openvino", "float32"),
    ],
)
def test_the_fastest_is_chosen(machine: Any, has: Any, device: str, precision: str) -> None:
    machine(**has)
    assert choose() == (device, precision)


def test_both_can_be_overridden(machine: Any) -> None:
    machine(accelerator="cuda", bfloat16=True)
    assert choose("cpu") == ("cpu", "float32")
    assert choose("openvino") == ("openvino", "bfloat16")
    assert choose("cpu", "bfloat16") == ("cpu", "bfloat16")
    assert choose(precision="float32") == ("cuda", "float32")


def test_what_is_not_there_is_one_clear_line(machine: Any) -> None:
    machine()
    with pytest.raises(EncoderError, match="no 'cuda' device"):
        choose("cuda")
    with pytest.raises(EncoderError, match="Devices are cuda, mps, openvino, cpu"):
        choose("tpu")
    with pytest.raises(EncoderError, match="Precisions are float32, bfloat16, int8"):
        choose("cpu", "int4")
    with pytest.raises(EncoderError, match="only an image network computes in int8"):
        choose("openvino", "int8")


def test_torch_is_not_asked_where_there_can_be_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(Path, "exists", lambda path: False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert backends._accelerator() is None


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, False, "cuda"), (False, True, "mps"), (False, False, None)]
)
def test_torch_is_asked_where_there_may_be_one(
    cuda: bool, mps: bool, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch: Any = ModuleType("torch")
    torch.cuda = SimpleNamespace(is_available=lambda: cuda)
    torch.backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps))
    torch.__spec__ = ModuleSpec("torch", None)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert backends._accelerator() == expected


def test_a_gpu_without_torch_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert backends._accelerator() is None


def test_the_cpu_is_asked_through_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino: Any = ModuleType("openvino")
    capabilities = ["FP32", "BF16"]
    openvino.Core = lambda: SimpleNamespace(get_property=lambda device, name: capabilities)
    monkeypatch.setattr(runtime, "openvino", openvino)
    assert backends._cpu_has_bfloat16()
    capabilities.remove("BF16")
    assert not backends._cpu_has_bfloat16()
