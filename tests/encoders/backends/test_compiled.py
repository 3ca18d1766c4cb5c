from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pareja.checksums import MARKER, write_marker
from pareja.encoders.backends import compiled
from pareja.encoders.backends.compiled import open_compiled
from pareja.encoders.backends.openvino_tower import settings
from pareja.encoders.backends.runtime import openvino

ops = openvino.opset13
SETTINGS = settings("float32")
SAMPLE = {"numbers": np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)}


def write_network(folder: Path, seed: int = 0) -> Path:
    """Write a network of two layers as converted ones are; return the path of its description."""
    random = np.random.default_rng(seed)
    numbers = ops.parameter([-1, 40], np.float32, name="numbers")
    numbers.output(0).get_tensor().set_names({"numbers"})
    flow = numbers
    for _ in range(2):
        weights = ops.constant(random.normal(size=(40, 40)).astype(np.float32))
        flow = ops.relu(ops.matmul(flow, weights, False, True))
    folder.mkdir(parents=True)
    openvino.save_model(openvino.Model([flow], [numbers]), folder / "network.xml", False)
    write_marker(folder)
    return folder / "network.xml"


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_network(tmp_path / "some-f32")


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every network that is compiled."""
    seen: list[Path] = []
    compile_it = compiled._compile

    def noting(path: Path, *rest: Any) -> Any:
        seen.append(path)
        return compile_it(path, *rest)

    monkeypatch.setattr(compiled, "_compile", noting)
    return seen


def answer(network: Path, how: dict[str, Any] = SETTINGS) -> bytes:
    found = open_compiled(network, how, SAMPLE)
    assert found is not None
    return bytes(found(SAMPLE)[0].tobytes())


def kept(network: Path) -> list[Path]:
    return sorted(network.parent.parent.rglob("*.blob"))


def test_it_is_compiled_once_and_computes_the_same(network: Path, compilations: list[Path]) -> None:
    first = answer(network)
    assert answer(network) == answer(network) == first
    assert compilations == [network]
    assert len(kept(network)) == 1


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_damaged_one_is_compiled_and_kept_anew(
    network: Path, compilations: list[Path], place: int
) -> None:
    first = answer(network)
    (blob,) = kept(network)
    written = blob.read_bytes()
    damaged = bytearray(written)
    damaged[place] ^= 1
    for content in (bytes(damaged), written[:-9], b""):
        blob.write_bytes(content)
        assert answer(network) == answer(network) == first
    assert len(compilations) == 4


def test_one_that_openvino_cannot_read_is_compiled_anew(
    network: Path, compilations: list[Path]
) -> None:
    first = answer(network)
    (blob,) = kept(network)
    other = b"what another version may have written"
    blob.write_bytes(hashlib.sha256(other).digest() + other)
    assert answer(network) == first
    assert len(compilations) == 2


def test_other_settings_and_other_weights_are_compiled_for_themselves(
    network: Path, tmp_path: Path, compilations: list[Path]
) -> None:
    first = answer(network)
    assert np.allclose(
        np.frombuffer(answer(network, {**SETTINGS, "INFERENCE_NUM_THREADS": 1}), np.float32),
        np.frombuffer(first, np.float32),
        rtol=1e-5,
    )
    network.parent.rename(tmp_path / "gone")
    again = write_network(network.parent, seed=1)
    assert answer(again) != first
    assert len(compilations) == len(kept(network)) == 3


@pytest.mark.parametrize("name", ["network.bin", "network.xml", MARKER])
def test_a_network_that_is_not_as_it_was_written_is_refused(network: Path, name: str) -> None:
    answer(network)
    damaged = bytearray((network.parent / name).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (network.parent / name).write_bytes(damaged)
    assert open_compiled(network, SETTINGS, SAMPLE) is None
    (network.parent / name).write_bytes(damaged[:-100])
    assert open_compiled(network, SETTINGS, SAMPLE) is None
    (network.parent / name).unlink()
    assert open_compiled(network, SETTINGS, SAMPLE) is None


def test_what_nobody_has_read_for_a_month_is_removed_when_another_is_kept(tmp_path: Path) -> None:
    def aged(blob: Path, days: float) -> Path:
        os.utime(blob, (time.time() - days * 86400,) * 2)
        return blob

    network = write_network(tmp_path / "2099.1" / "some-f32")
    for version in ("2026.1", "2027.1"):
        (tmp_path / version / "compiled").mkdir(parents=True)
        (tmp_path / version / "compiled" / "1.blob").write_bytes(b"of that version")
    old, recent = (tmp_path / version / "compiled" / "1.blob" for version in ("2026.1", "2027.1"))
    answer(network)
    (own,) = network.parent.parent.glob("compiled/*.blob")
    for blob, days in ((old, 31), (recent, 29), (own, 40)):
        aged(blob, days)
    answer(network)  # read, and so not unused any more
    assert old.exists()
    answer(network, {**SETTINGS, "INFERENCE_NUM_THREADS": 1})
    assert (old.exists(), recent.exists(), own.exists()) == (False, True, True)
    assert len(list(network.parent.parent.glob("compiled/*.blob"))) == 2


def test_a_damaged_network_is_not_kept_as_compiled(network: Path) -> None:
    weights = network.with_suffix(".bin")
    damaged = bytearray(weights.read_bytes())
    damaged[100] ^= 1
    weights.write_bytes(damaged)
    assert open_compiled(network, SETTINGS, SAMPLE) is None
    assert kept(network) == []


def test_what_computes_something_else_when_it_is_read_is_not_kept(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_compiled(write_network(tmp_path / "other-f32", seed=1), SETTINGS, SAMPLE)
    before = kept(network)
    monkeypatch.setattr(compiled, "_imported", lambda *_: other)
    answer(network)
    assert kept(network) == before


def test_where_nothing_can_be_kept_it_is_compiled_each_time(
    network: Path, compilations: list[Path]
) -> None:
    (network.parent.parent / "compiled").write_text("in the way")
    assert answer(network) == answer(network)
    assert len(compilations) == 2


def test_several_at_once(network: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = {each.result() for each in [pool.submit(answer, network) for _ in range(8)]}
    assert answers == {answer(network)}
    assert len(kept(network)) == 1
    assert not list(network.parent.parent.glob("compiled/.*"))
