"""A collection for agents: search, look, classify and measure, through the Model Context Protocol.

Every tool only reads, and shows only pictures of the collection.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from pareja.errors import CollectionError, InputError, MissingDependencyError, ParejaError
from pareja.listening import listen, run_app

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer
    from PIL import Image

    from pareja.encoders import ImageEncoder
    from pareja.search import Collection, Picture

P = ParamSpec("P")
T = TypeVar("T")

MAX_LOOK = 24
"""Most pictures of one contact sheet."""

PICTURE_SIDE = 768
"""Longer side, in pixels, of a picture that is shown alone."""

_HOST = "127.0.0.1"
_CELL = 256
_BAND = 26  # for the number, above each picture
_COLUMNS = 4

INSTRUCTIONS = """\
Pictures of one collection, searched by words in a language that its encoder knows. Begin with
`collection`. `search` gives ids and scores. A score is a cosine: compare it only with others of the
same encoder. `likely_relevant` is false where unrelated queries score as high. `look` shows many
pictures at once, each with its id; `picture` shows one with all that is known of it.
"""


class Tools:
    """What agents can do with a collection.

    Parameters
    ----------
    collection
        It is only read.
    device
        What its encoders run on, as in `pareja.load`.
    """

    def __init__(self, collection: Collection, device: str | None = None) -> None:
        self._collection = collection
        self._device = device

    def collection(self) -> dict[str, Any]:
        """Say what the collection holds: pictures, categories, encoders, judged query sets."""
        return {
            "pictures": self._collection.count(),
            "categories": self._collection.categories(),
            "models": list(self._collection.models()),
            "query_sets": list(self._collection.query_sets()),
        }

    def search(
        self,
        words: str | None = None,
        like: int | None = None,
        minus: str | None = None,
        category: str | None = None,
        model: str | None = None,
        k: int = 10,
    ) -> dict[str, Any]:
        """Find pictures by words, by a picture of the collection, or by both.

        Give `words`, `like` (the id of a picture: more like this), or both. `minus` are words to
        move away from. Hits are ordered, the best first; `likely_relevant` is false where
        unrelated queries score as high here, so that probably no picture fits.
        """
        if not 1 <= k <= 100:
            raise InputError(f"`k` is {k}. Ask for 1 to 100 pictures.")
        encoder = self._encoder(model)
        found = self._collection.search(
            words or None, encoder, k=k, like=like, minus=minus or None, category=category or None
        )
        return {
            "model": found.model,
            "likely_relevant": found.likely_relevant,
            "hits": [
                {"rank": hit.rank, "score": round(hit.score, 4), **_described(hit.picture)}
                for hit in found
            ],
        }

    def look(self, ids: Sequence[int]) -> bytes:
        """Show pictures side by side, each with its id above it; at most 24."""
        if not 1 <= len(ids) <= MAX_LOOK:
            raise InputError(f"`ids` has {len(ids)} pictures. Give 1 to {MAX_LOOK}.")
        return _contact_sheet([(n, self._read(n, _CELL)) for n in ids])

    def picture(self, picture_id: int) -> tuple[dict[str, Any], bytes]:
        """Show one picture, and say all that is known of it: captions, category, source, file."""
        picture = self._collection.picture(picture_id)
        told = asdict(picture) | {"path": picture.shown_path}
        return told, _jpeg(self._read(picture_id, PICTURE_SIDE))

    def classify(
        self,
        ids: Sequence[int],
        labels: Sequence[str],
        model: str | None = None,
        several: bool = False,
    ) -> dict[str, Any]:
        """Say how probable each of the labels is for each picture.

        The probabilities of a picture sum to 1, so one label is always the most probable, also
        where none fits; with `several` each label is decided on its own, and all may be absent.
        """
        from pareja.classifiers.zero_shot import zero_shot
        from pareja.encoders import require_dual

        encoder = require_dual(self._encoder(model))
        judge = zero_shot(labels, encoder, multi_label=several)
        known, rows = self._collection.embeddings(encoder, ids)
        result = judge.classified(rows)
        return {
            "model": encoder.name,
            "pictures": [
                {
                    "id": int(picture_id),
                    "labels": list(result.assigned(n)),
                    "probabilities": {k: round(p, 4) for k, p in result.scores(n).items()},
                }
                for n, picture_id in enumerate(known)
            ],
        }

    def evaluate(self, query_set: str) -> dict[str, Any]:
        """Measure searches by a judged query set: P@k, nDCG@5 and MRR, with 95 % intervals.

        Every encoder of the collection is measured; where there are several, `differences` has
        the first one's nDCG minus each other's, paired over the queries.
        """
        from pareja.search.judging import differences

        if query_set not in self._collection.query_sets():
            known = ", ".join(self._collection.query_sets()) or "none"
            raise CollectionError(
                f"there is no query set {query_set!r}; there are: {known}. Judge queries on the "
                "pages of the collection, or add a bundled set with: pareja evaluate."
            )
        scores = [
            self._collection.evaluate(self._encoder(name), query_set)
            for name in self._collection.models()
        ]
        return {
            "query_set": query_set,
            "models": {each.model: each.to_json() for each in scores},
            "differences": [
                {"a": d.a, "b": d.b, **asdict(d.estimate), "better": d.better}
                for d in differences(scores)
            ],
        }

    def _encoder(self, name: str | None) -> ImageEncoder:
        known = self._collection.models()
        if name and name not in known:
            raise CollectionError(
                f"no picture went through {name!r}. The collection has: {', '.join(known)}."
            )
        return self._collection.encoder(name or None, device=self._device)

    def _read(self, picture_id: int, side: int) -> Image.Image:
        from pareja.datasets import decode_image

        name = self._collection.picture(picture_id).shown_path
        image = decode_image(
            io.BytesIO(self._collection.read(picture_id)), network_side=side, name=name
        )
        image.thumbnail((side, side))
        return image


def build_server(collection: Collection, *, device: str | None = None) -> MCPServer[Any]:
    """Return a server of the official SDK with the tools of a collection.

    Parameters
    ----------
    collection
        What agents may see.
    device
        What its encoders run on, as in `pareja.load`.

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

    tools = Tools(collection, device)

    @wraps(tools.look)
    def look(ids: list[int]) -> list[Any]:
        return [ImageContent(data=tools.look(ids), format="jpeg")]

    @wraps(tools.picture)
    def picture(picture_id: int) -> list[Any]:
        told, shown = tools.picture(picture_id)
        return [told, ImageContent(data=shown, format="jpeg")]

    with _logging_as_it_was():
        server: MCPServer[Any] = MCPServer("pareja", instructions=INSTRUCTIONS, log_level="WARNING")
    reads = ToolAnnotations(
        read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    )
    for tool in (tools.collection, tools.search, tools.classify, tools.evaluate):
        server.tool(annotations=reads)(_told(tool))
    for shows in (look, picture):
        server.tool(annotations=reads, structured_output=False)(_told(shows))
    return server


