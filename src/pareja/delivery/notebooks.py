"""A notebook made of scripts whose cells are marked with ``# %%``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

_CELL = re.compile(r"^# %%(?P<markdown> \[markdown\])?\n", re.MULTILINE)


def notebook_of(scripts: Iterable[str]) -> str:
    """Return a Jupyter notebook with the cells of the scripts, one after another.

    Parameters
    ----------
    scripts
        Programs in the percent format that Jupytext, VS Code and Spyder read.
    """
    cells = [cell for script in scripts for cell in _cells(script)]
    document = {
        "cells": [{"id": f"cell-{n}", **cell} for n, cell in enumerate(cells, start=1)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _cells(script: str) -> Iterator[dict[str, Any]]:
    marks = list(_CELL.finditer(script))
    ends = [mark.start() for mark in marks[1:]] + [len(script)]
    for mark, end in zip(marks, ends, strict=True):
        text = script[mark.end() : end].strip("\n")
        if mark["markdown"]:
            lines = [line.removeprefix("#").removeprefix(" ") for line in text.split("\n")]
            yield {"cell_type": "markdown", "metadata": {}, "source": _lines("\n".join(lines))}
        else:
            yield {
                "cell_type": "code",
                "execution_count": None,
                "metadata": {},
                "outputs": [],
                "source": _lines(text),
            }


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
