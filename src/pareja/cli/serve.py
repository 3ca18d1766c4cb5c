"""``pareja serve``: the web pages and the HTTP API of a collection."""

from __future__ import annotations

from typing import Annotated

import typer

from pareja.cli.console import ClassifiersOption, DeviceOption, Language, ModelOption, stderr
from pareja.cli.index import IndexOption, default_index


def serve(
    index_folder: IndexOption = None,
    model: ModelOption = None,
    device: DeviceOption = None,
    classifier: ClassifiersOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 takes a free one.")] = 8420,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="PAREJA_TOKEN",
            help="What visitors prove themselves with. Needed to listen on any other address than "
            "a loopback one. Set the variable rather than the option: others see options.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A further name under which browsers reach this server."),
    ] = None,
    root_path: Annotated[
        str, typer.Option(help="Path below which a proxy offers the server, as in /photos.")
    ] = "",
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="Address or network of a proxy that may say who asks, and whether over https."
        ),
    ] = None,
    lang: Annotated[
        Language | None, typer.Option(help="Language for browsers that ask for neither.")
    ] = None,
    decode_memory: Annotated[
        int,
        typer.Option(min=1, help="MiB that all pictures that are being decoded may take together."),
    ] = 1_024,
    patience: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds that a request waits for them; then it is answered with 503."
        ),
    ] = 60.0,
    open_folders: Annotated[
        bool,
        typer.Option(
            "--open-folders/--no-open-folders",
            help="Let who sits at this machine open the folder of a picture from its page.",
        ),
    ] = True,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
) -> None:
    """Search a collection in the browser: by words, by pictures, with judgements and a map.

    Listens on this machine alone unless told otherwise, and fetches nothing from elsewhere.
    The HTTP API is described at /docs.
    """
    from pareja.search import Collection
    from pareja.server import Limits, serving

    index = index_folder or default_index()

    def say(address: str) -> None:
        stderr().print(f"Serving {index} at {address} (Ctrl-C to stop)", soft_wrap=True)

    with Collection.open(index) as collection:
        if collection.read_only:
            stderr().print(
                f"{index} may not be written to: judgements and query sets are not kept.",
                soft_wrap=True,
            )
        serving.serve(
            collection,
            model,
            device=device,
            classifiers=classifier or [],
            host=host,
            port=port,
            token=token,
            allowed_hosts=allow_host or [],
            root_path=root_path,
            proxy=proxy or [],
            lang=lang,
            limits=Limits(decoded_bytes=decode_memory * 2**20, patience=patience),
            open_folders=open_folders,
            open_browser=open_browser,
            started=say,
        )
