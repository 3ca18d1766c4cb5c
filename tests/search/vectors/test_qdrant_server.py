from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.search.vectors.fake_qdrant import FakeQdrant, Fault

from pareja.errors import CollectionError, MissingDependencyError
from pareja.search import Collection
from pareja.search.vectors import qdrant_server
from pareja.search.vectors.qdrant_server import QdrantAddress, QdrantRefusalError, QdrantServer

BUSY = b'{"status": {"error": "Rate limiting exceeded"}, "time": 0.0}'


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have no pauses, and note how long they would be."""
    noted: list[float] = []
    monkeypatch.setattr("time.sleep", noted.append)
    return noted


@pytest.fixture
def server(fake: FakeQdrant) -> Iterator[QdrantServer]:
    server = QdrantServer(QdrantAddress.parse(fake.address))
    yield server
    server.close()


def test_addresses() -> None:
    parse = QdrantAddress.parse
    assert parse("qdrant://host:7000/a?shards=3&replicas=2&tls=1") == QdrantAddress(
        "https://host:7000", "a", 3, 2
    )
    assert parse("qdrant://host/a") == QdrantAddress("http://host:6333", "a")
    assert parse("qdrant://[::1]/mis fotos") == QdrantAddress("http://[::1]:6333", "mis fotos")
    assert parse("qdrant://:memory:/a").url == ":memory:"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://host/a", "does not begin with qdrant://"),
        ("qdrant://host", "'' is no name"),
        ("qdrant://host/a/b", "'a/b' is no name"),
        ("qdrant://host/..", "'..' is no name"),
        ("qdrant:///a", "'' is no host"),
        ("qdrant://host:port/a", "'host:port' is no host"),
        ("qdrant://host:99999/a", "out of range"),
        ("qdrant://my host/a", "'my host' is no host"),
        ("qdrant://secret@host/a", "QDRANT_API_KEY"),
        ("qdrant://host/a?shards=0", "shards is a whole number from 1 on, not '0'"),
        ("qdrant://host/a?shards=", "shards is a whole number from 1 on, not ''"),
        ("qdrant://host/a?replicas=many", "replicas is a whole number"),
        ("qdrant://host/a?shards=2&shards=3", "shards is there twice"),
        ("qdrant://host/a?tls=yes", "tls is 0 or 1"),
        ("qdrant://host/a?colour=red", "no option colour"),
    ],
)
def test_wrong_addresses_are_refused(address: str, why: str) -> None:
    with pytest.raises(CollectionError, match="no address of a store") as caught:
        QdrantAddress.parse(address)
    assert why in str(caught.value)


def test_a_server_that_does_not_answer_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(
        CollectionError, match=r"does not answer at http://127\.0\.0\.1:9"
    ) as caught:
        Collection.open(tmp_path / "c", create=True, store="qdrant://127.0.0.1:9/photos")
    assert "\n" not in str(caught.value)


def test_only_a_store_that_answered_is_remembered(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match="does not answer"):
        Collection.open(tmp_path / "index", create=True, store="qdrant://127.0.0.1:9/mistyped")
    with Collection.open(tmp_path / "index", create=True) as collection:
        assert collection.count() == 0


def test_the_client_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "qdrant_client", None)
    with pytest.raises(MissingDependencyError, match=r"pareja\[qdrant\]"):
        QdrantServer(QdrantAddress.parse("qdrant://:memory:/photos"))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=408, body=BUSY),
        Fault(status=429, body=BUSY),
        Fault(status=429, body=BUSY, headers={"Retry-After": "2"}),
        Fault(status=429, body=BUSY, headers={"Retry-After": "Sun, 29 Nov 2026 03:00:00 GMT"}),
        Fault(status=502, body=b"<html>Bad Gateway</html>"),
        Fault(status=503, body=BUSY),
        Fault(way="drop"),
        Fault(way="drop", done=True),
        Fault(way="cut"),
    ],
    ids=lambda fault: f"{fault.status or fault.way}",
)
def test_what_passes_is_asked_again_and_then_told_in_one_line(
    fake: FakeQdrant, server: QdrantServer, pauses: list[float], fault: Fault
) -> None:
    fake.faults.extend([fault] * 3)
    assert server.ask(lambda: server.client.get_collections()).collections == []
    assert len(fake.asked) == 5
    assert pauses == ([2, 2, 2] if fault.headers.get("Retry-After") == "2" else [0.25, 0.5, 1.0])
    fake.faults.extend([fault] * 4)
    with pytest.raises(CollectionError, match=r"does not answer|refuses") as caught:
        server.ask(lambda: server.client.get_collections())
    assert server.address.url in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_says_nothing_is_not_waited_for_without_end(
    fake: FakeQdrant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qdrant_server, "_ATTEMPTS", 2)
    # The client takes whole seconds.
    monkeypatch.setattr("qdrant_client.qdrant_remote.math.ceil", lambda seconds: 0.5)
    fake.faults.extend([Fault(way="hang")] * 2)
    with pytest.raises(CollectionError, match=r"does not answer at .*timed out"):
        QdrantServer(QdrantAddress.parse(fake.address))
    assert len(fake.asked) == 2


def test_no_server_makes_anyone_wait_for_hours(
    fake: FakeQdrant, server: QdrantServer, pauses: list[float]
) -> None:
    fake.faults.append(Fault(status=429, body=BUSY, headers={"Retry-After": "86400"}))
    server.ask(lambda: server.client.get_collections())
    assert pauses == [10.0]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            Fault(status=400, body=b'{"status": {"error": "Wrong input:\\n bad vector."}}'),
            r"refuses: Wrong input: bad vector \(status 400\)\.$",
        ),
        (
            Fault(status=500, body=b'{"status": {"error": "Service internal error: disk"}}'),
            r"refuses: Service internal error: disk \(status 500\)\.$",
        ),
        (Fault(status=507), r"refuses: Insufficient Storage \(status 507\)\.$"),
        (Fault(status=308, headers={"Location": "https://x"}), r"refuses: .*\(status 308\)\.$"),
        (Fault(status=404, body=b'{"status": {"error": "Not found"}}'), "index the pictures again"),
        (Fault(status=200, body=b"<html>a router</html>"), "is not Qdrant, or a version"),
        (Fault(status=200, body=b"\xff\xfe"), "is not Qdrant, or a version"),
        (Fault(status=200, body=b'{"result": {"cats": []}}'), "is not Qdrant, or a version"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Fault) else "",
)
def test_a_refusal_is_final_and_one_line(
    fake: FakeQdrant, server: QdrantServer, fault: Fault, message: str
) -> None:
    fake.faults.append(fault)
    with pytest.raises(CollectionError, match=message) as caught:
        server.ask(lambda: server.client.get_collections())
    assert len(fake.asked) == 2
    assert server.address.url in str(caught.value)
    assert "\n" not in str(caught.value)


def test_keys(fake: FakeQdrant, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.key = "right"
    address = QdrantAddress.parse(fake.address)
    monkeypatch.delenv("QDRANT_API_KEY", raising=False)
    with pytest.raises(QdrantRefusalError, match=r"Put its API key into .* QDRANT_API_KEY"):
        QdrantServer(address)
    monkeypatch.setenv("QDRANT_API_KEY", "wrong")
    with pytest.raises(QdrantRefusalError, match="Put another API key into"):
        QdrantServer(address)
    assert len(fake.asked) == 2
    monkeypatch.setenv("QDRANT_API_KEY", "right")
    QdrantServer(address).close()


def test_a_key_that_travels_unencrypted_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("QDRANT_API_KEY", "right")
    monkeypatch.setattr(qdrant_server, "_ATTEMPTS", 1)
    with (
        pytest.warns(UserWarning, match=r"unencrypted to http://host\.invalid:6333"),
        pytest.raises(CollectionError, match="does not answer"),
    ):
        QdrantServer(QdrantAddress.parse("qdrant://host.invalid/photos"))
    with pytest.raises(CollectionError, match="does not answer"):
        QdrantServer(QdrantAddress.parse("qdrant://host.invalid/photos?tls=1"))


def test_what_is_under_a_name(server: QdrantServer) -> None:
    from qdrant_client import models

    one = models.VectorParams(size=1, distance=models.Distance.COSINE)
    digest = "0123456789abcdef"
    names = [f"photos-{digest}", f"photos-{digest}-parts", f"photos-old-{digest}", "photos"]
    for name in (*names, f"photos-{digest[::-1]}"):
        server.client.create_collection(name, one)
    for name in names:
        server.client.upsert(name, [models.PointStruct(id=1, vector=[1.0])])
    assert sorted(server.held()) == names[:2]
