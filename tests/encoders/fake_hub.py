"""A stand-in for the Hugging Face hub on loopback: the endpoints that its client really uses."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 10_000
"""From this size on a file has a SHA-256, as those in the hub's large file storage do."""


@dataclass
class Repository:
    """What the stand-in serves under one name.

    `revisions` maps a commit to its files; `branches` a branch to a commit. `refuse` is the code
    of an error that every request gets, as in ``X-Error-Code``.
    """

    revisions: dict[str, dict[str, bytes]]
    branches: dict[str, str]
    licence: str = "mit"
    refuse: str = ""


@dataclass
class FakeHub:
    """The state of the server, which tests change between requests."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and Range header of each request."""
    break_after: int | None = None
    """Bytes of a large file after which the connection is cut, once."""
    stay_broken: bool = False
    """Whether large files are cut off again and again after that, before their first byte."""
    corrupt: bool = False
    url: str = ""

    def add(
        self,
        name: str,
        folder: Path,
        commit: str = "a" * 40,
        branch: str = "main",
        **options: Any,
    ) -> None:
        """Serve a folder as a branch of a repository."""
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        repository = self.repositories.setdefault(name, Repository({}, {}, **options))
        repository.revisions[commit] = files
        repository.branches[branch] = commit

    def sent(self, method: str, end: str) -> list[str]:
        """Return the Range headers of requests for paths that end so."""
        return [r for m, path, r in self.requests if m == method and path.endswith(end)]


@contextmanager
def serve() -> Iterator[FakeHub]:
    hub = FakeHub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    state: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.state.requests.append((self.command, path, self.headers.get("Range", "")))
        # A slash inside a revision is escaped: refs%2Fpr%2F3.
        parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
        if parts[:2] == ["api", "models"]:
            name, rest = "/".join(parts[2:4]), parts[4:]
            revision, file = (rest[1] if rest[:1] == ["revision"] else "main"), None
        else:
            name, revision, file = "/".join(parts[:2]), parts[3], "/".join(parts[4:])
        repository = self.state.repositories.get(name)
        if repository is None:
            return self._refuse(404, "RepoNotFound")
        if repository.refuse:
            return self._refuse(403, repository.refuse)
        commit = repository.branches.get(revision, revision)
        files = repository.revisions.get(commit)
        if files is None:
            return self._refuse(404, "RevisionNotFound")
        if file is None:
            return self._describe(name, repository, commit, files)
        if file not in files:
            return self._refuse(404, "EntryNotFound", commit)
        return self._send_file(files[file], commit)

    def _describe(
        self, name: str, repository: Repository, commit: str, files: dict[str, bytes]
    ) -> None:
        siblings: list[dict[str, Any]] = []
        for path, content in files.items():
            entry = {"rfilename": path, "size": len(content), "blobId": git_hash(content)}
            if len(content) >= LARGE:
                entry["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 134}
            siblings.append(entry)
        model = {"id": name, "sha": commit, "siblings": siblings}
        body = json.dumps(model | {"tags": [f"license:{repository.licence}"]}).encode()
        self._head(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _send_file(self, content: bytes, commit: str) -> None:
        large = len(content) >= LARGE
        headers = {
            "X-Repo-Commit": commit,
            "ETag": f'"{sha256(content) if large else git_hash(content)}"',
            "Accept-Ranges": "bytes",
        }
        if large and self.state.corrupt:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start, total = 0, len(content)
        if (wanted := self.headers.get("Range", "")).startswith("bytes="):
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        body = content[start:]
        self._head(206 if start else 200, headers | {"Content-Length": str(len(body))})
        if self.command == "HEAD":
            return
        if large and self.state.break_after is not None:
            body = body[: self.state.break_after]
            self.state.break_after = 0 if self.state.stay_broken else None
            self.wfile.write(body)
            self.close_connection = True
            return
        self.wfile.write(body)

    def _refuse(self, status: int, code: str, commit: str = "") -> None:
        headers = {"X-Error-Code": code, "Content-Length": "0"}
        self._head(status, headers | ({"X-Repo-Commit": commit} if commit else {}))

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_hash(content: bytes) -> str:
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
