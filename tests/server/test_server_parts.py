from __future__ import annotations

import base64
import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.server.pictures import index_two_colours, two_colours

from pareja.search import Collection

if TYPE_CHECKING:
    from fastapi.testclient import TestClient
    from tests.conftest import ColourEncoder


@pytest.fixture
def stored(collection: Collection, tmp_path: Path, colours: ColourEncoder) -> int:
    return index_two_colours(collection, colours, tmp_path)


def test_a_part_of_a_picture_that_is_sent(client: TestClient, ids: dict[str, int]) -> None:
    image = "data:image/png;base64," + base64.b64encode(two_colours()).decode()
    for box, colour in (([200, 100, 200, 100], "blue"), ([0, 0, 0.5, 1], "pink")):
        sent = {"image": image, "box": box, "k": 1}
        answer = client.post("/v1/search", json=sent)
        assert [hit["id"] for hit in answer.json()["hits"]] == [ids[colour]]


def test_a_part_of_a_picture_of_the_collection(
    client: TestClient, ids: dict[str, int], stored: int
) -> None:
    sent: dict[str, Any] = {"like": stored, "box": [210, 110, 100, 50], "k": 9}
    for answer in (client.post("/v1/search", json=sent), client.get("/v1/search", params=sent)):
        found = [hit["id"] for hit in answer.json()["hits"]]
        assert found[0] == ids["blue"]
        assert len(found) == 8
        assert stored not in found


def test_a_part_of_a_picture_that_was_uploaded(client: TestClient, ids: dict[str, int]) -> None:
    where = client.post("/search-by-picture", files={"picture": two_colours()}).headers["location"]
    assert "box" not in where
    for box, colour in (
        ("200&box=100&box=200&box=100", "blue"),
        ("200,100,200,100", "blue"),
        ("0&box=0&box=0.5&box=1", "pink"),
        ("0,0,.5,1", "pink"),
    ):
        answer = client.get(f"/v1/search{where[1:]}&box={box}&k=1").json()
        assert [hit["id"] for hit in answer["hits"]] == [ids[colour]]


def test_commas_are_taken_by_the_pages_too(client: TestClient, ids: dict[str, int]) -> None:
    page = f"/pictures/{ids['red']}"
    for box in ("1,2,30,40", "1&box=2&box=30&box=40"):
        shown = client.get(f"{page}?box={box}").text
        assert re.findall(r'name="box"[^>]* value="(\d+)"', shown) == ["1", "2", "30", "40"]
    for wrong in ("1,2,3,4,5", "1,2,3,4&box=5", "1,,3,4", "a,2,3,4"):
        assert client.get(f"{page}?box={wrong}").status_code == 422


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"box": [1, 2, 3, 4]}, "Nothing is looked for"),
        ({"text": "red", "box": [1, 2, 3, 4]}, "A part is one of a picture"),
        ({"image": "data:,", "like": 1, "box": [1, 2, 3, 4]}, "not both"),
        ({"like": 1, "box": [1, 2, 3]}, "no four numbers"),
        ({"like": 1, "box": [1, 2, 3, 4, 5]}, "box"),
        ({"like": 1, "box": ["a", 2, 3, 4]}, "box"),
        ({"like": 1, "box": [390, 2, 30, 4]}, "in a picture of 400 x 320 pixels"),
        ({"like": 1, "box": [300, 20, 400, 320]}, "two corners"),
        ({"like": 1, "box": [1, 2, 0, 4]}, "no width or no height"),
        ({"like": 4711, "box": [1, 2, 3, 4]}, "no picture 4711"),
    ],
)
def test_what_is_no_part_is_refused(client: TestClient, sent: dict[str, Any], said: str) -> None:
    answer = client.post("/v1/search", json=sent)
    assert answer.status_code in (404, 422)
    assert said in answer.json()["error"]["message"]
    if "image" not in sent:
        named = {"q" if name == "text" else name: value for name, value in sent.items()}
        assert client.get("/v1/search", params=named).status_code == answer.status_code
    if "like" in sent and "image" not in sent:
        page = client.get("/", params=sent, headers={"accept-language": "es"})
        assert page.status_code == answer.status_code


def test_without_a_script_the_part_is_typed(
    client: TestClient, ids: dict[str, int], stored: int
) -> None:
    page = client.get(f"/pictures/{stored}").text
    assert re.findall(r'name="box" value="(\d+)"', page) == ["100", "50", "200", "100"]
    where = client.post("/search-by-picture", files={"picture": two_colours()}).headers["location"]
    upload = where.partition("image=")[2]
    found = unescape(client.get(where).text)
    assert f"/uploads/{upload}/part#part" in found
    page = client.get(f"/uploads/{upload}/part", params={"box": [0.5, 0.5, 0.25, 0.5]}).text
    assert re.findall(r'name="box" value="(\d+)"', page) == ["200", "100", "100", "100"]
    large = client.get(f"/uploads/{upload}?large=1")
    assert (large.status_code, large.headers["content-type"]) == (200, "image/webp")
    for picture in ({"image": upload}, {"like": stored}):
        found = unescape(client.get("/", params={**picture, "box": [200, 100, 200, 100]}).text)
        assert re.search(r"part that is marked: bottom right, 25\s%", found)
        assert "box=200&box=100&box=200&box=100#part" in found
        assert f"/pictures/{ids['blue']}" in found
    assert client.get(f"/pictures/{stored}", params={"box": [390, 0, 20, 20]}).status_code == 422
    assert client.get("/uploads/gone/part").status_code == 404


def test_results_outline_the_part_that_was_found(
    client: TestClient, collection: Collection, colours: ColourEncoder, stored: int, tmp_path: Path
) -> None:
    assert client.get("/v1/search", params={"q": "blue"}).json()["hits"][0]["part"] is None
    assert 'class="outline"' not in client.get("/", params={"q": "blue"}).text
    collection.index(tmp_path / "two.png", colours, regions=True)
    hits = client.get("/v1/search", params={"q": "blue", "k": 9}).json()["hits"]
    assert {hit["id"]: hit["part"] for hit in hits}[stored] == [200, 100, 200, 100]
    page = client.get("/", params={"q": "blue"}).text
    assert page.count('class="outline"') == 1
    assert '<rect class="frame" x="200.0" y="100.0" width="200.0" height="100.0"/>' in page
    assert "best part: bottom right" in page
