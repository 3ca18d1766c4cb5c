"""``pareja serve``: the web pages and the HTTP API of a collection."""

from __future__ import annotations

import socket
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from pareja.cli.console import ClassifiersOption, DeviceOption, Language, ModelOption, stderr
from pareja.cli.index import IndexOption, default_index
from pareja.errors import CollectionError, MissingDependencyError, ServerError

_NEEDED = {"fastapi": "fastapi", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}


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
    lang: Annotated[
        Language | None, typer.Option(help="Language for browsers that ask for neither.")
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
) -> None:
    """Search a collection in the browser: by words, by pictures, with judgements and a map.

    Listens on this machine alone unless told otherwise, and fetches nothing from elsewhere.
    The HTTP API is described at /docs.
    """
    for module, package in _NEEDED.items():
        if find_spec(module) is None:
            raise MissingDependencyError(package, "to serve pages", "server")
    import uvicorn

    from pareja.search import Collection
    from pareja.server import Settings, create_app
    from pareja.server.learned import load_classifiers

    index = index_folder or default_index()
    settings = Settings(
        host=host,
        port=port,
        token=token,
        model=model,
        lang=lang,
        allowed_hosts=tuple(allow_host or ()),
    )
    classifiers = load_classifiers(classifier or [])
    with _listen(host, port) as listener, Collection.open(index) as collection:
        check_ready(collection.models() if collection.count() else (), index, model)
        if collection.read_only:
            stderr().print(
                f"{index} may not be written to: judgements and query sets are not kept.",
                soft_wrap=True,
            )
        settings = replace(settings, port=listener.getsockname()[1])
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(
                    collection,
                    settings,
                    classifiers=classifiers,
                    device=device,
                ),
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=10,
            )
        )
        stderr().print(f"Serving {index} at {settings.address} (Ctrl-C to stop)", soft_wrap=True)
        if open_browser:
            typer.launch(settings.address)
        server.run([listener])


def check_ready(models: tuple[str, ...], index: Path, model: str | None) -> None:
    """Raise if a collection cannot be searched, or not by the encoder that was asked for."""
    if not models:
        raise CollectionError(
            f"{index} holds no pictures yet. Add some with: pareja index FOLDER --index {index}"
        )
    if model is not None and model not in models:
        raise CollectionError(
            f"{index} was not indexed with {model!r} but with: {', '.join(models)}. "
            f"Add it with: pareja index FOLDER -m {model} --index {index}"
        )


def _listen(host: str, port: int) -> socket.socket:
    """Open the port before anything is loaded, so that a taken one is known at once."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # Connections beyond the backlog are dropped, and tried again only seconds later.
        return socket.create_server((host, port), family=family, backlog=2_048)
    except OSError as error:
        raise ServerError(
            f"cannot listen on {host}:{port}: {error.strerror or error}. "
            "Choose another with --port, or an address of this machine with --host."
        ) from error
