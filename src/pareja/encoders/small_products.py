"""Small matrix products, which one thread computes best."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

# The number is the whole process's: of two blocks at a time, the one that ends last could put the
# other's number back for good.
_turn = threading.RLock()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold NumPy's BLAS to one thread, for code that makes many small products.

    Its threads wait for each other at every product, without letting go of their core. That gains
    little on an idle machine, and where other programs run it takes ten times as long. One block
    of all threads of the process runs at a time; a block may hold another.
    """
    with _turn, _controller().limit(limits=1, user_api="blas"):
        yield


@cache
def _controller() -> ThreadpoolController:
    # It finds the libraries that are loaded by now, and whoever multiplies has loaded NumPy.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
