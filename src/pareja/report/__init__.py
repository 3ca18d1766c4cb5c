"""A study's results as figures, HTML, Markdown and PDF, in Spanish and English."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pareja.report.figures import write_figures
    from pareja.report.folder import write_folder
    from pareja.report.write import write_report

_HOMES = {"write_figures": "figures", "write_folder": "folder", "write_report": "write"}

__all__ = ["write_figures", "write_folder", "write_report"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
