"""``pareja mcp``: collections for agents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pareja.cli.console import DeviceOption, stderr
from pareja.cli.index import default_index


def mcp(
    index_folders: Annotated[
        list[Path] | None,
        typer.Option(
            "--index",
            help="Folder of a collection; may be repeated.  "
            "[default: PAREJA_INDEX, or one in your data folder]",
            show_default=False,
        ),
    ] = None,
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
    """Offer collections to agents: search, look, classify, measure. They can only read.

    Programs that know the Model Context Protocol start this command and talk to it through its
    standard input and output.
    """
    from pareja.agents import serve_agents

    folders = index_folders or [default_index()]

    def say(address: str) -> None:
        names = ", ".join(map(str, folders))
        stderr().print(f"Serving {names} at {address} (Ctrl-C to stop)", soft_wrap=True)

    serve_agents(
        folders, transport="http" if http else "stdio", port=port, device=device, started=say
    )
