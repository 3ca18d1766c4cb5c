"""Classifying in a real browser, as people do it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from tests.server.in_browser import Way, give_picture


def entry_of(page: Page) -> Locator:
    # By its id: until the script has run, the label is that of the field which it replaces.
    entry = page.locator("#new-label")
    expect(entry).to_have_accessible_name("Labels")
    return entry


def labels(page: Page) -> list[str]:
    return page.locator(".bars tbody th").all_inner_texts()


def test_labels_become_chips_and_bars_follow(page: Page, ids: dict[str, int]) -> None:
    page.goto(f"/pictures/{ids['green']}")
    page.get_by_role("link", name="Classify this picture").click()
    entry = entry_of(page)
    entry.fill("red")
    entry.press("Enter")
    expect(page.get_by_role("button", name="Remove red")).to_be_visible()
    entry.fill("green, blue")
    expect(page.locator(".bars tbody tr")).to_have_count(3)
    assert labels(page)[0] == "green"
    expect(page.get_by_text("Probably: green")).to_be_visible()
    expect(page).to_have_url(re.compile(r"labels=red%2C\+green%2C\+blue"))
    entry.fill("GREEN")
    entry.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("“GREEN” is there already")
    page.get_by_role("button", name="Remove green").click()
    expect(page.locator(".bars tbody tr")).to_have_count(2)
    assert "green" not in labels(page)
    page.get_by_label("Prompts").select_option("clip7")
    expect(page).to_have_url(re.compile("template=clip7"))
    page.reload()
    assert sorted(labels(page)) == ["blue", "red"]
    expect(page.locator(".chips li")).to_have_count(2)


@pytest.mark.parametrize("way", ["drop", "paste", "choose"])
def test_a_picture_of_ones_own_is_classified(page: Page, way: Way) -> None:
    page.goto("/classify")
    entry = entry_of(page)
    entry.fill("red, blue,")
    expect(page).to_have_url(re.compile("labels="))
    give_picture(page, (30, 60, 210), way)
    expect(page.get_by_text("Probably: blue")).to_be_visible()
    expect(page.get_by_alt_text("The picture that you gave")).to_be_visible()
    entry.fill("pink")
    entry.press("Enter")
    expect(page.locator(".bars tbody tr")).to_have_count(3)


def test_chips_by_keyboard_alone(page: Page, ids: dict[str, int]) -> None:
    page.goto(f"/classify?picture={ids['red']}")
    entry_of(page).focus()
    for colour in ("red", "blue", "white"):
        page.keyboard.type(colour)
        page.keyboard.press("Enter")
    expect(page.locator(".bars tbody tr")).to_have_count(3)
    page.keyboard.press("Backspace")
    expect(page.locator(".bars tbody tr")).to_have_count(2)
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="Remove blue")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".chips li")).to_have_count(1)
    expect(page.get_by_text("Name at least two labels.")).to_be_visible()


def test_classifying_without_javascript(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, java_script_enabled=False, locale="en")
    page = context.new_page()
    page.goto("/classify")
    page.get_by_label("Labels").fill("red, blue")
    page.get_by_role("button", name="Classify", exact=True).click()
    give_picture(page, (30, 60, 210), "choose")
    page.get_by_role("button", name="Classify this picture").click()
    expect(page.get_by_text("Probably: blue")).to_be_visible()
    assert labels(page) == ["blue", "red"]
    context.close()


def test_a_long_file_name_does_not_widen_the_review_on_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 375, "height": 700})
    page.goto("/review?threshold=0")
    name = page.locator(".blurred .facts a").first
    name.evaluate("(link) => { link.textContent = 'Open ' + 'portrait_of_'.repeat(8); }")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
