"""Rules that every layer keeps: unit vectors, even samples, how many cores, the threads of BLAS."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from threadpoolctl import LibController

Real = TypeVar("Real", np.float32, np.float64)

# The number of threads is the whole process's: of two blocks at a time, the one that ends last
# could put the other's number back for good.
_turn = threading.RLock()
_limit: int | None = None


def unit(vectors: NDArray[Real]) -> NDArray[Real]:
    """Scale vectors to length 1.

    Parameters
    ----------
    vectors
        Shape ``(..., dim)``; each along the last axis. Their magnitude may be as large or small as
        their type allows.

    Returns
    -------
    ndarray
        The same shape and type. A vector of zeros stays one: it has no direction, its cosine with
        everything is 0, and so it ties with all. A vector with NaN or infinity becomes NaN
        throughout, so that no part of it passes for a number.

    Examples
    --------
    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    if not vectors.shape[-1]:
        return vectors.copy()
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    limits = np.finfo(vectors.dtype)
    if not ((lengths > 1e4 * limits.tiny**0.5) & (lengths < 1e-4 * limits.max**0.5)).all():
        return _unit_of_any_size(vectors)
    directions: NDArray[Real] = vectors / lengths
    return directions


def _unit_of_any_size(vectors: NDArray[Real]) -> NDArray[Real]:
    """Scale vectors whose squares may leave the range of their type, or that are zero."""
    largest = np.abs(vectors).max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        scaled = vectors / np.where(largest == 0, np.ones_like(largest), largest)
    lengths = np.linalg.norm(scaled, axis=-1, keepdims=True)
    directions: NDArray[Real] = scaled / np.where(lengths == 0, np.ones_like(lengths), lengths)
    return directions


def evenly(total: int, most: int) -> NDArray[np.intp]:
    """Return places that are spread evenly over a sequence.

    Parameters
    ----------
    total
        Length of the sequence.
    most
        How many places at most.

    Returns
    -------
    ndarray
        Rising, ``(min(total, most),)``; with two or more, the first and the last are among them.

    Examples
    --------
    >>> evenly(9, 3).tolist(), evenly(2, 3).tolist()
    ([0, 4, 8], [0, 1])
    """
    return np.linspace(0, total - 1, min(total, most)).astype(np.intp)


def available_cores() -> int:
    """Return how many cores this process may use (a container or ``taskset`` may allow few)."""
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    return min(allowed, core_limit() or allowed)


def core_limit() -> int | None:
    """Return how many cores `limit_cores` left to this process; None where it was not called."""
    return _limit


def limit_cores(count: int) -> None:
    """Let this process use so many cores at most, as one of several workers on a machine.

    It is no binding to certain cores: others may be bound to the same ones, unknown to it.

    Parameters
    ----------
    count
        How many, at least 1. It holds for what is loaded from now on.
    """
    global _limit
    _limit = count


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold NumPy's BLAS to one thread, for code that makes many small products.

    BLAS's threads wait for each other at every product, without letting go of their core. That
    gains little on an idle machine, and where other programs run it takes ten times as long. One
    block of all threads of the process runs at a time; a block may hold another.
    """
    with _turn:
        before = [library.num_threads for library in _libraries()]
        try:
            _set_threads([1] * len(before))
            yield
        finally:
            _set_threads(before)


def _set_threads(numbers: Sequence[int | None]) -> None:
    for library, number in zip(_libraries(), numbers, strict=True):
        # From 3.7 on threadpoolctl lets only the first thread that ever asked set OpenBLAS, and
        # does nothing for the others, silently. Here the lock keeps threads apart.
        change = getattr(library, "_real_set_num_threads", library.set_num_threads)
        if number is not None:
            change(number)


@cache
def _libraries() -> list[LibController]:
    # Those that are loaded by now, and whoever multiplies has loaded NumPy.
    from threadpoolctl import ThreadpoolController

    libraries: list[LibController] = ThreadpoolController().select(user_api="blas").lib_controllers
    return libraries
