"""Two encoders on the same search: which two, and what the page says where there are not two."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.server.pictures import index_wall

from pareja.encoders import EncoderPair
from pareja.search import Collection
from pareja.server import create_app

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.conftest import ColourEncoder
    from tests.server.conftest import LoadBy

ADDRESS = "http://127.0.0.1:8420"


def sides(html: str) -> list[str]:
    return re.findall(r'<section aria-label="(.*?)">', html)


def chosen(html: str) -> list[str]:
    return re.findall(r"<option selected>(\D.*?)</option>", html)


@pytest.fixture
def three(collection: Collection, colours: ColourEncoder, shelf: Path) -> None:
    """A third encoder."""
    collection.index([shelf / "pictures"], replace(colours, name="tones"))


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("default", "asked", "expected"),
    [
        (None, "", ["colours", "hues"]),
        ("hues", "", ["hues", "colours"]),
        ("tones", "", ["tones", "colours"]),
        (None, "&a=hues", ["hues", "colours"]),
        (None, "&b=tones", ["colours", "tones"]),
        (None, "&b=colours", ["hues", "colours"]),
        (None, "&a=tones&b=hues", ["tones", "hues"]),
        (None, "&a=tones&b=tones", ["tones", "colours"]),
        ("hues", "&a=hues&b=hues", ["hues", "colours"]),
    ],
)
def test_the_default_stands_against_the_next_and_nothing_against_itself(
    make_app: Callable[..., FastAPI], default: str | None, asked: str, expected: list[str]
) -> None:
    client = TestClient(make_app(model=default), base_url=ADDRESS)
    page = client.get(f"/side-by-side?q=red{asked}").text
    assert (sides(page), chosen(page)) == (expected, expected)
    assert [re.findall(r"<option disabled>(.*?)</option>", page)] == [expected[::-1]]
    part = client.get(f"/side-by-side?q=red{asked}", headers={"hx-request": "true"}).text
    assert (sides(part), chosen(part)) == (expected, expected)


def test_of_two_encoders_the_other_is_the_opponent(client: TestClient) -> None:
    page = client.get("/side-by-side?q=red&k=3&a=hues").text
    assert sides(page) == ["hues", "colours"]
    assert "Pictures in both answers: 3 of 3." in page
    assert "Pictures in both answers: 8 of 8." in client.get("/side-by-side?q=red&k=20").text
    assert "Imágenes en ambas respuestas: 1 de 1." in (
        client.get("/side-by-side?q=red&k=1", headers={"accept-language": "es"}).text
    )


def test_one_encoder_is_not_compared(colours: ColourEncoder, tmp_path: Path) -> None:
    with Collection.open(tmp_path / "one", create=True) as collection:
        index_wall(collection, colours, tmp_path / "walls", (30, 60, 210), "A blue wall")
        client = TestClient(create_app(collection), base_url=ADDRESS)
        for path in ("/side-by-side", "/side-by-side?q=blue", "/side-by-side?q=blue&a=clip"):
            page = client.get(path).text
            assert "knows one encoder, and a comparison needs two" in page
            assert (sides(page), 'name="q"' in page) == ([], False)


def test_the_answer_that_there_is_is_shown(client: TestClient) -> None:
    page = client.get("/side-by-side?q=red&b=clip", headers={"accept-language": "es"}).text
    assert sides(page) == ["colours", "clip"]
    assert "Aquí no hay ninguna imagen indexada con «clip»" in page
    assert page.count('class="card"') == 5


def test_no_pictures_are_shared_where_one_has_no_answer(
    make_app: Callable[..., FastAPI], load_by: LoadBy, colours: ColourEncoder
) -> None:
    app = make_app()
    pair = EncoderPair("hues", colours, replace(colours, name="words"))
    load_by(lambda name: pair if name == "hues" else colours)
    page = TestClient(app, base_url=ADDRESS).get("/side-by-side?q=red").text
    assert "which cannot be compared" in page
    assert "in both answers" not in page


@pytest.mark.usefixtures("three")
def test_choosing_one_takes_it_from_the_other_side(page: Page) -> None:
    from playwright.sync_api import expect

    page.goto("/side-by-side?q=red")
    headings = page.get_by_role("heading", level=2)
    left, right = page.get_by_label("Left"), page.get_by_label("Right")
    expect(left.get_by_role("option", name="hues")).to_be_disabled()
    right.focus()
    right.select_option("tones")
    expect(headings).to_have_text(["colours", "tones"])
    expect(right).to_be_focused()
    expect(left.get_by_role("option", name="tones")).to_be_disabled()
    left.select_option("hues")
    expect(headings).to_have_text(["hues", "tones"])
    page.reload()
    expect(headings).to_have_text(["hues", "tones"])
