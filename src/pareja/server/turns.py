"""Threads for requests that bring pictures, and how long these requests wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from anyio import CapacityLimiter, WouldBlock, fail_after, to_thread

from pareja.server.problems import RETRY_AFTER, Problem

T = TypeVar("T")


def busy() -> Problem:
    """Return what a request is told that has waited too long."""
    return Problem(503, "busy", headers={"retry-after": str(RETRY_AFTER)})


class Patience:
    """How many more seconds one request waits, wherever it does.

    Parameters
    ----------
    seconds
        That it waits altogether. Time in which it is worked for does not count.
    """

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    @contextmanager
    def waiting(self) -> Iterator[float]:
        """Count the time in this context; yields how long it may last."""
        start = time.monotonic()
        try:
            yield self.left
        finally:
            self.left = max(0.0, self.left - (time.monotonic() - start))


_OF_REQUEST: ContextVar[Patience | None] = ContextVar("patience of a request", default=None)


def patience_of_request(seconds: float) -> Patience:
    """Return the patience of the request that this thread works for, or a new one."""
    return _OF_REQUEST.get() or Patience(seconds)


class Turns:
    """Threads of their own for work that waits for memory, so that no other request waits for it.

    Whoever waits for a thread takes none meanwhile, and is sent away when its patience ends.

    Parameters
    ----------
    threads
        How many requests are worked for at once.
    patience
        Seconds that a request waits altogether, for a thread and for memory.
    """

    def __init__(self, threads: int, patience: float) -> None:
        self._patience = patience
        self._turns, self._threads = CapacityLimiter(threads), CapacityLimiter(threads)

    async def run(self, work: Callable[[], T]) -> T:
        """Return what some work returns, done in a thread when it is its turn.

        Raises
        ------
        Problem
            503 with ``Retry-After``, if its turn does not come in time.
        """
        borrower, patience = object(), Patience(self._patience)
        try:
            self._turns.acquire_on_behalf_of_nowait(borrower)
        except WouldBlock:
            await self._wait(borrower, patience)
        before = _OF_REQUEST.set(patience)
        try:
            # The thread gets a copy of this context.
            return await to_thread.run_sync(work, limiter=self._threads)
        finally:
            _OF_REQUEST.reset(before)
            self._turns.release_on_behalf_of(borrower)

    async def _wait(self, borrower: object, patience: Patience) -> None:
        try:
            with patience.waiting() as most, fail_after(most):
                await self._turns.acquire_on_behalf_of(borrower)
        except TimeoutError:
            raise busy() from None
