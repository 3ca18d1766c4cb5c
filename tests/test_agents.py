"""Agents: what the official client gets from a collection."""

from __future__ import annotations

import base64
import io
import logging
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest
from mcp import Client, StdioServerParameters
from PIL import Image

from pareja.agents import build_server, serve_agents
from pareja.errors import InputError, ServerError
from pareja.search import Collection

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

ROOT = Path(__file__).parents[1]
Ask = Callable[..., Any]


@pytest.fixture
def collection(colour_folder: Path, tmp_path: Path, colours: ColourEncoder) -> Iterator[Collection]:
    with Collection.open(tmp_path / "index", create=True) as opened:
        opened.index([colour_folder], colours)
        opened.index([colour_folder], replace(colours, name="hues"))
        opened.create_query_set("walls", ["red", "blue"])
        for query in ("red", "blue"):
            best = opened.search(query, colours, k=1)[0]
            opened.judge(query, best.picture.id, True)
        yield opened


def with_client(collection: Collection, work: Callable[[Client], Awaitable[Any]]) -> Any:
    async def connected() -> Any:
        async with Client(build_server({"walls": collection})) as client:
            return await work(client)

    return anyio.run(connected)


@pytest.fixture
def ask(collection: Collection) -> Ask:
    """Call a tool and return its answer."""

    def call(tool: str, **arguments: Any) -> Any:
        return with_client(collection, lambda client: client.call_tool(tool, arguments))

    return call


def test_every_tool_only_reads_and_says_so(collection: Collection) -> None:
    tools = with_client(collection, lambda client: client.list_tools()).tools
    names = {"collections", "search", "look", "picture", "classify", "evaluate", "compare"}
    assert {tool.name for tool in tools} == names
    for tool in tools:
        assert tool.input_schema["additionalProperties"] is False
        assert tool.annotations.read_only_hint
        assert not tool.annotations.open_world_hint
        assert len(tool.description) > 40


def test_a_search_by_words_and_by_a_picture(ask: Ask) -> None:
    found = ask("search", words="red", k=3).structured_content
    assert found["model"] == "colours"
    assert found["hits"][0]["caption"] == "A wall painted red"
    assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3]
    assert isinstance(found["likely_relevant"], bool | None)
    red = found["hits"][0]["id"]
    alike = ask("search", like=red, model="hues", k=2).structured_content
    assert alike["model"] == "hues"
    assert red not in {hit["id"] for hit in alike["hits"]}


def test_a_search_by_a_picture_from_elsewhere_and_words(ask: Ask) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (9, 9), (30, 60, 210)).save(stream, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
    (hit,) = ask("search", image=url, k=1).structured_content["hits"]
    assert hit["caption"] == "A wall painted blue"
    (hit,) = ask("search", image=url, words="red", minus="blue", k=1).structured_content["hits"]
    assert hit["caption"] == "A wall painted red"


def test_a_search_by_a_part_of_a_picture(ask: Ask) -> None:
    picture = Image.new("RGB", (40, 20), "green")
    picture.paste("blue", (20, 0, 40, 20))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    image = f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
    for box, colour in (([20, 0, 20, 20], "blue"), ([0, 0, 0.5, 1], "green")):
        found = ask("search", image=image, box=box, k=1).structured_content
        assert found["hits"][0]["caption"] == f"A wall painted {colour}"
    assert (
        "in a picture of 40 x 20 pixels"
        in ask("search", image=image, box=[30, 0, 20, 20]).content[0].text
    )
    assert ask("search", words="red", box=[0, 0, 1, 1]).is_error


def test_words_never_name_a_file(ask: Ask, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9), (30, 60, 210)).save(tmp_path / "red.png")
    (hit,) = ask("search", words=str(tmp_path / "red.png"), k=1).structured_content["hits"]
    assert hit["caption"] == "A wall painted red"


def test_pictures_are_looked_at_side_by_side_and_alone(ask: Ask) -> None:
    hits = ask("search", words="red", k=5).structured_content["hits"]
    (sheet,) = ask("look", ids=[hit["id"] for hit in hits]).content
    seen = Image.open(io.BytesIO(base64.b64decode(sheet.data)))
    assert seen.size == (4 * 256, 2 * (256 + 26))
    told, shown = ask("picture", picture_id=hits[0]["id"]).content
    assert "A wall painted red" in told.text
    colour = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown.data)))).mean(axis=(0, 1))
    np.testing.assert_allclose(colour, (220, 30, 30), atol=4)


