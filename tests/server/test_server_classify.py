"""Saying what a picture shows, over HTTP and on its page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.server.pictures import data_url, index_wall, png

from pareja.classifiers.prompts import template_sets
from pareja.classifiers.zero_shot import zero_shot
from pareja.search import Collection
from pareja.server import create_app

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder
    from tests.server.conftest import LoadBy

HTMX = {"hx-request": "true"}
COLOURS = ["red", "green", "blue"]


def test_answers_are_those_of_the_library_in_the_agreed_shape(
    client: TestClient, collection: Collection, colours: ColourEncoder, ids: dict[str, int]
) -> None:
    body = {
        "images": [{"id": ids["red"]}, {"image": data_url((30, 60, 210))}],
        "labels": [*COLOURS, " "],
        "template": "clip7",
    }
    answer = client.post("/v1/classify", json=body).json()
    assert answer["labels"] == COLOURS
    assert (answer["model"], len(answer["templates"])) == ("colours", 7)
    first, second = answer["images"]
    assert (first["label"], second["label"]) == ("red", "blue")
    assert first["path"] == str(collection.picture(ids["red"]).path)
    assert (first["id"], second["id"], second["path"]) == (ids["red"], None, "images[1]")
    _, stored = collection.embeddings(colours, [ids["red"]])
    expected = zero_shot(COLOURS, colours, templates=template_sets()["clip7"]).classified(stored)
    assert first["scores"] == pytest.approx(expected.scores(0))
    assert list(first["scores"]) == list(expected.scores(0))
    assert sum(first["scores"].values()) == pytest.approx(1)
    assert first["certainty"] == pytest.approx(expected.certainty[0])


def test_several_labels_none_of_them_and_another_encoder(
    client: TestClient, ids: dict[str, int]
) -> None:
    def ask(**fields: Any) -> Any:
        body = {"images": [{"id": ids["red"]}], "labels": COLOURS, **fields}
        return client.post("/v1/classify", json=body).json()

    surely = ask(unknown=1.0)
    assert surely["threshold"] == 1
    assert (surely["images"][0]["label"], surely["images"][0]["labels"]) == (None, [])
    several = ask(multi_label=True, template="{}")
    assert several["images"][0]["labels"][0] == "red"
    assert sum(several["images"][0]["scores"].values()) != pytest.approx(1, abs=1e-3)
    assert ask(model="hues")["model"] == "hues"
    assert ask(labels=["red"], unknown=0.1)["labels"] == ["red"]


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"labels": []}, 422, "labels"),
        ({"labels": ["  "]}, 422, "nothing to choose among"),
        ({"labels": ["red"]}, 422, "only label"),
        ({"labels": ["red", "Red"]}, 422, "twice"),
        ({"labels": ["red"] * 101}, 413, "101"),
        ({"labels": [str(n) for n in range(20)], "template": "clip80"}, 413, "1600"),
        ({"labels": ["r" * 1001, "b"]}, 422, "1000"),
        ({"labels": "red,blue"}, 422, "labels"),
        ({"template": "no place"}, 422, "no place"),
        ({"template": "/etc/passwd"}, 422, "no set of prompts"),
        ({"model": "clip"}, 404, "colours, hues"),
        ({"images": []}, 422, "images"),
        ({"images": [{"id": 4711}]}, 404, "4711"),
        ({"images": [{"id": -1}]}, 422, "images"),
        ({"images": [{"id": 10**30}]}, 422, "images"),
        ({"images": [{"id": 1}] * 33}, 413, "33"),
        ({"images": [{"image": "file:///etc/passwd"}]}, 422, "images[0]"),
        ({"images": [{"image": "http://169.254.169.254/"}]}, 422, "images[0]"),
        ({"images": [{"id": 1}, {"image": "data:image/png;base64,%%%"}]}, 422, "images[1]"),
        ({"images": [{"image": "data:image/png;base64,AAAA"}]}, 422, "images[0]"),
        ({"images": ["/etc/passwd"]}, 422, "images"),
        ({"multi_label": True, "unknown": 0.5}, 422, "several labels"),
        ({"unknown": 1.5}, 422, "unknown"),
        ({"surprise": 1}, 422, "surprise"),
    ],
)
def test_what_cannot_be_classified_is_refused_with_a_reason(
    client: TestClient, changes: dict[str, Any], status: int, said: str
) -> None:
    body = {"images": [{"id": 1}], "labels": COLOURS, **changes}
    response = client.post("/v1/classify", json=body)
    assert (response.status_code, said in response.text) == (status, True), response.text
    assert "root:" not in response.text


def test_labels_are_never_read_from_a_file(client: TestClient, tmp_path: Path) -> None:
    secret = tmp_path / "labels.txt"
    secret.write_text("secret one\nsecret two\n")
    templates = tmp_path / "templates.txt"
    templates.write_text("a secret {}\n")
    body = {"images": [{"id": 1}], "labels": [str(secret), "red"]}
    assert client.post("/v1/classify", json=body).json()["labels"] == [str(secret), "red"]
    refused = client.post("/v1/classify", json={**body, "template": str(templates)})
    assert refused.status_code == 422
    page = client.get("/classify", params={"picture": 1, "labels": f"{secret}, red"})
    assert "secret two" not in page.text


def test_another_sites_page_and_a_stranger_are_refused(make_app: Callable[..., FastAPI]) -> None:
    body = {"images": [{"id": 1}], "labels": COLOURS}
    local = TestClient(make_app(), base_url="http://127.0.0.1:8420")
    foreign = local.post("/v1/classify", json=body, headers={"origin": "http://evil.example"})
    assert foreign.status_code == 403
    token = "correct-horse-battery"  # noqa: S105  made up
    guarded = TestClient(make_app(token=token), base_url="http://127.0.0.1:8420")
    assert guarded.post("/v1/classify", json=body).status_code == 401
    bearer = {"authorization": f"Bearer {token}"}
    assert guarded.post("/v1/classify", json=body, headers=bearer).status_code == 200


def test_a_picture_that_one_encoder_has_not_seen(
    client: TestClient, collection: Collection, colours: ColourEncoder, tmp_path: Path
) -> None:
    newest = index_wall(collection, colours, tmp_path / "more", (30, 60, 210), "A blue wall")
    body = {"images": [{"id": newest}], "labels": COLOURS}
    assert client.post("/v1/classify", json=body).json()["images"][0]["label"] == "blue"
    missing = client.post("/v1/classify", json={**body, "model": "hues"})
    assert missing.status_code == 404
    assert "not embedded by “hues”" in missing.text


def bars(html: str) -> dict[str, tuple[float, float]]:
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', html, re.DOTALL)
    numbers = {label: re.findall(r'<rect width="([\d.]+)"', cells) for label, cells in rows}
    return {label: (float(a), float(b)) for label, (a, b) in numbers.items()}


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_the_page_shows_both_probabilities_and_says_which_was_trained(
    collection: Collection,
    colours: ColourEncoder,
    load_by: LoadBy,
    ids: dict[str, int],
    loss: Any,
) -> None:
    load_by(lambda name: replace(colours, name=name, loss=loss))
    app = create_app(collection)
    client = TestClient(app, base_url="http://127.0.0.1:8420")
    page = client.get(f"/classify?labels=red,+green%0ablue&picture={ids['green']}").text
    shown = bars(page)
    assert next(iter(shown)) == "green"
    assert sum(softmax for softmax, _ in shown.values()) == pytest.approx(100, abs=0.1)
    _, stored = collection.embeddings(colours, [ids["green"]])
    texts = colours.encode_texts([f"a photo of a {label}" for label in shown])
    alone = 100 / (1 + np.exp(-colours.logits(stored @ texts.T)[0].astype(float)))
    assert [sigmoid for _, sigmoid in shown.values()] == pytest.approx(list(alone), abs=0.01)
    assert "Probably: green" in page
    columns = re.findall(r'<span class="tag">(.*?)</span>', page)
    trained = ["trained this way", "of its logits"]
    assert columns == (trained if loss == "softmax" else trained[::-1])


def test_the_page_says_what_is_still_missing(client: TestClient, ids: dict[str, int]) -> None:
    assert "Give a picture" in client.get("/classify").text
    assert "Name at least two labels" in client.get(f"/classify?picture={ids['red']}").text
    assert "bright%2C+dark" in client.get("/classify").text
    link = f'href="/classify?picture={ids["red"]}"'
    assert link in client.get(f"/pictures/{ids['red']}").text
    html = {"accept": "text/html", "accept-language": "es"}
    one = client.get(f"/classify?labels=rojo&picture={ids['red']}", headers=html)
    assert (one.status_code, "al menos dos etiquetas" in one.text) == (200, True)
    twice = client.get(f"/classify?labels=red,red&picture={ids['red']}", headers=html)
    assert twice.status_code == 422
    gone = client.get("/classify?image=gone", headers=html)
    assert gone.status_code == 404
    unknown = client.get(f"/classify?labels=purple+cow&unknown=true&picture={ids['white']}")
    assert "Probably none of these" in unknown.text


def test_an_upload_takes_the_choices_along(client: TestClient) -> None:
    form = {"labels": "red, blue", "template": "bare", "unknown": "true", "model": "hues"}
    sent = client.post(
        "/classify-picture", data=form, files={"picture": ("a.png", png((30, 60, 210)))}
    )
    assert sent.status_code == 303
    page = client.get(sent.headers["location"])
    assert next(iter(bars(page.text))) == "blue"
    assert 'value="red, blue"' in page.text
    assert re.search(r'value="hues" selected', page.text)
    assert re.search(r'name="unknown" value="true" checked', page.text)
    part = client.get(sent.headers["location"], headers=HTMX)
    assert part.headers["hx-replace-url"] == sent.headers["location"]
    assert "<html" not in part.text
    no_picture = client.post("/classify-picture", files={"picture": ("a.txt", b"no picture")})
    assert no_picture.status_code == 422


def test_labels_from_outside_stay_words(client: TestClient) -> None:
    attack = '"><script>alert(1)</script>'
    page = client.get("/classify", params={"labels": f"{attack}, red", "picture": 1})
    assert page.status_code == 200
    assert "<script>alert" not in page.text
