from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from pareja.search import Collection

if TYPE_CHECKING:
    from fastapi.testclient import TestClient
    from tests.conftest import ColourEncoder

PINK, BLUE = (250, 150, 190), (30, 60, 210)


def two_colours() -> bytes:
    """A pink wall whose lower right quarter is blue, 400 x 200."""
    picture = Image.new("RGB", (400, 200), PINK)
    picture.paste(BLUE, (200, 100, 400, 200))
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def stored(collection: Collection, tmp_path: Path, colours: ColourEncoder) -> int:
    (tmp_path / "two.png").write_bytes(two_colours())
    collection.index(tmp_path / "two.png", colours)
    return collection.pictures()[-1].id


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
    for box, colour in (("200&box=100&box=200&box=100", "blue"), ("0&box=0&box=0.5&box=1", "pink")):
        answer = client.get(f"/v1/search{where[1:]}&box={box}&k=1").json()
        assert [hit["id"] for hit in answer["hits"]] == [ids[colour]]


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
