"""Take the picture of the README: three places of the demo's report, as a browser shows them.

Needs ``playwright`` and a Chromium. Run from the repository, after ``pareja demo``:

    python docs/picture.py pareja-demo/report.html
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

OUT = Path(__file__).parent / "images" / "report.webp"
SECTIONS = ("top", "similarity", "pairs")
WIDTH, HEIGHT, GAP = 1100, 1500, 36
PAPER = (222, 226, 232)


def main() -> None:
    """Render, cut and put side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    sheets = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=options.chromium, args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.goto(options.report.resolve().as_uri())
        for section in SECTIONS:
            place = None if section == "top" else page.locator(f"#{section}").bounding_box()
            top = place["y"] - 24 if place else 0
            shot = page.screenshot(
                full_page=True,
                clip={"x": 0, "y": top, "width": WIDTH, "height": HEIGHT},
            )
            sheets.append(Image.open(io.BytesIO(shot)).convert("RGB"))
        browser.close()
    width = GAP + len(sheets) * (WIDTH + GAP)
    picture = Image.new("RGB", (width, HEIGHT + 2 * GAP), PAPER)
    for column, sheet in enumerate(sheets):
        picture.paste(sheet, (GAP + column * (WIDTH + GAP), GAP))
    small = picture.resize((width // 2, picture.height // 2), Image.Resampling.LANCZOS)
    small.save(OUT, quality=82, method=6)


if __name__ == "__main__":
    main()
