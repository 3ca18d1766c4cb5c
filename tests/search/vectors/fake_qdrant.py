"""A loopback stand-in for a Qdrant server that checks what arrives and can misbehave.

There is no Qdrant in the tests. What the client's local mode answers is put into HTTP here, and
each request is held against the request models of ``qdrant-client``, which its authors generate
from the OpenAPI document of the server and which forbid fields that the document does not have.
Paths and parameters are listed below from that document. So the tests show that requests have the
form that a server takes, and what becomes of its errors; they do not show that a server finds the
right neighbours.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError
from qdrant_client import QdrantClient, models

WRITE = {"wait", "ordering", "timeout"}
READ = {"consistency", "timeout"}
# Method, path, model of the body, and parameters of the query.
ROUTES: list[tuple[str, str, Any, set[str]]] = [
    ("GET", "/collections", None, set()),
    ("GET", "/collections/{name}", None, set()),
    ("GET", "/collections/{name}/exists", None, set()),
    ("PUT", "/collections/{name}", models.CreateCollection, {"timeout"}),
    ("PATCH", "/collections/{name}", models.UpdateCollection, {"timeout"}),
    ("DELETE", "/collections/{name}", None, {"timeout"}),
    ("PUT", "/collections/{name}/index", models.CreateFieldIndex, WRITE),
    ("PUT", "/collections/{name}/points", models.PointsList | models.PointsBatch, WRITE),
    ("POST", "/collections/{name}/points", models.PointRequest, READ),
    (
        "POST",
        "/collections/{name}/points/delete",
        models.PointIdsList | models.FilterSelector,
        WRITE,
    ),
    ("POST", "/collections/{name}/points/scroll", models.ScrollRequest, READ),
    ("POST", "/collections/{name}/points/count", models.CountRequest, {"timeout"}),
    ("POST", "/collections/{name}/points/query", models.QueryRequest, READ),
]


@dataclass(frozen=True)
class Asked:
    """A request that arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: Any
    raw: bytes

    @property
    def what(self) -> str:
        """The method and the end of the path, such as ``PUT points``."""
        return f"{self.method} {self.path.rpartition('/')[2]}"


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with one request.

    Parameters
    ----------
    on
        With which: as `Asked.what`; empty for any.
    status, body, headers
        What is answered instead.
    way
        ``"drop"`` ends the connection without an answer, ``"cut"`` in the middle of one, and
        ``"hang"`` does not answer at all.
    done
        Whether what was asked for is done before that: the answer gets lost.
    """

    on: str = ""
    status: int = 0
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    way: str = "answer"
    done: bool = False


class FakeQdrant:
    """The stand-in; `run` starts it.

    Attributes
    ----------
    asked
        What arrived, in order.
    complaints
        What the schema does not allow; empty when all is well.
    faults
        What is still to go wrong: each with the first request that it is for.
    key
        The API key that requests need; None for none.
    ended
        When it stops listening.
    """

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.complaints: list[str] = []
        self.faults: deque[Fault] = deque()
        self.key: str | None = None
        self.host = ""
        self._client = QdrantClient(":memory:")
        self._indexes: dict[str, dict[str, models.PayloadIndexInfo]] = {}
        self._turn = threading.Lock()
        self.ended = threading.Event()

    @property
    def address(self) -> str:
        return f"qdrant://{self.host}/photos"

    def bodies(self, what: str) -> list[Any]:
        """Return the bodies of some of the requests that arrived."""
        return [asked.body for asked in self.asked if asked.what == what]

    def fault_for(self, asked: Asked) -> Fault | None:
        with self._turn:
            for fault in self.faults:
                if fault.on in ("", asked.what):
                    self.faults.remove(fault)
                    return fault
        return None

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """Check a request and do what it asks for; return a status and the result or an error."""
        found = [
            (match, *route)
            for route in ROUTES
            if route[0] == asked.method and (match := _pattern(route[1]).fullmatch(asked.path))
        ]
        if not found:
            return self._complain(f"there is no {asked.method} {asked.path}")
        match, method, template, model, parameters = found[0]
        if further := set(asked.query) - parameters:
            return self._complain(f"{asked.method} {template} takes no {sorted(further)}")
        if (model is None) != (asked.raw == b""):
            return self._complain(f"{asked.method} {template} with {asked.raw[:80]!r}")
        try:
            body = model and TypeAdapter(model).validate_json(asked.raw, strict=True)
        except ValidationError as error:
            return self._complain(f"{asked.method} {template}: {error}")
        name = unquote(match.groupdict().get("name", ""))
        with self._turn:
            try:
                return 200, self._do(f"{method} {template}", name, body)
            except ValueError as error:
                known = name == "" or self._client.collection_exists(name)
                if "already exists" in str(error):
                    return 409, f"Wrong input: Collection `{name}` already exists!"
                if known:
                    return 400, f"Wrong input: {error}"
                return 404, f"Not found: Collection `{name}` doesn't exist!"
            except Exception as error:
                self.complaints.append(repr(error))
                raise

    def _complain(self, what: str) -> tuple[int, str]:
        self.complaints.append(what)
        return 422, what

    def _do(self, what: str, name: str, body: Any) -> Any:
        client = self._client
        done = models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)
        match what:
            case "GET /collections":
                return client.get_collections()
            case "GET /collections/{name}/exists":
                return {"exists": client.collection_exists(name)}
            case "GET /collections/{name}":
                info = client.get_collection(name)
                return info.model_copy(update={"payload_schema": self._indexes.get(name, {})})
            case "PUT /collections/{name}":
                return client.create_collection(name, vectors_config=body.vectors)
            case "PATCH /collections/{name}":
                vectors: Any = client.get_collection(name).config.params.vectors
                (diff,) = body.vectors.values()
                changed = diff.model_dump(exclude_none=True)
                if diff.quantization_config == models.Disabled.DISABLED:
                    changed["quantization_config"] = None
                # The local mode changes nothing that a vector is kept by.
                local: Any = client._client
                local.collections[name].config.vectors = models.VectorParams.model_validate(
                    vectors.model_dump() | changed
                )
                return True
            case "DELETE /collections/{name}":
                self._indexes.pop(name, None)
                return client.delete_collection(name)
            case "PUT /collections/{name}/index":
                self._indexes.setdefault(name, {})[body.field_name] = models.PayloadIndexInfo(
                    data_type=body.field_schema, points=0
                )
                return done
            case "PUT /collections/{name}/points":
                client.upsert(name, body.points)
                return done
            case "POST /collections/{name}/points/delete":
                client.delete(name, body)
                return done
            case "POST /collections/{name}/points":
                return client.retrieve(
                    name, body.ids, with_payload=body.with_payload, with_vectors=body.with_vector
                )
            case "POST /collections/{name}/points/scroll":
                points, offset = client.scroll(
                    name,
                    body.filter,
                    limit=body.limit,
                    offset=body.offset,
                    with_payload=body.with_payload,
                    with_vectors=body.with_vector,
                )
                return {"points": [_plain(each) for each in points], "next_page_offset": offset}
            case "POST /collections/{name}/points/count":
                return client.count(name, body.filter, exact=body.exact)
            case "POST /collections/{name}/points/query":
                return client.query_points(
                    name,
                    query=body.query,
                    query_filter=body.filter,
                    limit=body.limit,
                    with_payload=body.with_payload,
                    with_vectors=body.with_vector,
                )
        raise AssertionError(what)

    @contextmanager
    def run(self) -> Iterator[FakeQdrant]:
        """Listen until the block ends."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        self.host = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.ended.set()
            server.shutdown()
            server.server_close()
            thread.join()
            self._client.close()


