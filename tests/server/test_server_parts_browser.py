"""Marking a part of a picture: with the mouse, a finger, keys, and without a script."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.server.in_browser import assert_accessible
from tests.server.pictures import index_two_colours, two_colours

from pareja.search import Collection

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

Spot = tuple[float, float]


@pytest.fixture
def stored(collection: Collection, tmp_path: Path, colours: ColourEncoder) -> int:
    return index_two_colours(collection, colours, tmp_path)


def on_screen(page: Page, spot: Spot) -> Spot:
    """Where on the screen a pixel of the picture is, which is 400 x 200."""
    place = page.locator(".stage img").bounding_box()
    assert place
    return place["x"] + spot[0] * place["width"] / 400, place["y"] + spot[1] * place["height"] / 200


def drag(page: Page, start: Spot, end: Spot) -> None:
    page.mouse.move(*on_screen(page, start))
    page.mouse.down()
    page.mouse.move(*on_screen(page, end), steps=3)
    page.mouse.up()


def edges(page: Page) -> list[int]:
    return [int(field.input_value()) for field in page.locator("[name=box]").all()]


def expect_blue(page: Page) -> None:
    expect(page).to_have_url(re.compile("box="))
    expect(page.locator(".by")).to_contain_text("Only by the part that is marked")
    expect(page.locator(".card .caption").first).to_have_text("A wall painted blue")


def test_a_part_is_marked_with_the_mouse(page: Page, stored: int) -> None:
    page.goto(f"/pictures/{stored}")
    summary = page.get_by_text("Search by a part of it")
    expect(page.locator(".marked")).to_be_hidden()
    summary.click()
    assert edges(page) == [100, 50, 200, 100]
    drag(page, (210, 160), (390, 190))
    assert edges(page) == pytest.approx([210, 160, 180, 30], abs=2)
    drag(page, (210, 160), (240, 110))
    assert edges(page) == pytest.approx([240, 110, 150, 80], abs=2)
    drag(page, (300, 150), (280, 150))
    assert edges(page) == pytest.approx([220, 110, 150, 80], abs=2)
    # It stays in the picture, and a click is no part.
    drag(page, (300, 150), (900, 900))
    assert edges(page) == pytest.approx([250, 120, 150, 80], abs=2)
    before = edges(page)
    page.mouse.click(*on_screen(page, (20, 20)))
    assert edges(page) == before
    assert_accessible(page)
    page.get_by_role("button", name="Search by this part").click()
    expect_blue(page)
    page.get_by_role("link", name="Mark another part").click()
    expect(page.locator(".marked")).to_be_visible()
    assert edges(page) == before
    page.get_by_label("Width").fill("399")
    page.get_by_role("button", name="Search by this part").click()
    assert page.evaluate("document.querySelector('input:invalid').validationMessage")


def test_a_part_is_marked_by_keys(page: Page, stored: int) -> None:
    page.goto(f"/pictures/{stored}")
    page.get_by_text("Search by a part of it").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+Tab")
    part = page.get_by_role("application")
    expect(part).to_be_focused()
    expect(part).to_have_accessible_name(re.compile("100 from the left, 50 from the top, 200 wide"))
    expect(part).to_have_accessible_description(re.compile("arrows move the part"))
    for key, times in (("ArrowRight", 20), ("ArrowDown", 20), ("Shift+ArrowLeft", 5)):
        for _ in range(times):
            page.keyboard.press(key)
    assert edges(page) == [200, 100, 160, 100]
    expect(page.locator("[data-said]")).to_contain_text("200 from the left, 100 from the top")
    page.keyboard.press("Enter")
    expect_blue(page)


def test_a_part_of_a_picture_of_ones_own_is_marked_with_a_finger(
    browser: Browser, address: str
) -> None:
    context = browser.new_context(
        base_url=address,
        viewport={"width": 375, "height": 812},
        has_touch=True,
        color_scheme="dark",
    )
    page = context.new_page()
    page.goto("/")
    page.locator("input[type=file]").set_input_files(
        {"name": "two.png", "mimeType": "image/png", "buffer": two_colours()}
    )
    page.get_by_role("link", name="Search by a part of it").tap()
    expect(page.locator(".marked")).to_be_visible()
    assert_accessible(page)
    finger = context.new_cdp_session(page)
    for kind, spot in (
        ("touchStart", (396, 196)),
        ("touchMove", (300, 160)),
        ("touchMove", (215, 110)),
        ("touchEnd", None),
    ):
        points = [dict(zip("xy", on_screen(page, spot), strict=True))] if spot else []
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert edges(page) == pytest.approx([215, 110, 181, 86], abs=3)
    page.get_by_role("button", name="Search by this part").tap()
    expect_blue(page)
    context.close()


def test_a_part_is_typed_without_a_script(browser: Browser, address: str, stored: int) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"/pictures/{stored}")
    page.get_by_text("Search by a part of it").click()
    expect(page.get_by_text("of a picture that is 400 wide and 200 high")).to_be_visible()
    for name, value in (("Left", 200), ("Top", 100), ("Width", 200), ("Height", 100)):
        page.get_by_label(name).fill(str(value))
    page.get_by_role("button", name="Search by this part").click()
    expect_blue(page)
    context.close()
