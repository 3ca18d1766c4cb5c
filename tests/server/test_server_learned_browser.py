"""Learned labels and several labels in a real browser, as people use them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect
from tests.colour_classifier import colour_classifier
from tests.server.in_browser import assert_accessible, give_picture
from tests.server.test_server_classify_browser import entry_of, labels

from pareja.classifiers.learned import Classifier
from pareja.search import Collection

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


@pytest.fixture
def walls(colours: ColourEncoder) -> Classifier:
    return colour_classifier(colours, scale=5)


@pytest.fixture
def address(
    make_app: Callable[..., FastAPI], serve: Callable[[FastAPI], str], walls: Classifier
) -> str:
    """The address of a real server that knows a classifier."""
    return serve(make_app(classifiers={"walls": walls}))


@pytest.fixture
def number(collection: Collection, walls: Classifier) -> dict[str, int]:
    """How many pictures have each label."""
    return collection.labels(walls).counts()


def test_a_label_narrows_what_is_found_and_what_is_browsed(
    page: Page, number: dict[str, int]
) -> None:
    page.goto("/")
    facet = page.get_by_label("Shows (walls)")
    facet.select_option(f"red ({number['red']})")
    expect(page.locator(".card")).to_have_count(number["red"])
    expect(page).to_have_url(re.compile(r"/\?shows=walls%2Fred$"))
    page.get_by_role("searchbox").fill("green")
    expect(page).to_have_url(re.compile("q=green"))
    expect(page.locator("#status")).to_contain_text("best first")
    expect(page.locator(".card")).to_have_count(number["red"])
    page.get_by_label("Sure of it").select_option("0.95")
    expect(page).to_have_url(re.compile("at_least=0.95"))
    page.go_back()
    expect(page.locator(".card")).to_have_count(number["red"])
    expect(page.get_by_label("Sure of it")).to_have_value("0.0")
    page.reload()
    expect(facet).to_have_value("walls/red")
    facet.select_option("")
    expect(page.locator(".card")).to_have_count(8)


def test_a_learned_label_in_place_of_written_ones(page: Page, ids: dict[str, int]) -> None:
    page.goto(f"/pictures/{ids['blue']}")
    page.get_by_role("link", name="Classify this picture").click()
    entry = entry_of(page)
    entry.fill("pink, white,")
    expect(page.locator(".bars tbody tr")).to_have_count(2)
    lead = page.get_by_text("Name the choices")
    expect(lead).to_be_visible()
    page.get_by_label("Decide by").select_option("walls")
    expect(page.get_by_text("Probably: blue")).to_be_visible()
    expect(lead).to_be_hidden()
    assert sorted(labels(page)) == ["blue", "green", "red"]
    expect(entry).to_be_hidden()
    expect(page.get_by_label("Prompts")).to_be_hidden()
    expect(page).to_have_url(re.compile("classifier=walls"))
    page.reload()
    expect(page.get_by_text("Probably: blue")).to_be_visible()
    expect(page.locator("#new-label")).to_be_hidden()
    give_picture(page, (220, 30, 30), "drop")
    expect(page.get_by_text("Probably: red")).to_be_visible()
    expect(page.get_by_alt_text("The picture that you gave")).to_be_visible()
    page.get_by_label("Decide by").select_option("the words that you write")
    expect(page.locator(".chips li")).to_have_count(2)
    expect(page.locator(".bars tbody tr")).to_have_count(2)


def test_several_labels_at_once(page: Page, ids: dict[str, int]) -> None:
    page.goto(f"/classify?picture={ids['pink']}&labels=pink,white,black")
    expect(page.get_by_text("Probably: pink")).to_be_visible()
    unknown = page.get_by_label("It may show none of them")
    expect(unknown).to_be_visible()
    page.get_by_label("It may show several of them").check()
    expect(page.locator(".bars thead")).to_contain_text("Each alone")
    expect(page.locator(".bars .best")).not_to_have_count(1)
    expect(unknown).to_be_hidden()
    expect(page).to_have_url(re.compile("multi_label=True"))
    page.reload()
    expect(page.get_by_label("It may show several of them")).to_be_checked()
    give_picture(page, (250, 250, 250), "drop")
    expect(page.get_by_alt_text("The picture that you gave")).to_be_visible()
    expect(page.get_by_label("It may show several of them")).to_be_checked()
    expect(page.locator(".verdict")).to_contain_text("white")
    page.get_by_label("It may show several of them").uncheck()
    expect(page.locator(".bars .best")).to_have_count(1)


def test_without_javascript_it_works_too(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False, locale="es")
    page = context.new_page()
    page.goto("/classify")
    page.get_by_label("Decidir por").select_option("walls")
    expect(page.get_by_label("Etiquetas", exact=True)).to_be_hidden()
    page.get_by_role("button", name="Clasificar", exact=True).click()
    give_picture(page, (30, 60, 210), "choose")
    page.get_by_role("button", name="Clasificar esta imagen").click()
    expect(page.get_by_text("Probablemente: blue")).to_be_visible()
    page.goto("/?q=pink")
    page.get_by_label("Muestra (walls)").select_option("walls/red")
    page.get_by_role("searchbox").press("Enter")
    expect(page).to_have_url(re.compile("shows=walls%2Fred"))
    expect(page.locator(".card").first).to_be_visible()
    context.close()


@pytest.fixture(params=[("light", 390, "es"), ("dark", 1280, "en")], ids=["phone", "desk"])
def visitor(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    scheme, width, locale = request.param
    context = browser.new_context(
        base_url=address,
        color_scheme=scheme,
        locale=locale,
        viewport={"width": width, "height": 800},
    )
    yield context.new_page()
    context.close()


def test_pages_with_learned_labels_are_accessible_and_fit(visitor: Page) -> None:
    for path in (
        "/?q=red&shows=walls/red&at_least=0.5",
        "/classify?picture=1&classifier=walls",
        "/classify?picture=1&labels=red,blue&multi_label=true",
    ):
        visitor.goto(path)
        assert_accessible(visitor)
