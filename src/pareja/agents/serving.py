"""Serve the tools through the official SDK, over standard input and output or HTTP."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from pareja.agents.arguments import refusal
from pareja.agents.tools import Tools
from pareja.errors import InputError, MissingDependencyError, ParejaError
from pareja.listening import listen, run_app

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.tools import Tool

    from pareja.search import Collection

P = ParamSpec("P")
T = TypeVar("T")

_HOST = "127.0.0.1"

INSTRUCTIONS = """\
Collections of pictures, searched by words in a language that their encoders know. Begin with
`collections`; where it names several, every other tool needs one of the names as `collection`.
`search` gives ids and scores. An id is valid in its collection. A score is a cosine: compare it
only with others of the same encoder. `likely_relevant` is false where unrelated queries score as
high. `look` shows many pictures at once, each with its id; `picture` shows one with all that is
known of it. `compare` and `evaluate` measure the encoders.
"""


def build_server(
    collections: Mapping[str, Collection], *, device: str | None = None
) -> MCPServer[Any]:
    """Return a server of the official SDK with the tools of collections.

    Parameters
    ----------
    collections
        What agents may see, by the names that they call it.
    device
        What the encoders run on, as in `pareja.load`.

    Raises
    ------
    MissingDependencyError
        If the package ``mcp`` is not installed.
    """
    if find_spec("mcp") is None:
        raise MissingDependencyError("mcp", "to serve agents", "mcp")
    from mcp.server.mcpserver import Image as ImageContent
    from mcp.server.mcpserver import MCPServer
    from mcp.types import ToolAnnotations

    tools = Tools(collections, device)

    @wraps(tools.look)
    def look(ids: list[int], collection: str | None = None) -> list[Any]:
        return [ImageContent(data=tools.look(ids, collection), format="jpeg")]

    @wraps(tools.picture)
    def picture(picture_id: int, collection: str | None = None) -> list[Any]:
        known, shown = tools.picture(picture_id, collection)
        return [known, ImageContent(data=shown, format="jpeg")]

    reads = ToolAnnotations(
        read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    )
    gives = (tools.collections, tools.search, tools.classify, tools.evaluate, tools.compare)
    exact = _exact_tool()
    served = [exact.from_function(_explained(tool), annotations=reads) for tool in gives]
    served += [
        exact.from_function(_explained(tool), annotations=reads, structured_output=False)
        for tool in (look, picture)
    ]
    for each in served:
        _refuse_unknown(each)
    with _logging_as_it_was():
        return MCPServer("pareja", instructions=INSTRUCTIONS, log_level="WARNING", tools=served)


def serve_agents(
    collections: Collection | str | Path | Iterable[Collection | str | Path],
    *,
    transport: Literal["stdio", "http"] = "stdio",
    port: int = 8421,
    device: str | None = None,
    started: Callable[[str], object] | None = None,
) -> None:
    """Serve collections to agents until they are done, or the program is stopped.

    Parameters
    ----------
    collections
        One or several: themselves, or their folders. Agents call each by the name of its folder,
        without an ending ``.index``.
    transport
        ``"stdio"`` is for a program that starts this one; ``"http"`` listens on this machine alone.
    port
        Of ``"http"``; 0 takes a free one. The address is ``http://127.0.0.1:PORT/mcp``.
    device
        What the encoders run on, as in `pareja.load`.
    started
        Called with the address of ``"http"`` once the port is open.

    Raises
    ------
    CollectionError
        If there is no such collection, or nothing in it.
    InputError
        If there is none at all, or two have the same name.
    ServerError
        If the port cannot be opened.
    MissingDependencyError
        If the package ``mcp`` is not installed.

    Examples
    --------
    ::

        pareja.serve_agents(["photos.index", "archive.index"])
    """
    from pareja.search import Collection

    if isinstance(collections, Collection | str | Path):
        collections = [collections]
    with ExitStack() as ends:
        listener = ends.enter_context(listen(_HOST, port)) if transport == "http" else None
        named: dict[str, Collection] = {}
        for each in collections:
            if isinstance(each, Collection):
                shelf = each
            else:
                shelf = ends.enter_context(Collection.open(Path(each), read_only=True))
            shelf.require_pictures()
            name = Path(shelf.path).resolve().name.removesuffix(".index")
            if name in named:
                raise InputError(
                    f"two `collections` are called {name!r}: {named[name].path} and {shelf.path}. "
                    "Rename the folder of one."
                )
            named[name] = shelf
        if not named:
            raise InputError("`collections` is empty. Give at least one.")
        server = build_server(named, device=device)
        if listener is None:
            server.run("stdio")
            return
        # The SDK's own way to listen would close every handler that the program logs through.
        app = server.streamable_http_app(host=_HOST)
        if started is not None:
            started(f"http://{_HOST}:{listener.getsockname()[1]}/mcp")
        run_app(app, listener)


@contextmanager
def _logging_as_it_was() -> Iterator[None]:
    """Undo what the SDK sets for the whole program: a handler, which would be the only one."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def _exact_tool() -> type[Tool]:
    """Return the SDK's tool, which says in one line what is wrong with the arguments."""
    from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
    from mcp.server.mcpserver.tools import Tool
    from pydantic import ValidationError

    class ExactTool(Tool):
        async def run(self, *args: Any, **kwargs: Any) -> Any:
            try:
                return await super().run(*args, **kwargs)
            except ToolError as error:
                cause = error.__cause__
                if isinstance(error, UnexpectedToolError) or not isinstance(cause, ValidationError):
                    raise
                said = refusal(cause, self.parameters["properties"])
                raise ToolError(f"Error executing tool {self.name}: {said}") from cause

    return ExactTool


def _refuse_unknown(tool: Tool) -> None:
    """Refuse arguments that a tool does not have; the SDK would call it without them."""
    taken: Any = tool.fn_metadata.arg_model
    exact: Any = type(taken.__name__, (taken,), {"model_config": {"extra": "forbid"}})
    tool.fn_metadata.arg_model = exact
    tool.parameters = exact.model_json_schema()


def _explained(tool: Callable[P, T]) -> Callable[P, T]:
    """Let an agent read what was wrong with what it asked."""
    from mcp.server.mcpserver.exceptions import ToolError

    @wraps(tool)
    def run_tool(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return tool(*args, **kwargs)
        except ParejaError as error:
            raise ToolError(str(error)) from error

    return run_tool
