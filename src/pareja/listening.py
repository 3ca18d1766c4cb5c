"""Listening on a port: open before anything is loaded, and served until the program is stopped."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

from pareja.errors import ServerError

# Connections beyond the backlog are dropped, and tried again only seconds later.
_BACKLOG = 2_048


def listen(host: str, port: int) -> socket.socket:
    """Open a port, so that a taken one is known at once.

    Raises
    ------
    ServerError
        If it cannot be opened.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ServerError(
            f"cannot listen on {host}:{port}: {error.strerror or error}. "
            "Choose another `port`, or an address of this machine as `host`."
        ) from error


def run_app(app: Any, listener: socket.socket) -> None:
    """Serve an ASGI application on an open port until Ctrl-C, or until the process is ended."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(
            app,
            # Its own settings would close every handler that the program logs through.
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=10,
        )
    )
    # uvicorn ends by the signal that it was stopped with, once the last answers are out.
    with suppress(KeyboardInterrupt):
        server.run([listener])
