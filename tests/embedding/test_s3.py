"""Sources on S3: the real client, and a server of its protocol on this machine.

They run where `s3fs` and `moto[server]` are installed, which the environment for development does
not have: the client of S3 wants an older dateutil than everything else takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import httpx
import pytest
from tests.embedding.counting_encoder import CountingEncoder
from tests.embedding.test_parts import pack, rows
from tests.embedding.test_remote import without_places

from pareja.embedding import embed_parts
from pareja.embedding.partitions import planned
from pareja.errors import DatasetError, MachineError

Paint = Callable[..., list[Path]]
Put = Callable[[Path], str]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    running = moto.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def put(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Put]:
    """Put a folder into a bucket; return its URL. Keys and address are in the environment."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    storage = fsspec.filesystem("s3", skip_instance_cache=True)
    storage.mkdir("bucket")

    def put(folder: Path) -> str:
        storage.put(str(folder), f"bucket/{folder.name}", recursive=True)
        return f"s3://bucket/{folder.name}"

    yield put
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    answer_all(server)
    ask(server, "reset")


def ask(server: str, what: str, content: str = "") -> None:
    response = httpx.post(f"{server}/moto-api/{what}", content=content)
    response.raise_for_status()


def refuse_after(server: str, requests: int) -> None:
    """Have the server take any keys for so many requests, and then only those that it knows."""
    ask(server, "reset-auth", str(requests))


def answer_all(server: str) -> None:
    refuse_after(server, 10**9)


def test_folders_are_read_as_here(
    colour_folder: Path, tmp_path: Path, encoder: CountingEncoder, put: Put
) -> None:
    (colour_folder / "images" / "broken.png").write_text("no picture")
    url = put(colour_folder)
    embed_parts(url, encoder, tmp_path / "there", partition_size=4)
    embed_parts(colour_folder, encoder, tmp_path / "here", partition_size=4)
    assert without_places(tmp_path / "there") == without_places(tmp_path / "here")
    (first, *_) = rows(tmp_path / "there")
    assert first["place"] == f"{url}/{first['file_name']}"


def test_shards_are_read_as_here(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder, put: Put
) -> None:
    paths = paint(6)
    pack(tmp_path / "tars", "train-0.tar", paths[:4])
    pack(tmp_path / "tars", "train-1.tar", paths[4:])
    url = put(tmp_path / "tars")
    embed_parts(url, encoder, tmp_path / "there")
    embed_parts(tmp_path / "tars", encoder, tmp_path / "here")
    assert without_places(tmp_path / "there") == without_places(tmp_path / "here")


def test_what_is_not_there_is_named(paint: Paint, put: Put) -> None:
    put(paint(1)[0].parent)
    for url in ("s3://none/pictures", "s3://bucket/none"):
        with pytest.raises(DatasetError, match=url):
            planned(url)


def test_keys_that_are_refused_make_no_broken_pictures(
    paint: Paint, tmp_path: Path, encoder: CountingEncoder, put: Put, server: str
) -> None:
    url = put(paint(4)[0].parent)
    refuse_after(server, 0)
    with pytest.raises(MachineError, match=r"the storage refuses the keys: The AWS Access Key Id"):
        embed_parts(url, encoder, tmp_path / "out", workers=1)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    refuse_after(server, 3)  # the list, and two pictures
    with pytest.raises(MachineError, match=r"000\d\.png: the storage refuses the keys"):
        embed_parts(url, encoder, tmp_path / "out", workers=1, partition_size=1)
    whole = rows(tmp_path / "out")
    assert [row["error"] for row in whole] == [None] * len(whole)
    answer_all(server)
    again = embed_parts(url, encoder, tmp_path / "out", partition_size=1)
    assert (again.written, again.found) == (4 - len(whole), len(whole))
    assert len(whole) in (1, 2)


def test_a_server_that_goes_away_makes_no_broken_pictures(
    paint: Paint,
    tmp_path: Path,
    encoder: CountingEncoder,
    put: Put,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = put(paint(2)[0].parent)
    plan = planned(url)
    s3 = fsspec.get_filesystem_class("s3")
    s3.clear_instance_cache()
    monkeypatch.setattr(s3, "retries", 1)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    source = plan.partitions[0].listed[0].record.source
    with pytest.raises(MachineError, match=r"the storage does not answer.*Could not connect"):
        source.read()
