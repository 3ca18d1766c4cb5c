from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from pareja.errors import ServerError
from pareja.server import Limits, Settings
from pareja.server.security import TokenBucket

TOKEN = "correct-horse-battery"  # noqa: S105  made up
ADDRESS = "http://127.0.0.1:8420"


@pytest.fixture
def guarded(make_app: Callable[..., FastAPI]) -> TestClient:
    """A browser or program that reaches a server on a public address from elsewhere."""
    app = make_app(host="0.0.0.0", token=TOKEN)  # noqa: S104
    return TestClient(app, base_url="http://192.0.2.7:8420", follow_redirects=False)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "192.168.1.5", "example.org"],  # noqa: S104
)
def test_an_address_that_others_reach_needs_a_token(host: str) -> None:
    with pytest.raises(ServerError, match="token is needed"):
        Settings(host=host)
    assert Settings(host=host, token=TOKEN).token == TOKEN


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_none(host: str) -> None:
    assert Settings(host=host).is_loopback


def test_a_token_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ServerError, match="at least 16"):
        Settings(token="secret")  # noqa: S106


@pytest.mark.parametrize(
    ("settings", "host", "accepted"),
    [
        ({}, "127.0.0.1:8420", True),
        ({}, "localhost:8420", True),
        ({}, "LOCALHOST", True),
        ({}, "[::1]:8420", True),
        ({}, "evil.example", False),
        ({}, "127.0.0.1.evil.example", False),
        ({}, "192.168.1.5:8420", False),
        ({}, "", False),
        ({}, "[::1].evil.example", False),
        ({}, "[::1]evil.example:8420", False),
        ({}, "127.0.0.1:8420.evil.example", False),
        ({}, "localhost.", True),
        ({"allowed_hosts": ("pics.example",)}, "pics.example:80", True),
        ({"host": "0.0.0.0", "token": TOKEN}, "192.168.1.5:8420", True),  # noqa: S104
        ({"host": "0.0.0.0", "token": TOKEN}, "evil.example", False),  # noqa: S104
    ],
)
def test_only_its_own_names_are_answered(
    settings: dict[str, Any], host: str, accepted: bool
) -> None:
    assert Settings(**settings).accepts(host) is accepted


def test_a_foreign_host_gets_nothing(client: TestClient) -> None:
    for path in ("/", "/v1/models", "/static/pareja.css", "/healthz"):
        response = client.get(path, headers={"host": "evil.example"})
        assert response.status_code == 421
        assert "colours" not in response.text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://[broken"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1:8420"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": ADDRESS},
    ],
)
def test_another_sites_page_changes_nothing(
    client: TestClient, ids: dict[str, int], headers: dict[str, str]
) -> None:
    body = {"query": "red", "picture_id": ids["red"], "relevant": True}
    assert client.put("/v1/judgements", json=body, headers=headers).status_code == 403
    form = {"query": "red", "picture_id": ids["red"], "relevant": "yes"}
    assert client.post("/judgements", data=form, headers=headers).status_code == 403
    assert client.get("/v1/judgements?query=red").json()["judgements"] == {}
    own = {"origin": ADDRESS, "sec-fetch-site": "same-origin"}
    for ours in (own, {"origin": ADDRESS}):
        assert client.put("/v1/judgements", json=body, headers=ours).status_code == 200


def test_every_answer_carries_the_headers(client: TestClient) -> None:
    for path in ("/", "/v1/models", "/static/htmx.min.js", "/nowhere", "/v1/search"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer " + "é" * 20},
        {"cookie": f"pareja_session={TOKEN}"},
        {"cookie": "pareja_session=; ="},
    ],
)
def test_without_the_token_nothing_is_shown(guarded: TestClient, headers: dict[str, str]) -> None:
    sent = {name.encode(): value.encode() for name, value in headers.items()}
    response = guarded.get("/v1/models", headers=sent)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert "colours" not in response.text
    for path in ("/", "/pictures/1", "/v1/pictures/1/thumbnail", "/metrics", "/docs", "/map"):
        assert guarded.get(path, headers=sent).status_code == 401


