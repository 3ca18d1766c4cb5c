"""Requests that wait for memory: for a while, and without keeping others waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

import anyio
import httpx
import pytest
from fastapi import FastAPI
from tests.server.pictures import data_url, png

from pareja.errors import ServerError
from pareja.server.decoding import MemoryBudget
from pareja.server.problems import Problem
from pareja.server.settings import Limits
from pareja.server.turns import Patience, Turns

MANY = 60


def test_a_turn_that_is_free_needs_no_patience() -> None:
    async def both() -> list[int]:
        turns = Turns(1, patience=0)
        return [await turns.run(lambda: 1), await turns.run(lambda: 2)]

    assert anyio.run(both) == [1, 2]


def test_who_waits_too_long_for_a_turn_is_asked_to_come_back() -> None:
    async def crowd() -> list[object]:
        turns = Turns(1, patience=0.05)
        work = partial(time.sleep, 0.5)
        return await asyncio.gather(*(turns.run(work) for _ in range(3)), return_exceptions=True)

    first, *others = anyio.run(crowd)
    assert first is None
    for problem in others:
        assert isinstance(problem, Problem)
        assert (problem.status_code, problem.headers) == (503, {"retry-after": "5"})


def test_a_turn_is_given_back_where_work_fails() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    async def again() -> int:
        turns = Turns(1, patience=1)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await turns.run(fail)
        return await turns.run(lambda: 7)

    assert anyio.run(again) == 7


def test_patience_is_for_all_that_a_request_waits_for() -> None:
    budget = MemoryBudget(100, patience=60)

    def twice() -> None:
        for _ in range(2):
            with pytest.raises(Problem), budget.take(100):
                pass

    with budget.take(100):
        start = time.monotonic()
        anyio.run(Turns(1, patience=0.2).run, twice)
    assert 0.2 <= time.monotonic() - start < 5
    patience = Patience(0.0)
    with patience.waiting() as most:
        assert most == 0


async def crowded(
    app: FastAPI, address: str, *, until_sent_away: bool
) -> tuple[list[int], list[httpx.Response]]:
    """Ask by words, while a crowd asks by pictures and there is no memory for any of them."""
    budget = app.state.engine.decoder.budget
    body = {"image": data_url((200, 0, 0))}
    upload = {"picture": ("a.png", png((200, 0, 0)), "image/png")}
    embedded = {"input": [body]}
    classified = {"images": [body], "labels": ["red", "blue"]}
    limits = httpx.Limits(max_connections=2 * MANY)
    async with httpx.AsyncClient(base_url=address, limits=limits, timeout=60) as client:
        await client.get("/v1/search?q=red")
        with budget.take(2**40):
            crowd = []
            for _ in range(MANY // 4):
                crowd += [
                    asyncio.create_task(client.post("/v1/search", json=body)),
                    asyncio.create_task(client.post("/v1/embeddings", json=embedded)),
                    asyncio.create_task(client.post("/v1/classify", json=classified)),
                    asyncio.create_task(client.post("/search-by-picture", files=upload)),
                ]
            await asyncio.sleep(1)
            paths = ("/v1/search?q=red", "/", "/v1/models", "/pictures/1", "/healthz")
            words = [(await client.get(path, timeout=20)).status_code for path in paths]
            words.append(
                (await client.post("/v1/search", json={"text": "red"}, timeout=20)).status_code
            )
            if until_sent_away:
                return words, await asyncio.gather(*crowd)
        return words, await asyncio.gather(*crowd)


def test_searches_by_words_do_not_wait_for_pictures(
    make_app: Callable[..., FastAPI], serve: Callable[[FastAPI], str]
) -> None:
    app = make_app()
    words, crowd = asyncio.run(crowded(app, serve(app), until_sent_away=False))
    assert words == [200] * 6
    assert {answer.status_code for answer in crowd} == {200, 303}


def test_a_crowd_that_has_waited_is_asked_to_come_back(
    make_app: Callable[..., FastAPI], serve: Callable[[FastAPI], str]
) -> None:
    app = make_app(limits=Limits(patience=2))
    words, crowd = asyncio.run(crowded(app, serve(app), until_sent_away=True))
    assert words == [200] * 6
    assert {answer.status_code for answer in crowd} == {503}
    assert {answer.headers["retry-after"] for answer in crowd} == {"5"}


@pytest.mark.parametrize("limits", [{"decoded_bytes": 0}, {"patience": -1.0}, {"images": 0}])
def test_limits_are_above_0(limits: dict[str, int]) -> None:
    with pytest.raises(ServerError, match=f"`{next(iter(limits))}` is a number above 0"):
        Limits(**limits)
