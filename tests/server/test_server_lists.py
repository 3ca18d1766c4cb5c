"""Long lists in a real browser, and the keys that lead through them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from tests.server.in_browser import assert_accessible

from pareja.search import Collection

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

N = 100
FOLDERS = 20


@pytest.fixture
def many(collection: Collection, tmp_path: Path, colours: ColourEncoder) -> int:
    """A hundred pictures more, in twenty folders; how many there are."""
    rng = np.random.default_rng(0)
    for n in range(N):
        folder = tmp_path / "many" / f"Trip {n % FOLDERS:02}"
        folder.mkdir(parents=True, exist_ok=True)
        colour = tuple(rng.integers(0, 256, 3).tolist())
        Image.new("RGB", (24, 18), colour).save(folder / f"IMG_{n:03}.png")
    collection.index([tmp_path / "many"], colours)
    return collection.count()


@pytest.fixture
def five_hundred(collection: Collection, tmp_path: Path, colours: ColourEncoder) -> int:
    """Reddish pictures, until there are 500."""
    folder = tmp_path / "reds"
    folder.mkdir()
    count = 500 - collection.count()
    for n in range(count):
        Image.new("RGB", (8, 6), (255, n // 32, 8 * (n % 32))).save(folder / f"{n:03}.png")
    collection.index([folder], colours)
    return collection.count()


def number_of(page: Page) -> int:
    return page.locator(".card").count()


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement?.id ?? ''"))


@pytest.mark.parametrize("path", ["/", "/?q=red&k=20"])
def test_a_list_goes_on_while_it_is_scrolled_and_shows_every_picture_once(
    page: Page, many: int, path: str
) -> None:
    page.goto(path)
    for _ in range(100):
        if number_of(page) == many:
            break
        page.mouse.wheel(0, 4_000)
        page.wait_for_timeout(60)
    expect(page.locator(".card")).to_have_count(many)
    shown = page.locator("[data-card]").evaluate_all("all => all.map((card) => card.id)")
    assert len(set(shown)) == many
    expect(page.locator("[data-more]")).to_have_count(0)
    expect(page).to_have_url(re.compile("page="))
    page.locator(".card [data-card]").nth(many - 2).click()
    expect(page).to_have_url(re.compile("/pictures/"))
    page.keyboard.press("Escape")
    expect(page.locator(".card").first).to_be_visible()
    expect(page).to_have_url(re.compile(r"page=\d+#picture-"))
    expect(page.locator(f"#{page.url.partition('#')[2]}")).to_be_focused()


def test_the_address_follows_where_the_middle_lies_between_two_cards(page: Page, many: int) -> None:
    page.set_viewport_size({"width": 1000, "height": 800})
    page.goto("/")
    columns = page.locator(".grid").first.evaluate(
        "(grid) => getComputedStyle(grid).gridTemplateColumns.split(' ').length"
    )
    assert columns % 2 == 0
    page.mouse.wheel(0, 4_000)
    expect(page.locator("[data-card]").nth(79)).to_be_attached()
    page.mouse.wheel(0, 4_000)
    expect(page).to_have_url(re.compile("page=2"))


def test_a_list_goes_on_where_somebody_scrolled_before_the_script_was_there(
    page: Page, many: int
) -> None:
    late: list[Route] = []
    page.route("**/pareja.js", lambda route: late.append(route))
    page.goto("/", wait_until="commit")
    expect(page.locator(".card")).to_have_count(40)
    page.wait_for_function("document.readyState !== 'loading'")
    page.evaluate(
        """new Promise((done) => {
            addEventListener("scroll", done, {once: true});
            scrollTo(0, document.documentElement.scrollHeight);
        })"""
    )
    late[0].continue_()
    expect(page.locator("[data-card]").nth(79)).to_be_attached()


def test_keys_alone_lead_through_five_hundred_results(page: Page, five_hundred: int) -> None:
    page.goto("/?q=red&k=100")
    expect(page.locator(".card")).to_have_count(100)
    for loaded in (200, 300, 400, 500):
        page.keyboard.press("End")
        expect(page.locator(".card")).to_have_count(loaded)
    page.keyboard.press("End")
    at = ""
    while True:
        page.keyboard.press("ArrowDown")
        before, at = at, focused(page)
        if at == before:
            break
    shown = page.locator("[data-card]").evaluate_all("all => all.map((card) => card.id)")
    assert (five_hundred, len(shown), len(set(shown))) == (500, 500, 500)
    assert at in shown[-10:]
    expect(page.locator("[data-more]")).to_have_count(0)
    expect(page).to_have_url(re.compile("page=5"))


def test_pictures_are_shown_whole(page: Page, many: int) -> None:
    page.goto("/")
    expect(page.locator(".shot img").first).to_have_css("object-fit", "contain")


def test_the_link_for_more_keeps_the_focus(page: Page, many: int) -> None:
    page.goto("/")
    expect(page.locator(".card")).to_have_count(40)
    page.locator("[data-more]").evaluate("(link) => link.focus({preventScroll: true})")
    page.keyboard.press("Enter")
    # The focused card is near the end of the list, which may go on by itself then.
    expect(page.locator("[data-card]").nth(79)).to_be_attached()
    expect(page.locator("[data-card]").nth(40)).to_be_focused()


def test_after_the_last_picture_the_arrow_leads_to_the_link(page: Page, many: int) -> None:
    page.goto("/?q=red&k=5")
    page.locator(".card [data-card]").last.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-more]")).to_be_focused()


def test_without_javascript_a_link_leads_on_and_back(
    browser: Browser, address: str, many: int
) -> None:
    with browser.new_context(base_url=address, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/?q=red&k=50")
        page.get_by_role("link", name="More pictures").click()
        expect(page).to_have_url(re.compile(r"q=red&k=50&page=2"))
        expect(page.locator("#status")).to_contain_text("Pictures 51 to 100, best first")
        page.get_by_role("link", name="More pictures").click()
        expect(page.locator(".card")).to_have_count(many - 100)
        expect(page.get_by_role("link", name="More pictures")).to_have_count(0)
        page.goto("/?q=red&k=50&page=9")
        expect(page.locator("#status")).to_have_text(
            "There are no pictures from number 401 on: the list ends before."
        )
        page.get_by_role("link", name="From the start").click()
        expect(page.locator(".card")).to_have_count(50)
        page.get_by_label("Category").fill("trip 07")
        page.get_by_role("button", name="Search", exact=True).click()
        expect(page.locator(".card")).to_have_count(5)
        expect(page.get_by_label("Category")).to_have_value("Trip 07")


def test_many_categories_are_a_box_to_type_into(
    page: Page, context: BrowserContext, many: int
) -> None:
    page.goto("/")
    box = page.get_by_role("combobox", name="Category")
    box.press_sequentially("Trip 07")
    expect(page.locator(".card")).to_have_count(5)
    expect(page).to_have_url(re.compile(r"category=Trip\+07"))
    box.fill("")
    expect(page.locator(".card")).to_have_count(40)
    expect(page.locator("datalist option")).to_have_count(FOLDERS + 2)
    assert_accessible(page)
    # The answer has the status 422, which the console of a watched page would show.
    other = context.new_page()
    other.goto("/")
    box = other.get_by_role("combobox", name="Category")
    box.fill("trip")
    box.press("Tab")
    expect(other.get_by_role("alert")).to_contain_text("“trip” is part of several categories")


@pytest.mark.parametrize("key", ["ArrowRight", "ArrowDown", "j"])
def test_the_first_key_goes_to_the_first_picture(page: Page, many: int, key: str) -> None:
    page.goto("/?q=red")
    page.keyboard.press(key)
    expect(page.locator("[data-card]").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("scrollY") >= 0
    second_row = focused(page)
    page.keyboard.press("ArrowUp")
    expect(page.locator("[data-card]").first).to_be_focused()
    assert second_row != focused(page)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/pictures/"))
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/\?q=red"))
    expect(page.locator("[data-card]").first).to_be_focused()


def test_escape_leaves_the_words_and_then_goes_back(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("green")
    expect(page).to_have_url(re.compile("q=green"))
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.get_by_role("searchbox")).to_have_value("green")
    expect(page.get_by_role("searchbox")).not_to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/pictures/"))
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("q=green"))


def test_results_that_are_replaced_keep_the_focus_at_its_place(page: Page) -> None:
    page.goto("/?q=red")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.evaluate("""() => {
        const k = document.querySelector("select[name=k]");
        k.value = "5";
        k.dispatchEvent(new Event("change", {bubbles: true}));
    }""")
    expect(page.locator(".card")).to_have_count(5)
    expect(page.locator("[data-card]").nth(1)).to_be_focused()


def test_the_review_is_walked_through_by_keys(page: Page) -> None:
    page.goto("/review?threshold=0")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".shot").first).to_be_focused()


def test_a_map_shows_what_has_room_and_the_rest_when_somebody_zooms_in(
    page: Page, many: int
) -> None:
    page.goto("/map")
    points, pictures = page.locator(".map [data-x]"), page.locator(".map image")
    expect(points).to_have_count(many)
    at_first = pictures.count()
    assert 0 < at_first < many
    loaded = "Promise.all([...document.querySelectorAll('.map image')].map((i) => i.decode()))"
    page.evaluate(loaded)
    expect(page.locator("[data-loading]")).to_have_text("")
    for _ in range(3):
        page.get_by_role("button", name="Zoom in").click()
    assert pictures.count() > at_first
    page.get_by_role("button", name="Show everything").click()
    expect(page.locator(".map image:visible")).to_have_count(at_first)


def test_who_waits_for_the_map_sees_how_far_it_is(page: Page) -> None:
    waiting: list[Route] = []
    page.route(re.compile("size=128"), lambda route: waiting.append(route))
    page.goto("/map", wait_until="commit")
    expect(page.locator("[data-loading]")).to_have_text(re.compile(r"Loading pictures: 0 of \d"))
    for route in waiting:
        route.continue_()
    expect(page.locator("[data-loading]")).to_have_text("")
