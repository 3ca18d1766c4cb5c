"""What is typed into the boxes of a report, in a real browser."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from pareja.report.content import build_document
from pareja.report.frame import Frame
from pareja.report.html import render_html
from pareja.report.pictures import thumbnails

if TYPE_CHECKING:
    from tests.report.conftest import Study

CHROMIUM = Path("/usr/bin/chromium")
BOX = ".paper[data-key={}]"


def report(study: Study, folder: Path) -> Path:
    """Write the page of a report, with nothing in the place of its figures."""
    result = study()
    document = build_document(Frame.of(result, "es"))
    empty = "<svg xmlns='http://www.w3.org/2000/svg'/>"

    class Blank:
        share = 1.0

        def inline(self) -> str:
            return empty

    names = {block.name for block in document.blocks() if hasattr(block, "name")}
    drawings = dict.fromkeys(names, Blank())
    page = folder / "informe.html"
    html = render_html(document, drawings, thumbnails(result.dataset))  # type: ignore[arg-type]
    page.write_text(html, encoding="utf-8")
    return page


@pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")
def test_what_is_typed_stays_and_can_be_taken_along(study: Study, tmp_path: Path) -> None:
    path = report(study, tmp_path)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_context(accept_downloads=True).new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(path.as_uri())
        status = page.locator(".notes [role=status]")
        expect(status).to_contain_text("se guarda en este navegador")
        page.locator(BOX.format("pairs")).click()
        page.keyboard.type("Primera línea & <b>\n")
        page.keyboard.type("segunda")
        expect(status).to_contain_text("Guardado en este navegador")
        page.reload()
        typed = "Primera línea & <b>\nsegunda"
        assert page.locator(BOX.format("pairs")).inner_text() == typed
        with page.expect_download() as saved:
            page.get_by_role("button", name="Guardar en un archivo").click()
        assert saved.value.suggested_filename == "analisis.json"
        kept = tmp_path / "analisis.json"
        saved.value.save_as(kept)
        assert json.loads(kept.read_text(encoding="utf-8"))["notes"] == {"pairs": typed}
        _load_elsewhere(browser.new_context().new_page(), path, kept, typed)
        _without_storage(browser.new_context().new_page(), path)
        browser.close()
    assert errors == []


def _load_elsewhere(page: Page, path: Path, kept: Path, typed: str) -> None:
    """Load the file in another browser, where something else was typed."""
    page.goto(path.as_uri())
    page.locator(BOX.format("pairs")).click()
    page.keyboard.type("mine")
    page.locator(".notes input").set_input_files(kept)
    expect(page.locator(BOX.format("pairs"))).to_have_text(f"mine\n\n{typed}")
    page.locator(".notes input").set_input_files(path)
    expect(page.locator(".notes [role=status]")).to_contain_text("no contiene análisis")
    page.reload()
    expect(page.locator(BOX.format("pairs"))).to_have_text(f"mine\n\n{typed}")


def _without_storage(page: Page, path: Path) -> None:
    """Type where the browser keeps nothing, which the page says."""
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('off'); }})"
    )
    page.goto(path.as_uri())
    page.locator(BOX.format("dataset")).click()
    page.keyboard.type("x")
    expect(page.locator(".notes [role=status]")).to_contain_text("no puede guardar nada")
