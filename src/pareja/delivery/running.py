"""Running a delivery from a fresh copy, and comparing what comes out with what was handed in."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pareja.delivery.layout import OUTPUTS

_LIMIT_SECONDS = 1800
_LAST_LINES = 3
_NOTEBOOKS = (sys.executable, "-c", "from nbclient.cli import main; main()")


@dataclass(frozen=True)
class Ran:
    """One file of a delivery that was run.

    Parameters
    ----------
    name
        The file.
    ok
        Whether it ended well; None where nothing here can run it.
    said
        The last lines of what it printed, where it failed.
    """

    name: str
    ok: bool | None
    said: str = ""


def run_delivery(
    folder: Path, scripts: Sequence[Path], notebook: Path | None
) -> tuple[list[Ran], list[str] | None]:
    """Copy a delivery, run its scripts and its notebook there, and compare the numbers.

    Parameters
    ----------
    folder
        The delivery.
    scripts, notebook
        What is run, by the Python that runs this.

    Returns
    -------
    list of Ran
        How each file ended.
    list of str or None
        Measures that came out otherwise than in ``study.json``, by more than one picture; None
        where the scripts left no ``study.json`` to compare with.
    """
    with TemporaryDirectory(prefix="pareja-run-") as temporary:
        copy = Path(temporary) / "delivery"
        left_out = shutil.ignore_patterns(".git", ".venv", "__pycache__", *OUTPUTS)
        shutil.copytree(folder, copy, ignore=left_out)
        ran = [_run(copy, path.relative_to(folder), [sys.executable]) for path in scripts]
        if notebook is not None:
            name = notebook.relative_to(folder)
            if find_spec("nbclient") is None:
                ran.append(Ran(name.as_posix(), None))
            else:
                ran.append(_run(copy, name, _NOTEBOOKS))
        return ran, _differences(copy)


def _run(copy: Path, name: Path, with_: Sequence[str]) -> Ran:
    try:
        done = subprocess.run(  # noqa: S603  running it is what was asked for
            [*with_, str(copy / name)],
            cwd=(copy / name).parent,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=_LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ran(name.as_posix(), False, f"> {_LIMIT_SECONDS} s")
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    said = "" if done.returncode == 0 else " / ".join(lines[-_LAST_LINES:])
    return Ran(name.as_posix(), done.returncode == 0, said)


def _differences(copy: Path) -> list[str] | None:
    made = [path for name in OUTPUTS for path in (copy / name).rglob("study.json")]
    if not made or not (copy / "study.json").is_file():
        return None
    before = _measures(copy / "study.json")
    after = _measures(max(made, key=lambda path: path.stat().st_mtime_ns))
    return [
        f"{name}: -" if name not in after else f"{name}: {value:.2f} → {after[name][0]:.2f}"
        for name, (value, queries) in before.items()
        if name not in after or abs(after[name][0] - value) > 1 / queries + 1e-9
    ]


def _measures(path: Path) -> Mapping[str, tuple[float, int]]:
    """Return R@1 of each encoder and direction, with the number of its queries."""
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {
        f"{name} {direction} R@1": (encoder[direction]["R@1"], encoder[direction]["queries"])
        for name, encoder in results["encoders"].items()
        for direction in ("image_to_text", "text_to_image")
    }
