"""Classifiers that were learned from examples: filters of searches, and labels for the asking."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.colour_classifier import COLOUR_NAMES, colour_classifier
from tests.server.pictures import Colour, data_url, index_wall, png

from pareja.classifiers.learned import Classifier
from pareja.errors import DatasetError, FingerprintMismatchError, ServerError
from pareja.search import Collection
from pareja.server import create_app
from pareja.server.learned import load_classifiers

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder
    from tests.server.conftest import LoadBy

ADDRESS = "http://127.0.0.1:8420"


@pytest.fixture
def walls(colours: ColourEncoder) -> Classifier:
    return colour_classifier(colours, scale=5)


@pytest.fixture
def client(
    make_app: Callable[..., FastAPI], walls: Classifier, colours: ColourEncoder
) -> TestClient:
    """A program on the machine of a server that knows two classifiers, of two encoders."""
    shades = colour_classifier(replace(colours, name="hues"), ("black", "white"), scale=5)
    app = make_app(classifiers={"walls": walls, "shades": shades})
    return TestClient(app, base_url=ADDRESS, follow_redirects=False)


@pytest.fixture
def truth(collection: Collection, walls: Classifier) -> dict[int, str]:
    """What the classifier says of each stored vector."""
    ids, vectors = collection.embeddings(walls.fingerprint)
    result = walls.classified(vectors)
    return {picture: result.assigned(n)[0] for n, picture in enumerate(ids.tolist())}


def found(client: TestClient, path: str, **params: Any) -> list[int]:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return [hit["id"] for hit in body.get("hits", body.get("pictures"))]


def test_a_search_finds_the_pictures_with_a_label(
    client: TestClient, truth: dict[int, str]
) -> None:
    everything = found(client, "/v1/search", q="pink", k=20)
    reds = found(client, "/v1/search", q="pink", k=20, shows="walls/red")
    assert reds == [picture for picture in everything if truth[picture] == "red"]
    assert 0 < len(reds) < 8
    either = found(client, "/v1/search", q="pink", k=20, shows=["walls/red", "walls/blue"])
    assert set(either) == {p for p, label in truth.items() if label in ("red", "blue")}
    both = found(client, "/v1/search", q="pink", k=20, shows=["walls/red", "shades/black"])
    assert set(both) < set(reds)
    body = {"text": "pink", "k": 20, "shows": ["walls/red"]}
    assert [hit["id"] for hit in client.post("/v1/search", json=body).json()["hits"]] == reds
    assert client.post("/v1/search", json={**body, "at_least": 1.0}).json()["hits"] == []
    assert sorted(found(client, "/v1/pictures", shows="walls/red")) == sorted(reds)
    assert found(client, "/v1/search", q="pink", k=20, shows="") == everything


def test_what_is_loaded_is_listed(client: TestClient, truth: dict[int, str]) -> None:
    walls, shades = client.get("/v1/classifiers").json()["classifiers"]
    assert walls == {
        "name": "walls",
        "model": "colours",
        "method": "linear-probe",
        "n_examples": 12,
        "labels": {name: list(truth.values()).count(name) for name in COLOUR_NAMES},
    }
    assert (shades["name"], shades["model"]) == ("shades", "hues")


@pytest.mark.parametrize(
    ("params", "status", "said"),
    [
        ({"shows": "red"}, 422, "names no label of a classifier"),
        ({"shows": "wals/red"}, 404, "no classifier “wals” here. There are: walls, shades."),
        ({"shows": "../../etc/passwd"}, 404, "no classifier “..”"),
        ({"shows": "walls/gren"}, 404, "“walls” has no label “gren”"),
        ({"shows": "walls/"}, 404, "It has: red, green, blue."),
        ({"shows": "walls/red", "at_least": "1.5"}, 422, "at_least"),
        ({"shows": "walls/red", "at_least": "nan"}, 422, "at_least"),
        ({"shows": ["walls/red"] * 101}, 422, "shows"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/search", "/v1/pictures"])
def test_a_filter_that_cannot_be_is_refused_with_a_reason(
    client: TestClient, path: str, params: dict[str, Any], status: int, said: str
) -> None:
    words = {"q": "red"} if path == "/v1/search" else {}
    response = client.get(path, params={**words, **params})
    assert (response.status_code, said in response.text) == (status, True), response.text
    assert "\\n" not in response.text


def test_pictures_are_classified_by_what_was_learned(
    client: TestClient, collection: Collection, walls: Classifier, ids: dict[str, int]
) -> None:
    body = {
        "images": [{"id": ids["pink"]}, {"image": data_url((30, 60, 210))}],
        "classifier": "walls",
    }
    answer = client.post("/v1/classify", json=body).json()
    assert (answer["model"], answer["classifier"]) == ("colours", "walls")
    assert (answer["labels"], answer["templates"]) == (list(COLOUR_NAMES), [])
    first, second = answer["images"]
    _, stored = collection.embeddings(walls.fingerprint, [ids["pink"]])
    expected = walls.classified(stored)
    assert first["scores"] == pytest.approx(expected.scores(0))
    assert sum(first["scores"].values()) == pytest.approx(1)
    assert (first["label"], second["label"]) == (expected.assigned(0)[0], "blue")
    zero_shot = {"images": body["images"], "labels": ["red", "blue"]}
    assert client.post("/v1/classify", json=zero_shot).json()["classifier"] is None


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"classifier": "kinds"}, 404, "no classifier “kinds” here. There are: walls, shades."),
        ({"classifier": "/etc/passwd"}, 404, "no classifier"),
        ({"labels": ["red", "blue"]}, 422, "Leave out: labels."),
        ({"multi_label": True, "model": "hues"}, 422, "Leave out: model, multi_label."),
        ({"classifier": ""}, 422, "nothing to choose among"),
        ({"images": [{"id": 4711}]}, 404, "4711"),
    ],
)
def test_what_cannot_be_classified_so_is_refused_with_a_reason(
    client: TestClient, changes: dict[str, Any], status: int, said: str
) -> None:
    body = {"images": [{"id": 1}], "classifier": "walls", **changes}
    response = client.post("/v1/classify", json=body)
    assert (response.status_code, said in response.text) == (status, True), response.text


def test_a_file_that_a_request_names_is_never_read(
    client: TestClient, walls: Classifier, tmp_path: Path
) -> None:
    saved = walls.save(tmp_path / "secret.safetensors")
    for name in (str(saved), saved.name, "secret"):
        body = {"images": [{"id": 1}], "classifier": name}
        assert client.post("/v1/classify", json=body).status_code == 404
        page = client.get("/classify", params={"picture": 1, "classifier": name})
        assert page.status_code == 404
        search = client.get("/v1/search", params={"q": "red", "shows": f"{name}/red"})
        assert search.status_code == 404


def options(html: str, name: str) -> list[tuple[str, str, bool]]:
    """The options of the selects with a name: value, text, and whether it is chosen."""
    selects = re.findall(rf'<select[^>]* name="{name}"[^>]*>(.*?)</select>', html, re.DOTALL)
    pattern = r'<option value="([^"]*)"( selected)?>(.*?)</option>'
    return [(v, t, bool(s)) for select in selects for v, s, t in re.findall(pattern, select)]


def test_the_search_page_offers_labels_and_keeps_what_was_chosen(
    client: TestClient, truth: dict[int, str]
) -> None:
    reds = list(truth.values()).count("red")
    page = client.get("/?q=pink&shows=walls/red&shows=&at_least=0.5&category=bright").text
    offered = options(page, "shows")
    assert ("walls/red", f"red ({reds})", True) in offered
    assert [value for value, _, _ in offered].count("") == 2
    assert ("shades/black", "black", True) not in offered
    assert ("0.5", "50\N{NO-BREAK SPACE}% or more", True) in options(page, "at_least")
    part = client.get(
        "/?q=pink&shows=walls/red&at_least=0.5&category=", headers={"hx-request": "true"}
    )
    assert part.headers["hx-push-url"] == "/?q=pink&shows=walls%2Fred&at_least=0.5"
    browsed = client.get("/?shows=walls/red").text
    assert browsed.count('class="card"') == reds
    spanish = client.get("/?shows=walls/red", headers={"accept-language": "es"}).text
    assert "Muestra (walls)" in spanish
    assert "o más" in spanish
    html = {"accept": "text/html", "accept-language": "es"}
    for wrong in ("/?q=red&shows=walls/gren", "/?shows=walls/gren"):
        refused = client.get(wrong, headers=html)
        assert refused.status_code == 404
        assert "«walls» no tiene la etiqueta «gren». Tiene: red, green, blue." in refused.text


def test_browsing_says_when_no_picture_passes_and_keeps_the_filter_from_page_to_page(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, truth: dict[int, str]
) -> None:
    nothing = client.get("/?shows=walls/green&shows=shades/black&at_least=1")
    assert "No picture fits these filters. Choose fewer." in nothing.text
    monkeypatch.setattr("pareja.server.listing._BROWSED", 1)
    first = client.get("/?shows=walls/red").text
    link = re.search(r'rel="next" href="([^"]+)"', first)
    assert link
    assert link[1] == "/?shows=walls%2Fred&amp;page=2"
    second = client.get(link[1].replace("&amp;", "&")).text
    assert 'rel="prev" href="/?shows=walls%2Fred"' in second
    cards = re.compile(r'href="/pictures/(\d+)" data-card')
    shown = [int(one) for one in (*cards.findall(first), *cards.findall(second))]
    assert shown == [picture for picture, label in truth.items() if label == "red"][:2]


def test_a_server_without_classifiers_shows_no_trace_of_them(
    make_app: Callable[..., FastAPI],
) -> None:
    plain = TestClient(make_app(), base_url=ADDRESS)
    assert 'name="shows"' not in plain.get("/").text
    assert 'name="at_least"' not in plain.get("/").text
    assert "data-learned" not in plain.get("/classify").text
    assert plain.get("/v1/classifiers").json() == {"classifiers": []}
    refused = plain.get("/v1/search", params={"q": "red", "shows": "walls/red"})
    assert (refused.status_code, "There are: -." in refused.text) == (404, True)


def test_the_classify_page_shows_learned_probabilities(
    client: TestClient, ids: dict[str, int]
) -> None:
    page = client.get(f"/classify?picture={ids['blue']}&classifier=walls&labels=cat,dog").text
    assert "Probably: blue" in page
    assert re.findall(r'<th scope="row">(.*?)</th>', page)[0] == "blue"
    assert "from examples" in page
    assert "Learned by linear-probe from 12 pictures, on embeddings of colours." in page
    assert 'value="cat, dog"' in page
    assert ("walls", "walls: 3 learned labels", True) in options(page, "classifier")
    sent = client.post(
        "/classify-picture",
        data={"classifier": "walls", "labels": "cat, dog", "multi_label": "true"},
        files={"picture": ("a.png", png((30, 60, 210)))},
    )
    shown = client.get(sent.headers["location"], headers={"accept-language": "es"}).text
    assert "Probablemente: blue" in shown
    assert "walls: 3 etiquetas aprendidas" in shown
    assert re.search(r'name="multi_label" value="true" checked', shown)
    html = {"accept": "text/html", "accept-language": "es"}
    unknown = client.get("/classify?classifier=kinds", headers=html)
    assert (unknown.status_code, "ningún clasificador «kinds»" in unknown.text) == (404, True)


def table(html: str) -> tuple[list[tuple[str, str]], list[str], dict[str, list[float]]]:
    """The columns with their notes, the labels that were given, and the numbers of each."""
    columns = re.findall(r'<th scope="col">(\w[^<]*)<br><span class="tag">(.*?)</span>', html)
    rows = re.findall(r'<tr( class="best")?><th scope="row">(.*?)</th>(.*?)</tr>', html, re.DOTALL)
    numbers = {
        label: [float(width) / 100 for width in re.findall(r'<rect width="([\d.]+)"', cells)]
        for _, label, cells in rows
    }
    return columns, [label for best, label, _ in rows if best], numbers


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_several_labels_on_the_page_are_those_of_the_api(
    collection: Collection,
    colours: ColourEncoder,
    load_by: LoadBy,
    ids: dict[str, int],
    loss: Any,
) -> None:
    load_by(lambda name: replace(colours, name=name, loss=loss))
    app = create_app(collection)
    client = TestClient(app, base_url=ADDRESS)
    body = {"images": [{"id": ids["pink"]}], "labels": ["pink", "red", "green"]}
    answer = client.post("/v1/classify", json={**body, "multi_label": True}).json()["images"][0]
    # "None of them" is part of it: what was chosen before does not stand in the way.
    page = client.get(
        f"/classify?picture={ids['pink']}&labels=pink,red,green&multi_label=true&unknown=true"
    ).text
    columns, best, numbers = table(page)
    assert best == answer["labels"]
    assert len(best) >= 1
    decides = 1
    assert columns == (
        [("softmax", "trained this way"), ("Each alone", "against something else")]
        if loss == "softmax"
        else [("softmax", "of its logits"), ("sigmoid", "trained this way")]
    )
    for label, score in answer["scores"].items():
        assert numbers[label][decides] == pytest.approx(score, abs=1e-4)
    assert sum(shares[0] for shares in numbers.values()) == pytest.approx(1, abs=1e-3)
    assert "Each label is decided by itself" in page
    assert f"trained with a {loss}" in page


def test_one_label_is_enough_where_a_picture_may_have_none(
    client: TestClient, ids: dict[str, int]
) -> None:
    alone = client.get(f"/classify?picture={ids['red']}&labels=red&multi_label=true").text
    assert "Probably: red" in alone
    missing = client.get(f"/classify?picture={ids['red']}&multi_label=true").text
    assert "Name a label." in missing
    other = client.get(f"/classify?picture={ids['red']}&labels=pink&multi_label=true").text
    assert "no label reaches 0.5" in other
    part = client.get(
        f"/classify?picture={ids['red']}&labels=red&multi_label=true",
        headers={"hx-request": "true"},
    )
    assert "multi_label=True" in part.headers["hx-replace-url"]
    again = client.get(part.headers["hx-replace-url"])
    assert re.search(r'name="multi_label" value="true" checked', again.text)


def test_a_classifier_of_another_model_is_refused_when_the_server_starts(
    make_app: Callable[..., FastAPI], colours: ColourEncoder
) -> None:
    stranger = colour_classifier(replace(colours, name="clip"))
    with pytest.raises(FingerprintMismatchError, match="has those of: colours, hues") as refused:
        make_app(classifiers={"walls": stranger})
    assert "\n" not in str(refused.value)


def test_an_encoder_that_has_changed_since_is_refused(
    collection: Collection, colours: ColourEncoder, load_by: LoadBy, walls: Classifier
) -> None:
    changed = replace(colours, name="colours, newer")
    load_by(lambda _: changed)
    app = create_app(collection, classifiers={"walls": walls})
    client = TestClient(app, base_url=ADDRESS)
    body = {"images": [{"image": data_url((30, 60, 210))}], "classifier": "walls"}
    response = client.post("/v1/classify", json=body)
    assert (response.status_code, "the classifier reads" in response.text) == (503, True)


def test_files_give_classifiers_their_names(tmp_path: Path, walls: Classifier) -> None:
    first = walls.save(tmp_path / "walls.safetensors")
    second = walls.save(tmp_path / "other" / "walls.safetensors")
    assert list(load_classifiers([first])) == ["walls"]
    with pytest.raises(ServerError, match="two classifiers are called 'walls'"):
        load_classifiers([first, second])
    with pytest.raises(DatasetError, match="cannot be read"):
        load_classifiers([tmp_path / "none.safetensors"])


def test_the_map_and_the_captions_follow_every_change_of_the_collection(
    collection: Collection, colours: ColourEncoder, client: TestClient, tmp_path: Path
) -> None:
    def captions(colour: Colour, caption: str) -> set[str]:
        newest = index_wall(collection, colours, tmp_path / "one", colour, caption)
        body = client.get(f"/v1/pictures/{newest}/captions?n=50").json()
        return {match["caption"] for side in body.values() for match in side}

    assert "A blue wall" in captions((30, 60, 210), "A blue wall")
    before = {point["id"] for point in client.get("/v1/map").json()["points"]}
    # One picture goes and another comes: there are as many as before.
    now = captions((240, 220, 40), "A yellow wall")
    assert ("A yellow wall" in now, "A blue wall" in now) == (True, False)
    assert {point["id"] for point in client.get("/v1/map").json()["points"]} != before
    assert "The yellow one" in captions((240, 220, 40), "The yellow one")
    revision = collection.revision()
    collection.judge("wall", 1, True)
    assert collection.revision() == revision
