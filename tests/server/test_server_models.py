"""The pages that compare encoders and that list what a person should look at."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from tests.conftest import COLOURS, ColourEncoder

from pareja.encoders.protocols import Embeddings, Pixels
from pareja.search import Collection
from pareja.server import create_app
from pareja.tasks.moderation import flag

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.server.conftest import LoadBy

ADDRESS = "http://127.0.0.1:8420"


@dataclass(frozen=True)
class Blue(ColourEncoder):
    """Takes every text for one about blue, and refuses to see a picture."""

    name: str = "blue"

    def _embed_texts(self, texts: Sequence[str]) -> Embeddings:
        # Of equal probabilities each counts in part; this one is sure, and wrong for all but blue.
        own = super()._embed_texts(texts)
        return np.where([["blue" in text] for text in texts], own, -own).astype(np.float32)


@dataclass(frozen=True)
class Blind(ColourEncoder):
    """Embeds no picture: whoever asks it for one embeds anew what is stored."""

    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        raise AssertionError


@pytest.fixture
def labelled(tmp_path: Path, colours: ColourEncoder, load_by: LoadBy) -> TestClient:
    """Two pictures of each colour with that colour as their label, seen by two encoders."""
    folder = tmp_path / "labelled"
    folder.mkdir()
    rows = ["file_name,label"]
    for name, rgb in COLOURS.items():
        for n in range(2):
            Image.new("RGB", (20 + n, 20), rgb).save(folder / f"{name}{n}.png")
            rows.append(f"{name}{n}.png,{name}")
    (folder / "metadata.csv").write_text("\n".join(rows))
    with Collection.open(tmp_path / "labelled-index", create=True) as collection:
        for encoder in (colours, Blue()):
            collection.index([folder], encoder)
    collection = Collection.open(tmp_path / "labelled-index")
    load_by({"colours": Blind(), "blue": Blue()}.__getitem__)
    return TestClient(create_app(collection), base_url=ADDRESS)


def cells(page: str, model: str) -> list[str]:
    row = re.search(rf'<tr><th scope="row">{model}</th>(.*?)</tr>', page, re.DOTALL)
    assert row
    return re.findall(r"<td>(.*?)</td>", row[1], re.DOTALL)


def test_encoders_are_compared_on_stored_embeddings(labelled: TestClient) -> None:
    page = labelled.get("/compare-models?truth=label&least=2").text
    assert "16 pictures of 16, 8 names" in page
    assert cells(page, "colours")[1].startswith("1.00<br>")
    assert cells(page, "blue")[1] != cells(page, "colours")[1]
    assert "colours minus blue" in page
    assert re.search(r"McNemar p\W*(?:=|&lt;)", page)
    assert "colours is better" in page
    assert "Where they disagree" in page
    assert "No mistake." in page
    assert re.search(r"taken for \w+: 2", page)
    assert 'class="right">' in page


def test_few_names_one_encoder_and_a_hostile_choice(
    labelled: TestClient, client: TestClient, ids: dict[str, int]
) -> None:
    assert "Fewer than two names" in labelled.get("/compare-models?truth=label&least=3").text
    assert "Fewer than two names" in labelled.get("/compare-models").text
    assert "8 pictures of 8, 2 names" in client.get("/compare-models").text
    for query in ("truth=path", "least=0", "least=many", "template=/etc/passwd"):
        assert client.get(f"/compare-models?{query}").status_code == 422
    costly = labelled.get("/compare-models?truth=label&least=1&template=clip80")
    assert costly.status_code == 200


def test_encoders_that_agree_on_every_picture(client: TestClient) -> None:
    page = client.get("/compare-models", headers={"accept-language": "es"}).text
    assert "Coinciden en todas las imágenes." in page


def test_of_many_pictures_evenly_many_are_compared(
    labelled: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareja.tasks.compare_stored.MAX_COMPARED", 5)
    assert "5 pictures of 16" in labelled.get("/compare-models?truth=label&least=2").text


def test_flags_are_those_of_the_library_and_blurred(
    client: TestClient, collection: Collection, colours: ColourEncoder
) -> None:
    page = client.get("/review?threshold=0").text
    ids, vectors = collection.embeddings(colours)
    expected = [int(ids[item.image]) for item in flag(vectors, colours, threshold=0)]
    assert [int(n) for n in re.findall(r'id="picture-(\d+)"', page)] == expected
    assert 'class="grid blurred"' in page
    assert "A person decides" in page
    assert "It misses what the encoder cannot see" in page
    none = client.get("/review?threshold=1").text
    assert "No picture reached the threshold." in none
    assert "0 of 8 pictures flagged" in none
    for threshold in ("-1", "2", "nan", "inf", "high"):
        assert client.get(f"/review?threshold={threshold}").status_code == 422


def test_a_long_list_has_pages(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pareja.server.reviewing._SHOWN", 3)
    pages = [client.get(f"/review?threshold=0&page={n}").text for n in (1, 2, 3)]
    shown = [re.findall(r'id="picture-(\d+)"', page) for page in pages]
    assert [len(each) for each in shown] == [3, 3, 2]
    assert len({n for each in shown for n in each}) == 8
    assert ['rel="next"' in page for page in pages] == [True, True, False]


def blur(page: Page, nth: int) -> str:
    image = page.locator(".blurred img").nth(nth)
    return str(image.evaluate("element => getComputedStyle(element).filter"))


def test_a_flagged_picture_is_revealed_by_key_and_by_click(page: Page) -> None:
    page.goto("/review")
    page.get_by_label("Threshold, from 0 to 1").fill("0")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("threshold=0"))
    assert "blur" in blur(page, 0)
    page.locator(".blurred .shot").first.focus()
    assert (blur(page, 0), "blur" in blur(page, 1)) == ("none", True)
    page.locator(".blurred .shot").nth(1).click()
    assert ("blur" in blur(page, 0), blur(page, 1)) == (True, "none")


def test_the_comparison_in_a_browser(
    page: Page, labelled: TestClient, serve: Callable[..., str]
) -> None:
    page.goto(serve(labelled.app) + "/compare-models")
    page.get_by_label("Fewest pictures of a name").fill("2")
    page.get_by_label("In the metadata").select_option("label")
    page.wait_for_url(re.compile("truth=label"))
    table = page.get_by_role("table").first
    assert table.get_by_role("row").count() == 3
    assert page.locator(".card").count() > 0
    page.locator("summary").first.click()
    assert page.get_by_role("table").count() == 2
    page.locator("[data-card]").first.focus()
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement === document.querySelectorAll('[data-card]')[1]")
