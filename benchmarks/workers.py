"""Processes that are asked and measured: what several benchmarks share."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self


class Worker:
    """A process that answers requests, each a line of JSON, one after the other."""

    def __init__(self, command: Sequence[Any]) -> None:
        self._command = [sys.executable, *map(str, command)]
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def ask(self, request: Any) -> Any:
        """Send a request and wait for its answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the process has no pipes")
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"the process ended: {' '.join(self._command)}")
        return json.loads(line)


def peak_memory() -> float:
    """Return the most memory that this process had at once, in MB."""
    # The value that getrusage gives begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def machine(packages: Sequence[str]) -> str:
    """Return the processor, its cores and what it knows of bfloat16, and versions of packages."""
    model = platform.processor() or platform.machine()
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        fields = dict(
            line.split(":", 1) for line in listing.read_text().splitlines() if ":" in line
        )
        names = {name.strip(): value.strip() for name, value in fields.items()}
        flags = {"amx_bf16", "avx512_bf16", "avx512_vnni"} & set(names.get("flags", "").split())
        model = f"{names.get('model name', model)} ({', '.join(sorted(flags)) or 'no bfloat16'})"
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model}; Python {platform.python_version()}, {versions}"
