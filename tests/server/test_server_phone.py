"""The pages on a phone: everything in reach, and the pictures in sight."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.server.in_browser import assert_accessible

from pareja.search import Collection

WIDTH, HEIGHT = 375, 812
TOUCH = 44
SHIFTS = """() => new Promise((resolve) => {
    let total = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) total += entry.value;
    }).observe({type: "layout-shift", buffered: true});
    setTimeout(() => resolve(total), 400);
})"""


@pytest.fixture(params=["es", "en"])
def phone(request: pytest.FixtureRequest, browser: Browser, address: str) -> Iterator[Page]:
    """A page on a phone, in each language."""
    context = browser.new_context(
        base_url=address,
        locale=request.param,
        viewport={"width": WIDTH, "height": HEIGHT},
        has_touch=True,
    )
    yield context.new_page()
    context.close()


def box(element: Locator) -> Any:
    found = element.bounding_box()
    assert found
    return found


def test_every_page_can_be_reached_without_scrolling_sideways(phone: Page) -> None:
    phone.goto("/")
    links = phone.locator("header nav a")
    assert links.count() == 7
    for link in links.all():
        place = box(link)
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= WIDTH
    nav = phone.locator("header nav")
    assert nav.evaluate("(nav) => nav.scrollWidth <= nav.clientWidth")


def test_the_first_pictures_are_in_sight_and_nothing_moves(phone: Page) -> None:
    phone.goto("/")
    assert box(phone.locator(".shot").first)["y"] < HEIGHT / 2
    for control in (".drop", ".unfold summary", ".bar"):
        assert box(phone.locator(control))["height"] >= TOUCH
    for path in ("/", "/?q=red", "/?q=red&category=dark", "/map", "/classify"):
        phone.goto(path)
        assert phone.evaluate(SHIFTS) < 0.001, path


_SMALL = """(least) => [...document.querySelectorAll(
    "button, a[href], input:not([type=hidden]), select, summary")].filter((control) => {
        const {width, height} = control.getBoundingClientRect();
        const runs = getComputedStyle(control).display === "inline" || control.closest("svg");
        const apart = control.closest(".visually-hidden, .skip") || !control.checkVisibility();
        // Half a pixel is lost in rounding; of a box to tick, the words belong to it.
        const target = control.type === "checkbox" ? control.labels[0] : control;
        return !runs && !apart && width > 0 && target.getBoundingClientRect().height < least - 0.5;
    }).map((control) => control.outerHTML.slice(0, 120))"""


def test_controls_are_large_enough_for_a_thumb(phone: Page, collection: Collection) -> None:
    collection.create_query_set("Walls", ["red"])
    for path in (
        "/?q=red",
        "/pictures/1",
        "/map",
        "/side-by-side?q=red",
        "/evaluation/judge?set=Walls",
        "/classify?picture=1&labels=red,blue",
        "/review?threshold=0",
    ):
        phone.goto(path)
        assert phone.evaluate(_SMALL, TOUCH) == [], path


def test_filters_wait_behind_one_control(phone: Page) -> None:
    phone.goto("/")
    control = phone.locator(".unfold summary")
    category = phone.locator("select[name=category]")
    expect(category).to_be_hidden()
    expect(control).to_have_text(re.compile(r"^(Filters|Filtros)\s*$"))
    phone.get_by_role("searchbox").focus()
    for _ in range(3):
        phone.keyboard.press("Tab")
    expect(control).to_be_focused()
    phone.keyboard.press("Enter")
    expect(category).to_be_visible()
    assert_accessible(phone)
    phone.keyboard.press("Tab")
    expect(phone.locator("#minus")).to_be_focused()
    category.select_option("dark")
    expect(phone.locator(".card")).to_have_count(4)
    expect(control).to_have_text(re.compile("(Filters|Filtros) 1"))
    phone.reload()
    expect(category).to_be_visible()
    expect(category).to_have_value("dark")
    control.click()
    expect(category).to_be_hidden()
    expect(phone.locator(".card")).to_have_count(4)


def test_filters_and_pictures_without_javascript(browser: Browser, address: str) -> None:
    context = browser.new_context(
        base_url=address,
        java_script_enabled=False,
        locale="en",
        viewport={"width": WIDTH, "height": HEIGHT},
    )
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_role("button", name="Search by this picture")).to_be_visible()
    expect(page.get_by_label("Category")).to_be_hidden()
    page.locator(".unfold summary").click()
    page.get_by_label("Category").select_option("dark")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator(".card")).to_have_count(4)
    expect(page.get_by_label("Category")).to_be_visible()
    context.close()


def test_filters_are_always_there_where_there_is_room(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_label("Category")).to_be_visible()
    expect(page.locator(".unfold")).to_be_hidden()
    expect(page.get_by_text("drop, paste or choose one")).to_be_visible()
    assert page.evaluate(SHIFTS) < 0.001
