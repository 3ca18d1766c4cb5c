"""A row of the table that ``soak.py`` prints, and commands that its trials run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


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
        self.endings[ending] += 1

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
    said, _ = process.communicate(timeout=120)
    return process.returncode, said
