"""HEAD, and servers behind a proxy: below a path, over https, with the visitors' addresses."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.server.pictures import png

from pareja.errors import ServerError
from pareja.server import Limits, Settings

ADDRESS = "http://127.0.0.1:8420"
TOKEN = "correct-horse-battery"  # noqa: S105  made up
PAGES = (
    "/",
    "/?q=red&category=dark",
    "/map",
    "/side-by-side?q=red",
    "/evaluation",
    "/classify",
    "/classify?picture=1&labels=red,blue",
    "/compare-models",
    "/review?threshold=0",
    "/pictures/1",
    "/pictures/1/captions",
    "/docs",
    "/nowhere",
)
LINK = re.compile(
    r"""\b(?:href|src|action|formaction|srcset|hx-(?:get|post|put))=["'](?P<to>[^"']*)["']"""
)
OF_SETS = re.compile(r"\s+[\d.]+[wx](?:,\s*|$)")


@pytest.fixture
def below(make_app: Callable[..., FastAPI]) -> TestClient:
    """A browser that reaches a server as ``/photos`` through a proxy that leaves the path alone."""
    app = make_app(root_path="/photos")
    return TestClient(app, base_url=ADDRESS, follow_redirects=False)


def links(html: str) -> set[str]:
    """Everything that a page leads to or shows, but places in itself."""
    found = [unescape(match["to"]) for match in LINK.finditer(html)]
    single = {link for written in found for link in OF_SETS.split(written) if link}
    return {link for link in single if not link.startswith(("#", "data:", "https://"))}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/?q=red", 200),
        ("/pictures/1", 200),
        ("/docs", 200),
        ("/openapi.json", 200),
        ("/static/pareja.css", 200),
        ("/v1/models", 200),
        ("/v1/search?q=red", 200),
        ("/v1/pictures/1/thumbnail", 200),
        ("/healthz", 200),
        ("/v1/search?kategory=a", 422),
        ("/v1/pictures/999", 404),
        ("/nowhere", 404),
        ("/v1/classify", 405),
    ],
)
def test_head_is_get_without_the_body(client: TestClient, path: str, status: int) -> None:
    head, get = client.head(path), client.get(path)
    assert (head.status_code, get.status_code) == (status, status)
    assert head.content == b""
    varying = {"date", "content-length"} if "search" in path or path.startswith("/?q") else {"date"}
    same = {name: value for name, value in head.headers.items() if name not in varying}
    assert same == {name: value for name, value in get.headers.items() if name not in varying}
    assert int(head.headers["content-length"]) > 0


def test_head_over_a_real_connection_leaves_it_open(address: str) -> None:
    with httpx.Client(base_url=address) as client:
        for path in ("/v1/models", "/", "/v1/pictures/1/thumbnail"):
            head = client.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert client.get(path).headers["content-length"] == head.headers["content-length"]
        counted = client.get("/metrics").text
    assert 'method="HEAD",route="/v1/models",status="200"} 1' in counted
    assert 'method="GET",route="/v1/models",status="200"} 1' in counted


def test_head_is_refused_where_get_is(make_app: Callable[..., FastAPI]) -> None:
    client = TestClient(make_app(token=TOKEN), base_url=ADDRESS, follow_redirects=False)
    assert client.head("/v1/models").status_code == 401
    assert client.head("/", headers={"accept": "text/html"}).status_code == 303
    assert client.head("/", headers={"host": "evil.example"}).status_code == 421


def test_every_link_of_every_page_stays_below_the_path(below: TestClient) -> None:
    seen: set[str] = set()
    for page in PAGES:
        answer = below.get(f"/photos{page}", headers={"accept": "text/html"})
        assert answer.status_code == (404 if page == "/nowhere" else 200), page
        found = links(answer.text)
        assert found, page
        assert not {link for link in found if not link.startswith("/photos/")}, page
        seen |= found
    posts = {"/photos/judgements", "/photos/preferences", "/photos/query-sets"}
    posts |= {"/photos/search-by-picture", "/photos/classify-picture"}
    assert posts <= seen
    for link in seen - posts:
        assert below.get(link).status_code == 200, link


def test_pages_outside_a_path_are_as_they_were(client: TestClient) -> None:
    for page in PAGES:
        assert "/photos" not in client.get(page, headers={"accept": "text/html"}).text


def test_a_proxy_may_take_the_path_away(below: TestClient) -> None:
    for path in ("/", "/v1/models", "/static/pareja.css", "/pictures/1"):
        assert below.get(path).content == below.get(f"/photos{path}").content
    assert below.get("/photos").status_code == 200
    assert below.get("/photoshop").status_code == 404


def test_whoever_is_sent_on_stays_below_the_path(below: TestClient) -> None:
    sent = below.post("/photos/search-by-picture", files={"picture": png((200, 30, 30))})
    assert sent.status_code == 303
    assert re.fullmatch(r"/photos/\?image=[\w-]+", sent.headers["location"])
    assert below.get(sent.headers["location"]).status_code == 200
    form = {"lang": "es", "next": "/pictures/1?model=hues"}
    chosen = below.post("/photos/preferences", data=form)
    assert chosen.headers["location"] == "/photos/pictures/1?model=hues"
    assert "Path=/photos" in chosen.headers["set-cookie"]
    away = below.post("/photos/preferences", data={"lang": "es", "next": "//evil.example"})
    assert away.headers["location"] == "/photos/"
    partial = below.get("/photos/?q=red", headers={"hx-request": "true", "hx-trigger": "q"})
    assert partial.headers["hx-replace-url"] == "/photos/?q=red"
    assert below.get("/photos/map/").headers["location"] == "/photos/map"
    assert below.get("/photos/openapi.json").json()["servers"] == [{"url": "/photos"}]


def test_logging_in_stays_below_the_path(make_app: Callable[..., FastAPI]) -> None:
    app = make_app(root_path="/photos", token=TOKEN)
    client = TestClient(app, base_url=ADDRESS, follow_redirects=False)
    page = {"accept": "text/html"}
    sent = client.get("/photos/pictures/1?model=hues", headers=page)
    assert sent.headers["location"] == "/photos/login?next=%2Fpictures%2F1%3Fmodel%3Dhues"
    form = client.get(sent.headers["location"], headers=page)
    assert 'action="/photos/login"' in form.text
    right = client.post("/photos/login", data={"token": TOKEN, "next": "/pictures/1?model=hues"})
    assert right.headers["location"] == "/photos/pictures/1?model=hues"
    assert "Path=/photos" in right.headers["set-cookie"]
    assert client.get(right.headers["location"], headers=page).status_code == 200
    assert client.get("/photos/static/pareja.css").status_code == 200


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"root_path": "photos"}, "`root_path` starts with a slash"),
        ({"root_path": "/photos/"}, "`root_path` starts with a slash"),
        ({"root_path": "/a/../b"}, "`root_path` starts with a slash"),
        ({"root_path": "//evil.example"}, "`root_path` starts with a slash"),
        ({"root_path": '/a"b'}, "`root_path` starts with a slash"),
        ({"proxies": ("nginx",)}, "`proxy` is the address"),
        ({"proxies": ("*",)}, "`proxy` is the address"),
    ],
)
def test_paths_and_proxies_that_are_none(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ServerError, match=said):
        Settings(**settings)  # type: ignore[arg-type]


def test_the_address_has_the_path() -> None:
    assert Settings(root_path="/a/b").address == "http://127.0.0.1:8420/a/b/"


def forwarded(app: FastAPI, proxy: str) -> TestClient:
    return TestClient(
        app, base_url="http://pics.example", client=(proxy, 4_000), follow_redirects=False
    )


@pytest.mark.parametrize(
    ("proxy", "secure"), [("127.0.0.1", True), ("10.1.2.3", True), ("192.0.2.9", False)]
)
def test_only_a_proxy_that_is_named_says_that_a_visit_is_over_https(
    make_app: Callable[..., FastAPI], proxy: str, secure: bool
) -> None:
    names = {"allowed_hosts": ("pics.example",), "proxies": ("127.0.0.1", "10.0.0.0/8")}
    client = forwarded(make_app(token=TOKEN, **names), proxy)
    said = {"x-forwarded-proto": "https", "x-forwarded-for": "198.51.100.4"}
    answer = client.post("/login", data={"token": TOKEN}, headers=said)
    assert answer.status_code == 303
    assert ("Secure" in answer.headers["set-cookie"]) is secure
    ours = {
        **said,
        "origin": "https://pics.example",
        "authorization": f"Bearer {TOKEN}",
    }
    changed = client.post("/preferences", data={"lang": "es"}, headers=ours)
    assert changed.status_code == (303 if secure else 403)


def test_a_named_proxy_gives_each_visitor_a_share(make_app: Callable[..., FastAPI]) -> None:
    limits = Limits(rate=0.001, burst=2)
    app = make_app(limits=limits, allowed_hosts=("pics.example",), proxies=("127.0.0.1",))

    def visit(proxy: str, visitor: str) -> int:
        headers = {"x-forwarded-for": visitor}
        return forwarded(app, proxy).get("/healthz", headers=headers).status_code

    assert [visit("127.0.0.1", "198.51.100.4") for _ in range(3)] == [200, 200, 429]
    # What a visitor writes there himself stands before what the proxy adds.
    assert visit("127.0.0.1", "203.0.113.1, 198.51.100.4") == 429
    assert visit("127.0.0.1", "198.51.100.5") == 200
    assert [visit("192.0.2.9", f"198.51.100.{n}") for n in range(6, 9)] == [200, 200, 429]


@pytest.mark.parametrize("kind", [{}, {"content-type": "application/x-www-form-urlencoded"}])
def test_json_without_its_header_is_told_so(client: TestClient, kind: dict[str, str]) -> None:
    for path in ("/v1/embeddings", "/v1/search", "/v1/classify"):
        answer = client.post(path, content=b'{"input": "a"}', headers=kind)
        assert answer.status_code == 415
        assert "Content-Type: application/json" in answer.json()["error"]["message"]
