"""OpenVINO, imported without what it sends over the network.

Each process that imports OpenVINO reports that to Google Analytics, from a process that it forks
(openvino 2026.4: ``openvino/tools/ovc/__init__.py``). Nobody who works with pictures of their own
expects that, so it is imported here alone, and nowhere else in the package.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_REPORTING = "openvino_telemetry"


@contextmanager
def without_reports() -> Iterator[None]:
    """Keep what is imported in this context from reporting its use over the network.

    OpenVINO and NNCF do without the package that does it where it is missing. What others imported
    before is as it was afterwards.
    """
    before = {_REPORTING: sys.modules[_REPORTING]} if _REPORTING in sys.modules else {}
    sys.modules[_REPORTING] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_REPORTING]
        sys.modules.update(before)


with without_reports():
    import openvino

__all__ = ["openvino", "without_reports"]
