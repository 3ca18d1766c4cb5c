"""Listening: what a program that serves keeps."""

from __future__ import annotations

import logging
import socket

import pytest

from pareja.errors import ServerError
from pareja.listening import listen, run_app


def test_the_program_goes_on_to_log_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    class Handler(logging.Handler):
        is_closed = False

        def close(self) -> None:
            self.is_closed = True
            super().close()

    handler = Handler()
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: None)
    with listen("127.0.0.1", 0) as listener:
        run_app(None, listener)
    assert not handler.is_closed


def test_an_interruption_ends_it_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(server: object, sockets: list[socket.socket]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("uvicorn.Server.run", interrupted)
    with listen("127.0.0.1", 0) as listener:
        run_app(None, listener)


def test_a_port_that_cannot_be_opened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"127.0.0.1:{port}: .* Choose another `port`"):
            listen("127.0.0.1", port)
    with pytest.raises(ServerError, match=r"address of this machine as `host`"):
        listen("192.0.2.1", 0)
