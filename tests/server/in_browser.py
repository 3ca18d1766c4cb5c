"""What tests do with a page in a browser that a person cannot be asked to do."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page
from tests.server.pictures import Colour, png

_AXE = Path(__file__).parent / "vendor" / "axe.min.js"
_DROP = """([encoded, way]) => {
    const bytes = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
    const files = new DataTransfer();
    files.items.add(new File([bytes], "sky.png", {type: "image/png"}));
    document.dispatchEvent(way === "drop"
        ? new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true})
        : new ClipboardEvent("paste", {clipboardData: files, bubbles: true}));
}"""

Way = Literal["drop", "paste", "choose"]


def give_picture(page: Page, colour: Colour, way: Way) -> None:
    """Drop, paste or choose a picture of one colour."""
    if way == "choose":
        page.locator("input[type=file]").set_input_files(
            {"name": "sky.png", "mimeType": "image/png", "buffer": png(colour)}
        )
    else:
        page.evaluate(_DROP, [base64.b64encode(png(colour)).decode(), way])


def assert_accessible(page: Page) -> None:
    """Nothing on the page breaks WCAG 2.1 AA, and nothing is wider than it."""
    page.evaluate(_AXE.read_text("utf-8"))
    found = page.evaluate(
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})"
    )
    problems = [
        f"{violation['id']}: {node['html'][:120]} {node['failureSummary'][:300]}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
    assert problems == [], page.url
    width = "document.documentElement"
    assert page.evaluate(f"{width}.scrollWidth <= {width}.clientWidth"), page.url