def test_the_token_opens(guarded: TestClient) -> None:
    answer = guarded.get("/v1/models", headers={"authorization": f"Bearer {TOKEN}"})
    assert [model["id"] for model in answer.json()["data"]] == ["colours", "hues"]
    assert guarded.get("/healthz").status_code == 200


def test_where_no_token_is_asked_for_there_is_nothing_to_log_in_to(client: TestClient) -> None:
    sent = client.get("/login?next=/map", follow_redirects=False)
    assert (sent.status_code, sent.headers["location"]) == (303, "/map")


def test_a_browser_logs_in_once(guarded: TestClient) -> None:
    page = {"accept": "text/html"}
    sent = guarded.get("/pictures/1?model=hues", headers=page)
    assert sent.status_code == 303
    assert sent.headers["location"] == "/login?next=%2Fpictures%2F1%3Fmodel%3Dhues"
    form = guarded.get(sent.headers["location"], headers=page)
    assert 'name="next" value="/pictures/1?model=hues"' in form.text
    wrong = guarded.post("/login", data={"token": "wrong", "next": "/"})
    assert (wrong.status_code, "set-cookie" in wrong.headers) == (401, False)
    right = guarded.post("/login", data={"token": TOKEN, "next": "/pictures/1?model=hues"})
    assert (right.status_code, right.headers["location"]) == (303, "/pictures/1?model=hues")
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert guarded.get("/", headers=page).status_code == 200


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil", "/a\nb"])
def test_after_login_nobody_is_sent_elsewhere(guarded: TestClient, target: str) -> None:
    response = guarded.post("/login", data={"token": TOKEN, "next": target})
    assert response.headers["location"] == "/"


@pytest.fixture
def strict(make_app: Callable[..., FastAPI]) -> TestClient:
    """A server that takes three wrong tokens from an address."""
    app = make_app(token=TOKEN, limits=Limits(failures=3))
    return TestClient(app, base_url=ADDRESS, follow_redirects=False)


def test_wrong_tokens_are_counted(strict: TestClient) -> None:
    tries = [strict.post("/login", data={"token": f"guess {n}"}).status_code for n in range(5)]
    assert tries == [401, 401, 401, 429, 429]
    refused = strict.get("/v1/models", headers={"authorization": "Bearer another guess"})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    # Who shows none has not guessed.
    assert strict.get("/v1/models").status_code == 401
    assert strict.get("/", headers={"accept": "text/html"}).status_code == 303


def test_wrong_tokens_of_others_lock_nobody_out(strict: TestClient) -> None:
    right = {"authorization": f"Bearer {TOKEN}"}
    cookie = strict.post("/login", data={"token": TOKEN}).headers["set-cookie"].partition(";")[0]
    strict.cookies.clear()
    for _ in range(20):
        strict.get("/v1/models", headers={"authorization": "Bearer guess"})
    assert strict.get("/v1/models", headers=right).status_code == 200
    assert strict.get("/v1/models", headers={"cookie": cookie}).status_code == 200
    assert strict.post("/login", data={"token": TOKEN}).status_code == 303
    # The right token has given the guesses nothing back.
    guess = {"authorization": "Bearer guess", "cookie": ""}
    assert strict.get("/v1/models", headers=guess).status_code == 429


def test_a_client_gets_its_share_and_no_more(make_app: Callable[..., FastAPI]) -> None:
    limits = Limits(rate=0.001, burst=3)
    client = TestClient(make_app(limits=limits), base_url=ADDRESS)
    assert [client.get("/healthz").status_code for _ in range(4)] == [200, 200, 200, 429]
    other = TestClient(client.app, base_url=ADDRESS, client=("192.0.2.9", 1))
    assert other.get("/healthz").status_code == 200


