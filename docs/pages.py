"""Take the pictures of the pages: the search page, and the map in dark colours.

Needs ``playwright`` and a Chromium. Run from the repository, beside ``pareja serve`` on an index of
``data/commons200``:

    python docs/pages.py http://127.0.0.1:8420
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
PAGES = (
    ("search", "/?q=a+fish+in+the+water", False, 860),
    ("map", "/map", True, 980),
)
WIDTH = 1280


def main() -> None:
    """Open each page in English, and keep what a desk's screen shows of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=options.chromium, args=["--no-sandbox"]
        )
        for name, path, dark, height in PAGES:
            page = browser.new_page(
                base_url=options.address,
                locale="en",
                color_scheme="dark" if dark else "light",
                viewport={"width": WIDTH, "height": height},
            )
            page.goto(path, wait_until="networkidle")
            shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            shot.save(IMAGES / f"{name}.webp", quality=82, method=6)
        browser.close()


if __name__ == "__main__":
    main()