def serve_agents(
    collection: Collection | str | Path,
    *,
    transport: Literal["stdio", "http"] = "stdio",
    port: int = 8421,
    device: str | None = None,
    started: Callable[[str], object] | None = None,
) -> None:
    """Serve a collection to agents until they are done, or the program is stopped.

    Parameters
    ----------
    collection
        Itself, or its folder.
    transport
        ``"stdio"`` is for a program that starts this one; ``"http"`` listens on this machine alone.
    port
        Of ``"http"``; 0 takes a free one. The address is ``http://127.0.0.1:PORT/mcp``.
    device
        What its encoders run on, as in `pareja.load`.
    started
        Called with the address of ``"http"`` once the port is open.

    Raises
    ------
    CollectionError
        If there is no such collection, or nothing in it.
    ServerError
        If the port cannot be opened.
    MissingDependencyError
        If the package ``mcp`` is not installed.

    Examples
    --------
    ::

        pareja.serve_agents("photos.index")
    """
    from pareja.search import Collection

    with ExitStack() as ends:
        listener = ends.enter_context(listen(_HOST, port)) if transport == "http" else None
        if not isinstance(collection, Collection):
            collection = ends.enter_context(Collection.open(Path(collection)))
        collection.require_pictures()
        server = build_server(collection, device=device)
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


def _told(tool: Callable[P, T]) -> Callable[P, T]:
    """Let an agent read what was wrong with what it asked."""
    from mcp.server.mcpserver.exceptions import ToolError

    @wraps(tool)
    def run_tool(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return tool(*args, **kwargs)
        except ParejaError as error:
            raise ToolError(str(error)) from error

    return run_tool


def _described(picture: Picture) -> dict[str, Any]:
    return {
        "id": picture.id,
        "name": picture.shown_name,
        "caption": picture.caption,
        "category": picture.category,
    }


def _contact_sheet(pictures: Sequence[tuple[int, Image.Image]]) -> bytes:
    """Return a JPEG of pictures in rows, each whole, with its number above it."""
    from PIL import Image, ImageDraw, ImageFont

    columns = min(_COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    height = _CELL + _BAND
    sheet = Image.new("RGB", (columns * _CELL, rows * height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_BAND - 8)
    for place, (number, image) in enumerate(pictures):
        row, column = divmod(place, columns)
        left, top = column * _CELL, row * height
        draw.text((left + 6, top + 2), str(number), "black", font)
        sheet.paste(image, (left + (_CELL - image.width) // 2, top + _BAND))
    return _jpeg(sheet)


def _jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=85)
    return stream.getvalue()
