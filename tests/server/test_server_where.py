from __future__ import annotations

import base64
import io
import re
from html import unescape
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


def test_a_result_links_to_where_its_words_are(client: TestClient, ids: dict[str, int]) -> None:
    page = client.get("/", params={"q": "red"}).text
    links = [unescape(link) for link in re.findall(r'href="([^"]*/where[^"]*)"', page)]
    assert f"/pictures/{ids['red']}/where?q=red&model=" in links
    assert "/where" not in client.get("/").text


@pytest.mark.parametrize(("lang", "said"), [("en", "All places speak"), ("es", "Todas las zonas")])
def test_the_page_shows_the_map_and_says_where(
    client: TestClient, ids: dict[str, int], lang: str, said: str
) -> None:
    answer = client.get(
        f"/pictures/{ids['red']}/where", params={"q": "red"}, headers={"accept-language": lang}
    )
    assert answer.status_code == 200
    # A wall of one colour has no place that stands out.
    assert said in answer.text or "%" in answer.text
    (encoded,) = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', answer.text)
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as drawn:
        assert max(drawn.size) <= 800


def test_without_words_it_asks_for_them(client: TestClient, ids: dict[str, int]) -> None:
    page = client.get(f"/pictures/{ids['red']}/where").text
    assert 'name="q"' in page
    assert "data:image" not in page
    assert f'action="/pictures/{ids["red"]}/where"' in client.get(f"/pictures/{ids['red']}").text


def test_words_stay_text_and_wrong_requests_are_answered(
    client: TestClient, ids: dict[str, int]
) -> None:
    where = f"/pictures/{ids['red']}/where"
    page = client.get(where, params={"q": "<script>alert(1)</script>"}).text
    assert "<script>alert" not in page
    assert client.get("/pictures/99999/where", params={"q": "red"}).status_code == 404
    assert client.get(where, params={"q": "red", "model": "nothing"}).status_code == 404
    assert client.get(where, params={"q": "x" * 20_000}).status_code == 422