def test_a_bucket_fills_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("pareja.server.security.time.monotonic", lambda: now[0])
    bucket = TokenBucket(rate=2, burst=2)
    assert [bucket.wait("a") for _ in range(3)] == [0, 0, 0.5]
    now[0] = 0.5
    assert bucket.wait("a") == 0
    assert bucket.wait("a") == 0.5
    assert bucket.wait("b") == 0


@pytest.mark.parametrize(
    "path",
    [
        "/static/../settings.py",
        "/static/..%2fsettings.py",
        "/static/%2e%2e/%2e%2e/errors.py",
        "/static//etc/passwd",
        "/v1/pictures/..%2f..%2fetc%2fpasswd",
        "/v1/pictures/%2e%2e/thumbnail",
        "/v1/pictures/1%00.png/thumbnail",
        "/uploads/..%2f..%2fetc%2fpasswd",
        "/pictures/-1",
        "/pictures/1e3",
    ],
)
def test_no_path_leads_out(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code in {404, 422}
    assert "root:" not in response.text
    assert "ParejaError" not in response.text


def test_a_body_is_counted_as_it_arrives(make_app: Callable[..., FastAPI]) -> None:
    client = TestClient(make_app(limits=Limits(body_bytes=10_000)), base_url=ADDRESS)
    announced = client.post("/v1/embeddings", json={"input": "x" * 20_000})
    assert announced.status_code == 413

    sent = 0

    def chunks() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 1_000
            yield b"x" * 1_000

    streamed = client.post(
        "/v1/embeddings", content=chunks(), headers={"content-type": "application/json"}
    )
    assert streamed.status_code == 413
    assert "MiB" in streamed.json()["error"]["message"]


PAGE = {"accept": "text/html,application/xhtml+xml", "accept-language": "es"}


@pytest.mark.parametrize("host", ["evil.example", "[broken", "<b>", "a/b?c#d@e", ""])
def test_a_browser_that_asks_for_another_host_gets_a_page(client: TestClient, host: str) -> None:
    page = client.get("/", headers={**PAGE, "host": host})
    assert (page.status_code, page.headers["content-type"]) == (421, "text/html; charset=utf-8")
    assert "Este servidor no responde al nombre «" in page.text
    assert "<b>" not in page.text
    assert "colours" not in page.text


def test_a_browser_reads_why_it_was_refused(make_app: Callable[..., FastAPI]) -> None:
    app = make_app(token=TOKEN, limits=Limits(rate=0.001, burst=4, failures=1))
    client = TestClient(app, base_url=ADDRESS, follow_redirects=False)
    foreign = client.post("/preferences", headers={**PAGE, "origin": "http://evil.example"})
    stranger = client.post("/preferences", data={"lang": "es"}, headers=PAGE)
    guess = {"authorization": "Bearer guess"}
    client.get("/v1/models", headers=guess)
    guessed = client.get("/", headers={**PAGE, **guess})
    often = client.get("/", headers=PAGE)
    for answer, status, said in (
        (foreign, 403, "Este cambio lo ha pedido una página de otro sitio"),
        (stranger, 401, "Este servidor pide una clave."),
        (guessed, 429, "demasiadas claves equivocadas"),
        (often, 429, "demasiadas peticiones"),
    ):
        assert answer.status_code == status
        assert answer.headers["content-language"] == "es"
        assert "<h1>" in answer.text
        assert said in answer.text
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert stranger.headers["www-authenticate"] == "Bearer"
    assert f"{often.headers['retry-after']} s." in often.text


def test_a_program_reads_why_it_was_refused_as_json(client: TestClient) -> None:
    error = client.get("/v1/models", headers={"host": "evil.example"}).json()["error"]
    assert "pareja serve --allow-host evil.example" in error["message"]
    assert error["type"] == "invalid_request_error"


def test_a_part_of_a_page_is_refused_with_a_line(guarded: TestClient) -> None:
    part = guarded.get("/", headers={**PAGE, "accept": "*/*", "hx-request": "true"})
    assert (part.status_code, part.headers["hx-retarget"]) == (401, "#alert")
    assert "Este servidor pide una clave." in part.text
    assert "<html" not in part.text
