"""A Ray cluster: reaching it, or making one of this machine, and what its workers get."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from pareja.arrays import available_cores
from pareja.errors import ClusterError, InputError, MissingDependencyError

CORES = 4
"""Cores of a worker unless told otherwise, where there is no GPU."""

_LONGEST = 40
"""Letters of a folder that the names of Ray's sockets may begin with."""


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Connect to a cluster, or make one of this machine; leave it as it was found.

    Parameters
    ----------
    address
        Where its head is, ``HOST:PORT``; by default what ``RAY_ADDRESS`` names, else this machine.

    Yields
    ------
    module
        ``ray``, connected.

    Raises
    ------
    ClusterError
        If nobody answers there.
    InputError
        If it is no such address.
    MissingDependencyError
        If ``ray`` is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError("ray", "to embed on a cluster", "cluster") from error
    if ray.is_initialized():
        yield ray
        return
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    address = address or os.environ.get("RAY_ADDRESS")
    stopping = signal.getsignal(signal.SIGTERM)
    with ExitStack() as ends:
        if address is None:
            # Ray reports its use over the network unless told not to, and leaves its logs.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            logs = TemporaryDirectory(prefix="pareja-ray-", ignore_cleanup_errors=True)
            folder = ends.enter_context(logs)
            ends.callback(ray.shutdown)
            own = {} if len(folder) > _LONGEST else {"_temp_dir": folder}
            cores = available_cores()
            ray.init("local", num_cpus=cores, include_dashboard=False, **own, **quiet)
        else:
            _require_answer(address)
            ends.callback(ray.shutdown)
            ray.init(address, **quiet)
        if stopping is not None and threading.current_thread() is threading.main_thread():
            # Ray's own way to end is a stack trace, and nothing is cleared up.
            signal.signal(signal.SIGTERM, stopping)
        yield ray


def _require_answer(address: str) -> None:
    """Refuse an address where nobody answers; Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise InputError(f"`address` is {address!r}. Give that of the cluster's head, HOST:PORT.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"no Ray cluster answers at {address}: {error}. Start Ray on its machines, and give "
            "the port that the first of them names."
        ) from error


def share_of(nodes: list[dict[str, Any]], cores: int | None, device: str | None) -> dict[str, int]:
    """Return what Ray is asked for, for each worker: ``num_cpus``, and ``num_gpus`` where used.

    Parameters
    ----------
    nodes
        The cluster's nodes, as ``ray.nodes`` returns them.
    cores
        How many cores each is to have.
    device
        What the encoder is to run on.

    Raises
    ------
    ClusterError
        If no machine has a core, or the GPU that is asked for.
    InputError
        If no machine has so many cores.
    """
    resources = [node["Resources"] for node in nodes if node["Alive"]]
    counted = [
        (int(have.get("CPU", 0)), int(have.get("GPU", 0)))
        for have in resources
        if have.get("CPU", 0) >= 1
    ]
    on_gpus = [(cpus, gpus) for cpus, gpus in counted if gpus] if device in (None, "cuda") else []
    if device == "cuda" and not on_gpus:
        raise ClusterError("the cluster has no machine with a GPU. Leave the `device` out.")
    usable = on_gpus or counted
    if not usable:
        raise ClusterError("the cluster has no machine with a core to work on. Start one.")
    most = max(cpus for cpus, _ in usable)
    if cores is not None and not 1 <= cores <= most:
        raise InputError(f"`cores` is {cores}. The largest machine of the cluster has {most}.")
    if on_gpus:
        return {"num_cpus": cores or max(1, min(c // g for c, g in on_gpus)), "num_gpus": 1}
    return {"num_cpus": cores or min(CORES, *(cpus for cpus, _ in usable))}
