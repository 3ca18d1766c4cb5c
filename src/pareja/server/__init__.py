"""Web pages and HTTP API of a collection: one process, nothing fetched from elsewhere."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pareja.server.app import create_app
    from pareja.server.settings import Limits, Settings

_HOMES = {"Limits": "settings", "Settings": "settings", "create_app": "app"}

__all__ = ["Limits", "Settings", "create_app"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
