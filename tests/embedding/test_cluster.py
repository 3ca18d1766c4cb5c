from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.embedding.counting_encoder import CountingEncoder
from tests.embedding.ray_nodes import Nodes
from tests.embedding.test_parts import pack, shards
from tests.fused_colours import FusedColours

from pareja import arrays
from pareja.embedding import cluster, embed_on_cluster, embed_parts
from pareja.embedding.cluster import Setup, described, embedded
from pareja.embedding.partitions import planned
from pareja.embedding.parts import Done, Work
from pareja.embedding.ray_cluster import share_of
from pareja.encoders import load
from pareja.errors import (
    ClusterError,
    EncoderError,
    InputError,
    MachineError,
    MissingDependencyError,
)

Paint = Callable[..., list[Path]]


@pytest.fixture
def setup(tmp_path: Path, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """What a worker gets, here in the tests' own process."""
    monkeypatch.setattr(cluster, "load", lambda name, **options: encoder)
    monkeypatch.setattr(cluster, "_machine", lambda: "the machine 10.0.0.7")
    monkeypatch.setattr(arrays, "_limit", None)
    cluster._encoder.cache_clear()
    (tmp_path / "out").mkdir()
    return Setup("counting", None, 1, str(tmp_path / "out"), None, False, version("pareja"))


def work_on(folder: Path, setup: Setup, encoder: CountingEncoder) -> Work:
    plan = planned(folder, partition_size=3)
    return Work.of(plan, setup.out, (1, 1), encoder.name, encoder.image_fingerprint)


def test_a_worker_writes_the_shards_of_one_machine(
    paint: Paint, tmp_path: Path, setup: Setup, encoder: CountingEncoder
) -> None:
    paths = paint(8)
    paths[4].write_text("no picture")
    assert described(setup) == ("counting", encoder.image_fingerprint)
    for task in work_on(paths[0].parent, setup, encoder).tasks:
        done = embedded(task, setup)
        assert isinstance(done, Done)
        assert [name for name, _ in done.skipped] == [str(paths[4])] * (done.number == 2)
    embed_parts(paths[0].parent, encoder, tmp_path / "one", partition_size=3)
    assert shards(tmp_path / "out") == shards(tmp_path / "one")


def test_a_worker_that_differs_says_on_which_machine(
    paint: Paint, setup: Setup, encoder: CountingEncoder, tmp_path: Path
) -> None:
    (task,) = work_on(paint(2)[0].parent, setup, encoder).tasks

    def told(setup: Setup) -> str:
        cluster._encoder.cache_clear()
        error = embedded(task, setup)
        assert isinstance(error, ClusterError)
        return str(error)

    assert "10.0.0.7 has pareja" in told(replace(setup, pareja="0"))
    assert "10.0.0.7 does not see the folder" in told(replace(setup, out=str(tmp_path / "none")))
    encoder.revision = "2"
    assert "on the machine 10.0.0.7, and counting@" in told(setup)
    encoder.revision = "1"
    (tmp_path / "pictures").rename(tmp_path / "elsewhere")
    assert f"10.0.0.7 does not see the folder {tmp_path / 'pictures'}" in told(setup)
    assert not list((tmp_path / "out").iterdir())


def test_captions_count_on_workers_too(
    colour_folder: Path, setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = FusedColours()
    monkeypatch.setattr(cluster, "load", lambda name, **options: encoder)
    together = replace(setup, captions=True)
    name, space = encoder.name, encoder.image_fingerprint
    assert described(together) == (name, space)
    work = Work.of(planned(colour_folder), setup.out, (1, 1), name, space, captions=True)
    assert isinstance(embedded(work.tasks[0], together), Done)
    embed_parts(colour_folder, encoder, tmp_path / "one", captions=True)
    assert shards(tmp_path / "out") == shards(tmp_path / "one")


def test_a_model_without_captions_is_refused_by_the_worker(setup: Setup) -> None:
    error = described(replace(setup, captions=True))
    assert isinstance(error, EncoderError)
    assert "no vector of a picture and a text together" in str(error)


def test_a_machine_that_falls_short_fails_its_partition_alone(
    paint: Paint, setup: Setup, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (task,) = work_on(paint(2)[0].parent, setup, encoder).tasks

    def fall_short(*_: object, **__: object) -> Done:
        raise MachineError("0000.png", "the disk does not answer")

    monkeypatch.setattr(cluster, "embed_partition", fall_short)
    done = embedded(task, setup)
    assert isinstance(done, Done)
    assert done.failure is not None
    assert done.failure.startswith("the machine 10.0.0.7: 0000.png: the disk")


def test_what_ends_a_task_is_told(
    paint: Paint, setup: Setup, encoder: CountingEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")
    (task,) = (work := work_on(paint(2)[0].parent, setup, encoder)).tasks

    def ends_with(ending: Exception | Done) -> Done:
        def get(_: object) -> Done:
            if isinstance(ending, Exception):
                raise ending
            return ending

        monkeypatch.setattr(ray, "get", get)
        return cluster._done(ray, None, task, work)

    imports = ImportError("failed to import on the worker\nNo module named 'pareja'")
    with pytest.raises(ClusterError, match="has no package 'pareja'"):
        ends_with(ray.exceptions.RayTaskError("embedded", "traceback: " + str(imports), imports))
    crashed = ends_with(ray.exceptions.WorkerCrashedError())
    assert crashed.failure is not None
    assert crashed.failure.startswith("its worker died 4 times")
    monkeypatch.setattr(cluster, "_PATIENCE", 0)
    with pytest.raises(ClusterError, match="a worker wrote part-00001"):
        ends_with(Done(1, "elsewhere"))


def node(cpus: float, gpus: float = 0, *, alive: bool = True) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"CPU": cpus, "GPU": gpus} if gpus else {"CPU": cpus}}


@pytest.mark.parametrize(
    ("nodes", "cores", "device", "share"),
    [
        ([node(64), node(32)], None, None, {"num_cpus": 4}),
        ([node(64), node(2)], None, None, {"num_cpus": 2}),
        ([node(2)], None, None, {"num_cpus": 2}),
        ([node(64), node(2)], 16, None, {"num_cpus": 16}),
        (
            [node(64), node(1, alive=False), {"Alive": True, "Resources": {}}],
            None,
            None,
            {"num_cpus": 4},
        ),
        ([node(16), node(96, 8), node(30, 4)], None, None, {"num_cpus": 7, "num_gpus": 1}),
        ([node(16, 4)], 2, "cuda", {"num_cpus": 2, "num_gpus": 1}),
        ([node(16, 4)], None, "cpu", {"num_cpus": 4}),
    ],
)
def test_what_a_worker_gets(
    nodes: list[dict[str, Any]], cores: int | None, device: str | None, share: dict[str, int]
) -> None:
    assert share_of(nodes, cores, device) == share


def test_what_no_machine_has_is_refused() -> None:
    with pytest.raises(InputError, match=r"`cores` is 5\. The largest machine.* has 4"):
        share_of([node(4), node(2)], 5, None)
    with pytest.raises(ClusterError, match="no machine with a GPU"):
        share_of([node(4)], None, "cuda")
    with pytest.raises(ClusterError, match="no machine with a core"):
        share_of([node(4, alive=False)], None, None)


def test_a_network_keeps_to_the_cores_of_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    from pareja.encoders.backends.openvino_tower import settings

    monkeypatch.setattr(arrays, "_limit", None)
    assert "INFERENCE_NUM_THREADS" not in settings("float32")
    arrays.limit_cores(1)
    assert settings("float32")["INFERENCE_NUM_THREADS"] == arrays.available_cores() == 1


def test_without_ray_it_is_one_line(
    paint: Paint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r"pareja\[cluster\]"):
        embed_on_cluster(paint(1), "starter", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("address", ["photos", "ray://10.0.0.1:10001", ":6379", "host:"])
def test_what_is_no_address(address: str, paint: Paint, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(InputError, match="HOST:PORT"):
        embed_on_cluster(paint(1), "starter", tmp_path / "out", address=address)


def test_where_no_cluster_answers(paint: Paint, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ClusterError, match="Start Ray on its machines"):
            embed_on_cluster(paint(1), "starter", tmp_path / "out", address=address)


def test_options_that_do_not_go_together(command: Callable[..., str], tmp_path: Path) -> None:
    given = (tmp_path, "-o", tmp_path / "out")
    for wrong in (
        ("--cluster", "--part", "1/2"),
        ("--cluster", "--workers", 2),
        ("--cluster", "--force"),
        ("--address", "10.0.0.1:6379"),
        ("--cores", 2),
    ):
        assert "--" in command(*given, *wrong, status=2)


# From here on with Ray, two nodes on this machine.


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    both = Nodes()
    yield both
    both.stop()


def wait_for(count: int, out: Path, running: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 100
    while len(list(out.glob("part-*"))) < count:
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.05)


@pytest.mark.cluster
@pytest.mark.filterwarnings("default")
def test_a_node_and_then_the_command_are_killed(nodes: Nodes, tmp_path: Path) -> None:
    folder, tars, out = tmp_path / "pictures", tmp_path / "tars", tmp_path / "out"
    folder.mkdir()
    noise = np.random.default_rng(0)
    paths = [folder / f"{number:03}.jpg" for number in range(96)]
    for path in paths:
        Image.fromarray(noise.integers(0, 256, (64, 64, 3), np.uint8)).save(path)
    paths[10].write_text("no picture")
    # Half of them as WebDataset shards, which the workers fetch as if from other storage.
    for number in range(12):
        some = paths[48 + 4 * number :][:4]
        pack(tars, f"{number:02}.tar", some)
        for path in some:
            path.unlink()
    sources = [str(folder), tars.as_uri()]
    command = [sys.executable, "-m", "pareja", "embed", *sources, "-o", str(out)]
    command += ["--cluster", "--address", nodes.address, "--partition-size", "4"]
    start = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(3, out, start)
    nodes.kill_last()
    wait_for(9, out, start)
    os.kill(start.pid, signal.SIGKILL)
    start.communicate()
    before = {path.name for path in out.glob("part-*")}
    assert len(before) < 24
    # The first goes on, the second finds nothing to do.
    told = [
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
        for _ in range(2)
    ]
    assert [run.stdout.count("\n") for run in told] == [1, 1]
    assert ": 0 pictures in 0 shards, 24 there before" in told[1].stdout
    embed_parts(sources, load("starter"), tmp_path / "one", partition_size=4)
    assert shards(out) == shards(tmp_path / "one")
