"""``pareja mcp``: a collection for agents."""

from __future__ import annotations

from typing import Annotated

import typer

from pareja.cli.console import DeviceOption, stderr
from pareja.cli.index import IndexOption, default_index


def mcp(
    index_folder: IndexOption = None,
    device: DeviceOption = None,
    http: Annotated[
        bool,
        typer.Option(
            "--http", help="Listen on this machine, instead of standard input and output."
        ),
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port of --http; 0 takes a free one.")
    ] = 8421,
) -> None:
    """Offer a collection to agents: search, look, classify, evaluate. They can only read.

    Programs that know the Model Context Protocol start this command and talk to it through its
    standard input and output.
    """
    from pareja.agents import serve_agents

    index = index_folder or default_index()

    def say(address: str) -> None:
        stderr().print(f"Serving {index} at {address} (Ctrl-C to stop)", soft_wrap=True)

    serve_agents(
        index, transport="http" if http else "stdio", port=port, device=device, started=say
    )
