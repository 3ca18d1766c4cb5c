"""Why a network that OpenVINO runs cannot be used on the other side of a fork."""

from __future__ import annotations

import os

from pareja.errors import EncoderError


def refuse_after_fork(process: int, what: str) -> None:
    """Refuse to compute where OpenVINO would wait forever: for threads that were not copied.

    Parameters
    ----------
    process
        The number of the process that loaded the network.
    what
        The network.

    Raises
    ------
    EncoderError
        If this is another process.
    """
    if os.getpid() != process:
        raise EncoderError(
            f"{what} was loaded before this process was forked from another one, and the threads "
            "that compute it stayed there. Start processes by 'spawn', as in "
            "multiprocessing.get_context('spawn'), or load encoders only after the fork."
        )