def test_a_picture_that_is_not_there_takes_no_other_along(
    ask: Ask, collection: Collection, colour_folder: Path
) -> None:
    red, blue = (
        next(each for each in collection.pictures() if each.path.stem == name)
        for name in ("red", "blue")
    )
    shutil.copy(blue.path, red.path)
    (sheet,) = ask("look", ids=[red.id, blue.id]).content
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet.data))), np.float64)
    cells = seen[26 + 20 : 26 + 40, 60:80], seen[26 + 20 : 26 + 40, 256 + 60 : 256 + 80]
    frame, shown = (cell.mean(axis=(0, 1)) for cell in cells)
    assert np.ptp(frame) < 12
    assert shown[2] > shown[0] + 100
    answer = ask("picture", picture_id=red.id)
    assert answer.is_error
    assert "another one than when it was indexed" in answer.content[0].text


def test_pictures_are_classified(ask: Ask) -> None:
    hits = ask("search", words="red", k=2).structured_content["hits"]
    ids = [hit["id"] for hit in hits]
    answer = ask("classify", ids=ids, labels=["red", "blue"]).structured_content
    assert [picture["id"] for picture in answer["pictures"]] == ids
    assert answer["pictures"][0]["labels"] == ["red"]
    assert sum(answer["pictures"][0]["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_words_are_looked_up_in_captions_on_demand(ask: Ask) -> None:
    hit = ask("search", words="red painted", hybrid=True).structured_content["hits"][0]
    assert hit["why"] == {"words": ["red"], "rank_by_words": 1, "rank_by_vectors": 1}
    assert "why" not in ask("search", words="red").structured_content["hits"][0]


def test_searches_are_measured_with_intervals(ask: Ask) -> None:
    measured = ask("evaluate", query_set="walls").structured_content
    assert set(measured["models"]) == {"colours", "hues"}
    ndcg = measured["models"]["colours"]["nDCG@5"]
    assert ndcg["low"] < ndcg["value"] == 1 == ndcg["high"]
    assert measured["differences"][0]["better"] is None


def test_encoders_are_compared_with_intervals(ask: Ask) -> None:
    compared = ask("compare").structured_content
    assert (compared["pictures"], compared["labels"]) == (8, ["dark", "bright"])
    top = compared["models"]["hues"]["top1"]
    assert top["low"] < top["value"] < top["high"]
    assert compared["chance"] == 0.5
    (difference,) = compared["differences"]
    assert (difference["value"], difference["better"]) == (0, None)


def test_of_several_collections_one_is_named(collection: Collection, tmp_path: Path) -> None:
    with Collection.open(tmp_path / "empty", create=True) as other:
        server = build_server({"walls": collection, "other": other})

        async def connected() -> Any:
            async with Client(server) as client:
                there = await client.call_tool("collections", {})
                unnamed = await client.call_tool("look", {"ids": [1]})
                named = await client.call_tool("look", {"ids": [1], "collection": "walls"})
                return there.structured_content, str(unnamed.content), named.is_error

        there, unnamed, failed = anyio.run(connected)
    assert {name: each["pictures"] for name, each in there.items()} == {"walls": 8, "other": 0}
    assert "Set `collection`: walls, other" in unnamed
    assert not failed


def test_two_collections_of_one_name_are_refused(collection: Collection) -> None:
    with pytest.raises(InputError, match="two `collections` are called 'index'"):
        serve_agents([collection, collection])
    with pytest.raises(InputError, match="empty"):
        serve_agents([])


def test_what_is_there_is_said_first(ask: Ask) -> None:
    told = ask("collections").structured_content["walls"]
    assert told["pictures"] == 8
    assert told["models"] == ["colours", "hues"]
    assert told["query_sets"] == ["walls"]


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("search", {}, "words"),
        ("search", {"words": "red", "model": "none"}, "colours, hues"),
        ("search", {"words": "red", "k": 0}, "1 to 100"),
        ("search", {"words": "red", "category": "none"}, "none"),
        ("search", {"words": "red", "kategory": "dark"}, "Did you mean `category`?"),
        ("search", {"words": 7}, "search: `words` is 7. Give text."),
        ("search", {"words": "red", "k": "many"}, '`k` is "many". Give a whole number.'),
        ("search", {"words": "red", "fold": "so"}, '`fold` is "so". Give true or false.'),
        ("search", {"like": 1, "box": [0, 0, "a", 1]}, '`box[2]` is "a". Give a number.'),
        ("look", {"ids": 3}, "`ids` is 3. Give a list."),
        ("look", {"id": [3]}, "no argument `id`. Did you mean `ids`?"),
        ("picture", {}, "`picture_id` is missing."),
        ("compare", {"truth": "x" * 99}, "xxx…. Give 'category' or 'label'."),
        ("search", {"like": 10**20}, "no picture 100000000000000000000"),
        ("look", {"ids": []}, "1 to 24"),
        ("look", {"ids": [99]}, "99"),
        ("look", {"ids": [10**20]}, "no picture 100000000000000000000"),
        ("picture", {"picture_id": 99}, "99"),
        ("collections", {"name": "walls"}, "no argument `name`. There are: -."),
        ("classify", {"ids": [], "labels": ["red", "blue"]}, "`ids` is empty"),
        ("classify", {"ids": [1, 99], "labels": ["red", "blue"]}, "no picture 99"),
        ("classify", {"ids": [10**20], "labels": ["red", "blue"]}, "no picture 100000"),
        ("classify", {"ids": [1], "labels": ["red"]}, "at least 2"),
        ("evaluate", {"query_set": "none"}, "walls"),
        ("compare", {"truth": "label"}, "fewer than two"),
        ("search", {"image": "file:///etc/passwd"}, "not visited"),
        ("search", {"words": "red", "collection": "none"}, "there are: walls"),
    ],
)
def test_a_mistake_is_a_line_that_the_agent_can_read(
    ask: Ask, tool: str, arguments: dict[str, Any], said: str
) -> None:
    answer = ask(tool, **arguments)
    assert answer.is_error
    assert said in answer.content[0].text
    assert "Traceback" not in answer.content[0].text
    assert len(answer.content[0].text.splitlines()) == 1


