"""A Ray cluster of several nodes on this machine; the benchmark of the cluster takes it, too."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Nodes:
    """Nodes with one core each, of which the last can be killed.

    Parameters
    ----------
    count
        How many nodes there are.
    bound
        Whether each may use one core of the machine alone.
    """

    def __init__(self, count: int = 2, *, bound: bool = False) -> None:
        from ray.cluster_utils import Cluster

        options: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80_000_000}
        head = {**options, "include_dashboard": False}
        with _on_core(0, bound):
            self._cluster = Cluster(initialize_head=True, head_node_args=head)
        for number in range(1, count):
            with _on_core(number, bound):
                self._last = self._cluster.add_node(**options)
        self.address: str = self._cluster.address

    def kill_last(self) -> None:
        """End the last node's processes with kill -9; its workers end when they miss it."""
        for processes in self._last.all_processes.values():
            for one in processes:
                one.process.kill()

    def stop(self) -> None:
        """End all nodes, and delete what they wrote."""
        logs = self._cluster.head_node.get_session_dir_path()
        self._cluster.shutdown()
        shutil.rmtree(logs, ignore_errors=True)


@contextmanager
def _on_core(number: int, bound: bool) -> Iterator[None]:
    """Let what is started inside use one of the cores that this process may use."""
    if not bound:
        yield
        return
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {sorted(allowed)[number]})
        yield
    finally:
        os.sched_setaffinity(0, allowed)
