"""A row of the table that ``soak.py`` prints, and commands that its trials run."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from PIL import Image

HOSTILE = (
    "<script>document.title='ran'</script>",
    "<img src=x onerror=\"document.title='ran'\">",
    "'\"><svg onload=document.title='ran'>",
    "</textarea><script>document.title='ran'</script>",
    "javascript:document.title='ran'",
    "{{7*7}} ${7*7} <!--",
)
"""Texts that a page which does not escape them would run."""


def png(shade: int = 0) -> bytes:
    """Return a picture of one colour."""
    stream = io.BytesIO()
    Image.new("RGB", (64, 64), (shade, 100, 200)).save(stream, "PNG")
    return stream.getvalue()


PATIENCE = 400
"""Seconds after which a command counts as one that hangs, on a machine that does other things."""


@dataclass
class Row:
    """What was tried, and how each time ended.

    Parameters
    ----------
    tried
        What was done.
    good
        The endings that are as they should be.
    """

    tried: str
    good: Sequence[str]
    endings: Counter[str] = field(default_factory=Counter)

    def add(self, ending: str) -> None:
        """Count how one time ended."""
        self.endings[" ".join(ending.replace("|", "/").split())] += 1

    def line(self) -> str:
        """Return the row of a Markdown table."""
        well = sum(count for ending, count in self.endings.items() if ending in self.good)
        what = ", ".join(f"{ending} ({count})" for ending, count in self.endings.most_common())
        return f"| {self.tried} | {self.endings.total()} | {well} | {what} |"


def start(*words: str, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    """Start the command line; `before` is called in the new process first."""
    return subprocess.Popen(
        [sys.executable, "-m", "pareja", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=before,
    )


def run(*words: str, before: Callable[[], None] | None = None) -> tuple[int, str]:
    """Run the command line; return its status and what it prints."""
    process = start(*words, before=before)
    said, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, said
