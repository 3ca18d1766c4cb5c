"""Serving a collection: what is needed before the first request, the port, and the process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from pareja.embedding.natural import Model
from pareja.errors import CollectionError, MissingDependencyError
from pareja.listening import listen, run_app
from pareja.search import Collection
from pareja.server.settings import Limits, Settings

if TYPE_CHECKING:
    from pareja.classifiers.learned import Classifier

File: TypeAlias = "str | os.PathLike[str]"

_NEEDED = {"fastapi": "fastapi", "uvicorn": "uvicorn", "python_multipart": "python-multipart"}


def serve(
    collection: Collection | str | os.PathLike[str],
    model: Model | None = None,
    *,
    device: str | None = None,
    classifiers: File | Sequence[File] | Mapping[str, Classifier] = (),
    host: str = "127.0.0.1",
    port: int = 8420,
    token: str | None = None,
    allowed_hosts: Sequence[str] = (),
    root_path: str = "",
    proxy: str | Sequence[str] = (),
    lang: Literal["es", "en"] | None = None,
    limits: Limits | None = None,
    open_folders: bool = True,
    open_browser: bool = False,
    started: Callable[[str], object] | None = None,
) -> None:
    """Serve a collection as web pages and HTTP API until Ctrl-C, or until the process is ended.

    Parameters
    ----------
    collection
        One that is open, and stays so, or its folder.
    model
        The encoder that answers unless a request names another: one of those that the collection
        was indexed with, or its name. By default the first.
    device
        What encoders run on that are loaded here, as in `pareja.load`.
    classifiers
        A file of a saved classifier or several, each called after its file; or classifiers by name.
        Requests may filter and classify by them.
    host, port
        The address to listen on; port 0 takes a free one. Any but a loopback address needs a token.
    token
        What visitors prove themselves with, at least 16 ASCII characters. By default the
        environment variable ``PAREJA_TOKEN``; without either, every program on this machine may
        use the server.
    allowed_hosts
        Further names under which browsers reach the server, as in ``"pictures.example.org"``.
    root_path
        Path below which a proxy offers the server, as in ``"/photos"``.
    proxy
        Address or network of a proxy, or several, that is believed when it says who asks, and
        whether over https (``X-Forwarded-For``, ``X-Forwarded-Proto``).
    lang
        Language for browsers that ask for neither Spanish nor English.
    limits
        How much a request, and a client, may ask for.
    open_folders
        Let visitors on this very machine have the folder of a picture opened in its file manager.
    open_browser
        Open the first page in the user's browser.
    started
        Called with the address once the port is open, as in ``started=print``.

    Raises
    ------
    CollectionError
        If there is no collection, it holds no pictures, or it was not indexed with `model`.
    FingerprintMismatchError
        If the collection has no vectors that one of the classifiers can read.
    DatasetError
        If a classifier's file cannot be read.
    ServerError
        If the port cannot be opened, or the address can be reached by others and there is no token.
    MissingDependencyError
        If the packages of the group ``server`` are not installed.

    Examples
    --------
    ::

        pareja.serve("photos.index", open_browser=True)
    """
    for module, package in _NEEDED.items():
        if find_spec(module) is None:
            raise MissingDependencyError(package, "to serve pages", "server")
    from pareja.server.app import create_app
    from pareja.server.learned import load_classifiers

    settings = Settings(
        host=host,
        port=port,
        token=(os.environ.get("PAREJA_TOKEN") or None) if token is None else token,
        lang=lang,
        allowed_hosts=tuple(allowed_hosts),
        root_path=root_path.rstrip("/"),
        proxies=(proxy,) if isinstance(proxy, str) else tuple(proxy),
        limits=limits or Limits(),
        open_folders=open_folders,
    )
    if isinstance(classifiers, str | os.PathLike):
        classifiers = [classifiers]
    named = classifiers if isinstance(classifiers, Mapping) else load_classifiers(classifiers)
    with ExitStack() as ends:
        listener = ends.enter_context(listen(host, port))
        if not isinstance(collection, Collection):
            collection = ends.enter_context(Collection.open(Path(collection)))
        settings = replace(
            settings,
            port=listener.getsockname()[1],
            model=_answering(collection, model),
        )
        app = create_app(collection, settings, classifiers=named, device=device)
        if started is not None:
            started(settings.address)
        if open_browser:
            import webbrowser

            webbrowser.open(settings.address)
        run_app(app, listener)


def _answering(collection: Collection, model: Model | None) -> str | None:
    """Return the name of the encoder that answers by default.

    Raises
    ------
    CollectionError
        If the collection cannot be searched, or not by that encoder.
    """
    collection.require_pictures()
    if model is None:
        return None
    if isinstance(model, str | os.PathLike):
        name = os.fspath(model)
    else:
        # An encoder that the collection was given answers wherever its name is given.
        name = collection.encoder(model).name
    if name not in collection.models():
        raise CollectionError(
            f"{collection.path} was not indexed with {name!r} but with: "
            f"{', '.join(collection.models())}. Name one of these as `model`, or index the "
            f"pictures with {name} first."
        )
    return name
