"""The pages in a real browser, as people use them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.server.in_browser import Way, assert_accessible, give_picture

from pareja.search import Collection


def captions(page: Page) -> list[str]:
    return [text.rpartition(" ")[2] for text in page.locator(".card .caption").all_inner_texts()]


def expect_first(page: Page, colour: str) -> None:
    expect(page.locator(".card .caption").first).to_have_text(f"A wall painted {colour}")


def test_results_follow_what_is_typed_and_the_address_too(page: Page) -> None:
    page.goto("/")
    expect(page.locator("#status")).to_have_text("8 pictures in this collection")
    page.get_by_role("searchbox").press_sequentially("green")
    expect_first(page, "green")
    expect(page).to_have_url(re.compile(r"/\?q=green$"))
    expect(page.locator("#status")).to_contain_text("8 pictures, best first")
    page.get_by_label("Category").select_option("dark")
    expect(page).to_have_url(re.compile("category=dark"))
    expect(page.locator(".card")).to_have_count(4)
    page.go_back()
    expect(page.locator(".card")).to_have_count(8)
    expect(page.get_by_label("Category")).to_have_value("")
    page.reload()
    expect_first(page, "green")


def test_words_to_move_away_from(page: Page) -> None:
    page.goto("/?q=blue")
    before = captions(page).index("green")
    page.get_by_label("but not").fill("green")
    expect(page).to_have_url(re.compile("minus=green"))
    expect(page.locator(".card .caption").nth(before)).not_to_have_text("A wall painted green")
    assert captions(page).index("green") > before


@pytest.mark.parametrize("way", ["drop", "paste", "choose"])
def test_a_picture_is_searched_by(page: Page, way: Way) -> None:
    page.goto("/")
    give_picture(page, (30, 60, 210), way)
    expect(page).to_have_url(re.compile("image="))
    expect(page.locator(".by")).to_contain_text("Pictures like the one that you gave")
    expect_first(page, "blue")
    page.locator("select[name=k]").select_option("5")
    expect(page.locator(".card")).to_have_count(5)
    expect_first(page, "blue")
    page.get_by_role("link", name="Search without this picture").click()
    expect(page.locator(".by")).to_have_count(0)


def test_a_picture_that_is_too_large_is_not_even_sent(page: Page) -> None:
    page.goto("/")
    page.evaluate("document.getElementById('by-picture').dataset.maxBytes = 10")
    give_picture(page, (1, 2, 3), "choose")
    expect(page.get_by_role("alert")).to_contain_text("larger than 20 MiB")


def test_judgements_are_kept(page: Page, collection: Collection, ids: dict[str, int]) -> None:
    page.goto("/?q=red")
    thumb = page.get_by_role("button", name="Answers the search: A wall painted red")
    thumb.click()
    expect(thumb).to_have_attribute("aria-pressed", "true")
    expect(thumb).to_be_focused()
    assert collection.judgements("red") == {ids["red"]: True}
    page.reload()
    expect(thumb).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Does not answer the search: A wall painted red").click()
    expect(thumb).to_have_attribute("aria-pressed", "false")
    assert collection.judgements("red") == {ids["red"]: False}


def test_evaluation_from_writing_queries_to_measures(page: Page) -> None:
    page.goto("/evaluation")
    page.get_by_label("Name").fill("Walls")
    page.get_by_label("Queries, one a line").fill("red\nblue")
    page.get_by_role("button", name="Create").click()
    for colour in ("red", "blue"):
        page.get_by_role("link", name=f"Judge: {colour}").click()
        thumb = page.get_by_role("button", name=f"Answers the search: A wall painted {colour}")
        thumb.click()
        expect(thumb).to_have_attribute("aria-pressed", "true")
        page.get_by_role("link", name="Walls").click()
    table = page.get_by_role("table").first
    expect(table).to_contain_text("P@1")
    expect(table.get_by_role("row", name="colours")).to_contain_text("1.00")
    expect(table.get_by_role("row")).to_have_count(3)
    page.get_by_role("checkbox", name="hues").uncheck()
    expect(page.get_by_role("table").first.get_by_role("row")).to_have_count(2)


def test_language_and_colours_are_chosen_and_stay(page: Page) -> None:
    page.goto("/?q=red")
    page.get_by_role("button", name="Español").click()
    expect(page).to_have_url(re.compile(r"/\?q=red$"))
    expect(page.get_by_role("searchbox", name="¿Qué deben mostrar las imágenes?")).to_be_visible()
    page.get_by_role("link", name="Mapa").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Mapa de la colección")

    def background() -> str:
        return cast(str, page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = background()
    page.get_by_role("button", name="Colores: oscuros").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert background() != light
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_everything_by_keyboard_alone(
    page: Page, collection: Collection, ids: dict[str, int]
) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("blue")
    expect_first(page, "blue")
    page.keyboard.press("ArrowDown")
    cards = page.locator("[data-card]")
    expect(cards.nth(0)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(cards.nth(1)).to_be_focused()
    page.keyboard.press("j")
    expect(cards.nth(2)).to_be_focused()
    page.keyboard.press("ArrowDown")
    below = page.evaluate(
        "[...document.querySelectorAll('[data-card]')].indexOf(document.activeElement)"
    )
    assert below > 4
    page.keyboard.press("ArrowUp")
    expect(cards.nth(2)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("ArrowLeft")
    expect(cards.nth(0)).to_be_focused()
    page.keyboard.press("+")
    expect(page.locator("[aria-pressed=true]")).to_have_count(1)
    assert collection.judgements("blue") == {ids["blue"]: True}
    page.keyboard.press("-")
    expect(page.locator(".no[aria-pressed=true]")).to_have_count(1)
    assert collection.judgements("blue") == {ids["blue"]: False}
    cards.nth(0).focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/pictures/{ids['blue']}$"))
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/\?q=blue#picture-"))
    expect(cards.nth(0)).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page).to_have_url(re.compile(r"/\?q=blue#picture-"))


def test_the_picture_page_finds_the_captions_that_fit(page: Page, ids: dict[str, int]) -> None:
    page.goto(f"/pictures/{ids['pink']}")
    best = page.locator(".matches").first.locator("li").first
    expect(best).to_contain_text("A wall painted pink")
    expect(best).to_contain_text("its own")
    expect(page.locator(".card")).to_have_count(7)
    page.get_by_role("link", name="More like this").click()
    expect(page.locator(".by")).to_contain_text("Pictures like “A wall painted pink”")


def test_two_encoders_side_by_side(page: Page) -> None:
    page.goto("/side-by-side")
    page.get_by_role("searchbox").press_sequentially("brown")
    expect(page.get_by_text("Pictures in both answers: 5 of 5.")).to_be_visible()
    expect(page.get_by_role("heading", level=2)).to_have_text(["colours", "hues"])
    expect(page).to_have_url(re.compile("q=brown"))


def test_the_map_zooms_moves_and_opens(page: Page, ids: dict[str, int]) -> None:
    page.goto("/map")
    point = page.locator(f"svg a[href='/pictures/{ids['red']}']")

    def place() -> tuple[float, float]:
        box, frame = point.bounding_box(), page.locator("[data-map] svg").bounding_box()
        assert box
        assert frame
        return box["x"] - frame["x"], box["y"] - frame["y"]

    start = place()
    for _ in range(2):
        page.get_by_role("button", name="Zoom in").click()
    zoomed = place()
    assert zoomed != start
    frame = page.locator("[data-map] svg").bounding_box()
    assert frame
    middle = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1] + 40, steps=4)
    page.mouse.up()
    moved = place()
    assert moved[0] - zoomed[0] == pytest.approx(60, abs=12)
    assert moved[1] - zoomed[1] == pytest.approx(40, abs=12)
    expect(page).to_have_url(re.compile("/map$"))
    page.get_by_role("button", name="Show everything").click()
    assert place() == pytest.approx(start)
    page.locator("summary", has_text="bright").click()
    page.get_by_role("link", name="A wall painted green").last.click()
    expect(page).to_have_url(re.compile(f"/pictures/{ids['green']}$"))


def test_errors_are_said_on_the_page(context: BrowserContext) -> None:
    page = context.new_page()
    page.goto("/?q=red")
    page.evaluate("document.querySelector('[name=category]').options[1].value = 'purple'")
    page.get_by_label("Category").select_option("purple")
    expect(page.get_by_role("alert")).to_contain_text("purple")
    expect_first(page, "red")


def test_without_javascript_it_works_too(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False, locale="en")
    page = context.new_page()
    page.goto("/")
    page.get_by_role("searchbox").fill("yellow")
    page.get_by_role("searchbox").press("Enter")
    expect_first(page, "yellow")
    page.get_by_role("button", name="Answers the search: A wall painted yellow").click()
    expect(page.locator("[aria-pressed=true]")).to_have_count(1)
    give_picture(page, (30, 60, 210), "choose")
    page.get_by_role("button", name="Search by this picture").click()
    expect_first(page, "blue")
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_pages_are_accessible_and_fit(
    browser: Browser, address: str, collection: Collection, scheme: Any, width: int
) -> None:
    collection.create_query_set("Walls", ["red", "blue"])
    collection.judge("red", 1, True)
    context = browser.new_context(
        base_url=address, color_scheme=scheme, viewport={"width": width, "height": 800}
    )
    page = context.new_page()
    for path in (
        "/",
        "/?q=red",
        "/pictures/1",
        "/map",
        "/side-by-side?q=red",
        "/evaluation",
        "/evaluation/judge?set=Walls",
        "/classify",
        "/classify?picture=1&labels=red,blue",
        "/compare-models",
        "/review?threshold=0",
        "/docs",
    ):
        page.goto(path)
        if path == "/pictures/1":
            expect(page.locator(".matches")).to_have_count(2)
        assert_accessible(page)
    context.close()


def test_a_stranger_logs_in(
    browser: Browser, make_app: Callable[..., FastAPI], serve: Callable[[FastAPI], str]
) -> None:
    token = "correct-horse-battery"  # noqa: S105  made up
    context = browser.new_context(base_url=serve(make_app(token=token)), locale="en")
    page = context.new_page()
    page.goto("/?q=green")
    assert_accessible(page)
    page.get_by_label("Token").fill("something else")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("That is not the token.")).to_be_visible()
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(re.compile(r"/\?q=green$"))
    expect_first(page, "green")
    context.close()