def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(template.replace("{name}", "(?P<name>[^/]+)"))


def _plain(result: Any) -> Any:
    if isinstance(result, BaseModel):
        return result.model_dump(mode="json", exclude_none=True)
    return [_plain(each) for each in result] if isinstance(result, list) else result


def _handler(fake: FakeQdrant) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            place = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with suppress(ValueError):
                body = json.loads(raw or b"null")
            query = parse_qs(place.query, keep_blank_values=True)
            asked = Asked(self.command, place.path, query, body, raw)
            fake.asked.append(asked)
            if fake.key is not None and self.headers.get("api-key") != fake.key:
                self.send(401, b"Must provide an API key or an Authorization bearer token", {})
                return
            fault = fake.fault_for(asked)
            if fault is None or fault.done:
                status, result = fake.answer(asked)
                key, value = ("result", result) if status == 200 else ("status", {"error": result})
                answer = {"time": 0.0, "status": "ok", key: _plain(value)}
                content = json.dumps(answer).encode()
            if fault is None:
                self.send(status, content, {})
            elif fault.way == "answer":
                self.send(fault.status, fault.body, fault.headers)
            elif fault.way == "cut":
                self.send(200, b'{"time": 0.0, "status": "ok", ', {"Content-Length": "9999"})
                self.connection.shutdown(socket.SHUT_RDWR)
            elif fault.way == "hang":
                fake.ended.wait()
            self.close_connection = True

        def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            every = {"Content-Type": "application/json", "Content-Length": str(len(content))}
            for name, value in (every | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    for method in ("GET", "PUT", "POST", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.handle_any)
    return Handler
