"""What people with bad intentions, and broken programs, send to a real server."""

from __future__ import annotations

import io
import json
import socket
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

# The first answer of a server comes late on a busy machine.
get, post = partial(httpx.get, timeout=60), partial(httpx.post, timeout=60)


@pytest.fixture(autouse=True)
def alive_afterwards(address: str) -> Iterator[None]:
    yield
    answer = get(f"{address}/v1/search", params={"q": "green"})
    assert answer.json()["hits"][0]["caption"] == "A wall painted green"


def connected(address: str) -> socket.socket:
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20)


def raw(address: str, request: bytes) -> tuple[int, bytes]:
    """Send bytes as they are; return the status and all of the answer."""
    answer = b""
    with connected(address) as connection:
        with suppress(ConnectionError):
            connection.sendall(request)
        with suppress(ConnectionError):
            while chunk := connection.recv(65_536):
                answer += chunk
    return int(answer.split(b" ", 2)[1]) if answer else 0, answer


def chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def enormous_png(width: int, height: int) -> bytes:
    """A few bytes that announce a picture of any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1_000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "target",
    [
        "/../../../../etc/passwd",
        "/static/../../../../../../etc/passwd",
        "/static/..%2f..%2f..%2f..%2fetc/passwd",
        "/static/%2e%2e/settings.py",
        "/static/....//settings.py",
        "/v1/pictures/../../etc/passwd",
        "/v1/pictures/%2fetc%2fpasswd/thumbnail",
        "/uploads/../../etc/passwd",
        "/static/\\..\\settings.py",
    ],
)
def test_no_path_as_it_stands_leads_out(address: str, target: str) -> None:
    host = urlsplit(address).netloc
    status, answer = raw(
        address, f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    )
    assert status in {400, 404, 405, 422}
    assert b"root:" not in answer
    assert b"loopback" not in answer


def test_a_foreign_or_missing_host(address: str) -> None:
    assert get(address, headers={"host": "evil.example"}).status_code == 421
    status, _ = raw(address, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert status in {400, 421}


@pytest.mark.parametrize("announced", [True, False])
def test_an_upload_of_a_hundred_megabytes(address: str, announced: bool) -> None:
    with connected(address) as connection:
        length = f"Content-Length: {100 * 2**20}" if announced else "Transfer-Encoding: chunked"
        connection.sendall(
            f"POST /search-by-picture HTTP/1.1\r\nHost: {urlsplit(address).netloc}\r\n"
            f"Content-Type: multipart/form-data; boundary=x\r\n{length}\r\n\r\n".encode()
        )
        part = b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a.jpg"\r\n\r\n'
        sent = 0
        with suppress(ConnectionError, TimeoutError):
            for block in (part, *[b"a" * 2**20] * 100):
                piece = block if announced else b"%x\r\n%b\r\n" % (len(block), block)
                connection.sendall(piece)
                sent += len(block)
        answer = b""
        with suppress(ConnectionError):
            answer = connection.recv(65_536)
    assert sent < 60 * 2**20
    # Whoever goes on sending after the refusal may lose it to a reset connection.
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("size", [(32_000, 32_000), (1_000_000, 1_000), (2**31 - 1, 2**31 - 1)])
def test_an_upload_of_a_gigapixel(address: str, size: tuple[int, int]) -> None:
    files = {"picture": ("huge.png", enormous_png(*size))}
    answer = post(f"{address}/search-by-picture", files=files)
    assert answer.status_code in {413, 422}
    if size[0] < 2**31 - 1:
        assert answer.status_code == 413
        assert "the limit is 60 MP" in answer.json()["error"]["message"]


def broken_pictures() -> dict[str, bytes]:
    stream = io.BytesIO()
    Image.effect_noise((200, 200), 50).convert("RGB").save(stream, "JPEG")
    jpeg = stream.getvalue()
    return {
        "empty.jpg": b"",
        "text.jpg": b"hello",
        "cut.jpg": jpeg[: len(jpeg) // 3],
        "svg.png": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "flat.png": enormous_png(200, 200),
        "script.html": b"<script>alert(1)</script>",
        "../../evil.jpg": b"\xff\xd8\xff\xe0" + b"\0" * 100,
    }


@pytest.mark.parametrize("name", list(broken_pictures()))
def test_a_broken_picture_is_refused(address: str, name: str) -> None:
    files = {"picture": (name, broken_pictures()[name])}
    answer = post(f"{address}/search-by-picture", files=files)
    assert answer.status_code == 422
    assert "../" not in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe{}",
        b'{"input": "\\ud800"}',
        b'{"input": NaN}',
        b'{"input": "a", "model": {"a": 1}}',
        b'{"input": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b"1" * 100_000,
    ],
)
def test_json_that_is_none(address: str, body: bytes) -> None:
    answer = post(
        f"{address}/v1/embeddings", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code in {400, 422}
    assert answer.json()["error"]["message"]


def test_ten_thousand_texts(address: str) -> None:
    answer = post(f"{address}/v1/embeddings", json={"input": ["a text"] * 10_000})
    assert answer.status_code == 413
    assert "10000 texts" in answer.json()["error"]["message"]
    assert len(answer.content) < 1_000


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET / HTTP/9.9\r\nConnection: close\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X-A: b\r\n" * 20_000 + b"\r\n",
        b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
    ],
)
def test_what_is_no_http(address: str, request_line: bytes) -> None:
    status, _ = raw(address, request_line)
    assert status == 0 or 400 <= status < 500


def test_many_at_once_get_the_right_answers(address: str) -> None:
    colours = ("red", "green", "blue", "yellow", "white", "black", "pink", "brown")

    def ask(n: int) -> bool:
        colour = colours[n % len(colours)]
        answer = client.get("/v1/search", params={"q": colour, "k": 1})
        found: str = json.loads(answer.content)["hits"][0]["caption"]
        return found.endswith(colour)

    with (
        httpx.Client(base_url=address, timeout=60) as client,
        ThreadPoolExecutor(32) as pool,
    ):
        assert all(pool.map(ask, range(200)))
