"""What the files of a delivery are called, in each language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pareja.words.wording import Lang


@dataclass(frozen=True)
class Layout:
    """The names of what is handed in, relative to its folder.

    Parameters
    ----------
    task2, task3
        The scripts of the tasks.
    notebook
        Both tasks, step by step.
    annex
        The folder with the full report.
    output
        The folder that the scripts write to; no part of the delivery.
    dataset, study
        The dataset as a zip, and the numbers of the study.
    """

    task2: str
    task3: str
    notebook: str
    annex: str
    output: str
    dataset: str = "dataset.zip"
    study: str = "study.json"

    @property
    def editable(self) -> frozenset[str]:
        """What a person may change and keep."""
        own = ("README.md", "Makefile", "Dockerfile", ".gitignore", ".dockerignore")
        return frozenset({self.task2, self.task3, self.notebook, *own})

    def as_values(self) -> Mapping[str, str]:
        """Return the names by what they are."""
        return asdict(self)


_LAYOUTS: dict[Lang, Layout] = {
    "es": Layout("tarea2.py", "tarea3.py", "cuaderno.ipynb", "anexo", "salida"),
    "en": Layout("task2.py", "task3.py", "notebook.ipynb", "annex", "output"),
}

OUTPUTS = frozenset(each.output for each in _LAYOUTS.values())
"""The folders that scripts write to, in any language."""


def layout(lang: Lang) -> Layout:
    """Return the names in a language."""
    return _LAYOUTS[lang]