def test_the_command_speaks_the_protocol_alone(collection: Collection) -> None:
    command = ["-m", "pareja", "mcp", "--index", str(collection.path)]
    started = StdioServerParameters(
        command=sys.executable, args=command, cwd=str(ROOT), env=dict(os.environ)
    )

    async def connected() -> Any:
        async with Client(started) as client:
            return (await client.call_tool("collections", {})).structured_content

    assert anyio.run(connected)["index"]["pictures"] == 8


def test_without_a_collection_it_is_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pareja", "mcp", "--index", str(tmp_path / "none")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1


SERVES = """
import logging, signal, sys, threading
import anyio, httpx
from mcp import Client
from pareja.agents import serve_agents

async def connected(address):
    # A name of another site may lead to this machine.
    stranger = httpx.post(address, headers={"host": "evil.example"}, json={}, timeout=60)
    async with Client(address) as client:
        told = await client.call_tool("collections", {})
        print(stranger.status_code, told.structured_content["index"]["pictures"])

def visit(address):
    anyio.run(connected, address)
    signal.raise_signal(signal.SIGINT)

def started(address):
    threading.Thread(target=visit, args=[address], daemon=True).start()

before = logging.getLogger().handlers[:]
serve_agents(sys.argv[1], transport="http", port=0, started=started)
print(logging.getLogger().handlers == before)
"""


def test_over_http_until_the_program_is_interrupted(collection: Collection) -> None:
    # A process of its own: what other tests do with signals would decide how this one ends.
    served = subprocess.run(
        [sys.executable, "-c", SERVES, str(collection.path)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert (served.returncode, served.stdout) == (0, "421 8\nTrue\n"), served.stderr


def test_a_taken_port_is_one_line(collection: Collection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ServerError, match="port"):
        serve_agents(collection, transport="http", port=taken.getsockname()[1])


def test_the_program_logs_as_before(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    build_server({"walls": collection})
    assert logging.getLogger().handlers == []
