from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openai
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from tests.server.pictures import data_url

from pareja.search import Collection

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


def test_search_answers_in_the_agreed_shape(client: TestClient, ids: dict[str, int]) -> None:
    answer = client.get("/v1/search", params={"q": "something green", "k": 3}).json()
    assert answer["query"] == "something green"
    assert answer["model"] == "colours"
    assert answer["took_ms"] > 0
    best = answer["hits"][0]
    assert {"rank", "id", "path", "score", "caption", "category"} <= set(best)
    assert (best["rank"], best["id"], best["caption"]) == (1, ids["green"], "A wall painted green")
    assert [hit["score"] for hit in answer["hits"]] == sorted(
        (hit["score"] for hit in answer["hits"]), reverse=True
    )
    assert len(answer["hits"]) == 3


def test_search_by_picture_by_neighbour_and_filtered(
    client: TestClient, ids: dict[str, int]
) -> None:
    by_picture = client.post("/v1/search", json={"image": data_url((245, 225, 45))}).json()
    assert by_picture["hits"][0]["id"] == ids["yellow"]
    like = client.get("/v1/search", params={"like": ids["red"], "k": 8}).json()
    assert ids["red"] not in [hit["id"] for hit in like["hits"]]
    assert like["hits"][0]["id"] == ids["brown"]
    bright = client.get("/v1/search", params={"q": "red", "category": "bright"}).json()
    assert {hit["category"] for hit in bright["hits"]} == {"bright"}
    other = client.get("/v1/search", params={"q": "red", "model": "hues"}).json()
    assert other["model"] == "hues"


def test_a_search_goes_on_where_the_last_page_ended(client: TestClient) -> None:
    whole = client.get("/v1/search", params={"q": "red", "k": 8}).json()["hits"]
    second = client.get("/v1/search", params={"q": "red", "k": 3, "offset": 3}).json()
    assert (second["hits"], second["offset"], second["more"]) == (whole[3:6], 3, True)
    last = client.post("/v1/search", json={"text": "red", "k": 3, "offset": 6}).json()
    assert (last["hits"], last["more"]) == (whole[6:], False)
    beyond = client.get("/v1/search", params={"q": "red", "offset": 8}).json()
    assert (beyond["hits"], beyond["more"]) == ([], False)


@pytest.mark.parametrize(
    ("parameters", "status", "said"),
    [
        ({}, 422, "Nothing is looked for"),
        ({"q": "   "}, 422, "Nothing is looked for"),
        ({"q": "red", "model": "clip"}, 404, "colours, hues"),
        ({"q": "red", "category": "purple"}, 422, "purple"),
        ({"q": "red", "k": 0}, 422, "k"),
        ({"q": "red", "k": "many"}, 422, "k"),
        ({"q": "r" * 1001}, 422, "1000"),
        ({"like": 10**12}, 404, "1000000000000"),
        ({"like": 10**30}, 422, "like"),
        ({"image": "never-uploaded"}, 404, "no longer kept"),
    ],
)
def test_a_search_that_cannot_be_answered_says_why(
    client: TestClient, parameters: dict[str, Any], status: int, said: str
) -> None:
    response = client.get("/v1/search", params=parameters)
    assert response.status_code == status
    assert said in response.json()["error"]["message"]


def test_pictures_are_listed_and_shown(client: TestClient, ids: dict[str, int]) -> None:
    listed = client.get("/v1/pictures", params={"category": "dark", "limit": 2}).json()
    assert listed["total"] == 8
    assert listed["categories"] == {"bright": 4, "dark": 4}
    assert len(listed["pictures"]) == 2
    shown = client.get(f"/v1/pictures/{ids['blue']}").json()
    assert (shown["caption"], shown["author"]) == ("A wall painted blue", "Ana")
    assert (shown["width"], shown["height"]) == (400, 320)
    assert client.get("/v1/pictures/4711").status_code == 404
    models = client.get("/v1/models").json()
    assert models["object"] == "list"
    assert [(m["id"], m["object"]) for m in models["data"]] == [
        ("colours", "model"),
        ("hues", "model"),
    ]


def test_a_thumbnail_is_small_bare_and_kept_by_browsers(
    client: TestClient, ids: dict[str, int]
) -> None:
    first = client.get(f"/v1/pictures/{ids['red']}/thumbnail", params={"size": 128})
    image = Image.open(io.BytesIO(first.content))
    assert (first.headers["content-type"], image.format) == ("image/webp", "WEBP")
    assert image.size == (128, 102)
    assert "exif" not in image.info
    assert np.allclose(np.asarray(image.convert("RGB"))[50, 60], (220, 30, 30), atol=20)
    assert "max-age" in first.headers["cache-control"]
    again = client.get(
        f"/v1/pictures/{ids['red']}/thumbnail",
        params={"size": 128},
        headers={"if-none-match": first.headers["etag"]},
    )
    assert (again.status_code, again.content) == (304, b"")
    larger = client.get(f"/v1/pictures/{ids['red']}/thumbnail", params={"size": 320})
    assert larger.headers["etag"] != first.headers["etag"]
    assert client.get(f"/v1/pictures/{ids['red']}/thumbnail?size=7").status_code == 422


@pytest.mark.parametrize("loss", ["gone", "replaced", "damaged"])
def test_a_picture_whose_file_is_lost_takes_nothing_down(
    client: TestClient, collection: Collection, colours: ColourEncoder, tmp_path: Path, loss: str
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for n in range(2):
        Image.new("RGB", (30 + n, 20), (60, 60, 200)).save(pictures / f"{n}.png")
    collection.index([pictures], colours)
    lost, kept = (p.id for p in collection.pictures() if p.path.parent == pictures)
    path = collection.picture(lost).path
    if loss == "gone":
        path.unlink()
    elif loss == "replaced":
        Image.new("RGB", (9, 9)).save(path)
    else:
        path.write_bytes(path.read_bytes()[:-20])
    answers = [
        client.get(f"/v1/pictures/{lost}/thumbnail"),
        client.post("/v1/search", json={"like": lost, "box": [0, 0, 0.5, 0.5]}),
    ]
    for answer in answers:
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == f"file_{loss}"
        assert str(tmp_path) not in answer.text
    assert client.get(f"/v1/pictures/{kept}/thumbnail").status_code == 200
    said = {"gone": "is gone", "replaced": "is another one", "damaged": "is damaged"}[loss]
    page = client.get(f"/pictures/{lost}")
    assert page.status_code == 200
    assert f"The file of picture {lost} {said}" in page.text
    assert "The file of picture" not in client.get(f"/pictures/{kept}").text


def test_captions_that_fit_and_that_do_not(client: TestClient, ids: dict[str, int]) -> None:
    answer = client.get(f"/v1/pictures/{ids['white']}/captions", params={"n": 2}).json()
    assert answer["best"][0]["caption"] == "A wall painted white"
    assert answer["worst"][0]["caption"] == "A wall painted black"
    assert answer["best"][0]["picture_id"] == ids["white"]


def test_every_parameter_is_described(client: TestClient) -> None:
    described = client.get("/openapi.json").json()["paths"]
    parameters = [
        (method, path, parameter["name"], parameter.get("description"))
        for path, methods in described.items()
        for method, operation in methods.items()
        for parameter in operation.get("parameters", ())
    ]
    assert len(parameters) > 20
    assert [known for *known, said in parameters if not said] == []


def test_the_map_places_every_picture(client: TestClient, ids: dict[str, int]) -> None:
    answer = client.get("/v1/map").json()
    assert answer["total"] == 8
    assert {point["id"] for point in answer["points"]} == set(ids.values())
    assert 0.5 < answer["explained"] <= 1
    place = {point["id"]: np.array([point["x"], point["y"]]) for point in answer["points"]}
    assert max(np.abs(point).max() for point in place.values()) == pytest.approx(1)

    def apart(a: str, b: str) -> float:
        return float(np.linalg.norm(place[ids[a]] - place[ids[b]]))

    assert apart("white", "pink") < apart("white", "black")


def test_judgements_are_kept_and_taken_back(client: TestClient, ids: dict[str, int]) -> None:
    def put(relevant: bool | None) -> Any:
        body = {"query": "red", "picture_id": ids["red"], "relevant": relevant}
        return client.put("/v1/judgements", json=body).json()["judgements"]

    assert put(True) == {str(ids["red"]): True}
    assert put(False) == {str(ids["red"]): False}
    assert put(None) == {}
    missing = {"query": "red", "picture_id": 4711, "relevant": True}
    assert client.put("/v1/judgements", json=missing).status_code == 404


def test_a_whole_number_may_have_a_point(client: TestClient, ids: dict[str, int]) -> None:
    body = {"query": "red", "picture_id": float(ids["red"]), "relevant": True}
    assert client.put("/v1/judgements", json=body).status_code == 200
    half = body | {"picture_id": ids["red"] + 0.5}
    assert client.put("/v1/judgements", json=half).status_code == 422


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/search", "GET, HEAD, POST"),
        ("/v1/judgements", "GET, HEAD, PUT"),
        ("/docs", "GET, HEAD"),
    ],
)
def test_a_method_that_a_path_has_not_is_refused_with_all_that_it_has(
    client: TestClient, path: str, methods: str
) -> None:
    for method in ("OPTIONS", "DELETE"):
        answer = client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods)


def test_a_query_set_from_creation_to_measures(client: TestClient, ids: dict[str, int]) -> None:
    created = client.post("/v1/query-sets", json={"name": "walls", "queries": ["red", "blue"]})
    assert created.status_code == 201
    assert (
        client.post("/v1/query-sets", json={"name": "walls", "queries": ["red"]}).status_code == 409
    )
    assert client.get("/v1/query-sets").json() == [{"name": "walls", "queries": ["red", "blue"]}]
    address = "/v1/evaluation?query_set=walls&model=colours&model=hues"
    assert client.get(address).status_code == 409
    for query in ("red", "blue"):
        body = {"query": query, "picture_id": ids[query], "relevant": True}
        client.put("/v1/judgements", json=body)
    scores = client.get(address).json()["models"]
    assert scores["colours"] == scores["hues"]
    overall = scores["colours"]["overall"]
    assert list(overall) == ["P@1", "P@3", "P@5", "nDCG@5", "MRR"]
    assert overall["P@1"]["value"] == overall["nDCG@5"]["value"] == 1
    assert overall["P@5"]["value"] == pytest.approx(0.2)
    assert overall["P@1"]["low"] < 1 == overall["P@1"]["high"]
    assert client.get("/v1/evaluation?query_set=none").status_code == 404
    too_many = {"name": "many", "queries": [f"query {n}" for n in range(201)]}
    assert client.post("/v1/query-sets", json=too_many).status_code == 413


def test_embeddings_in_the_shape_of_openai(client: TestClient, colours: ColourEncoder) -> None:
    texts = ["red", "something blue"]
    plain = client.post("/v1/embeddings", json={"input": texts, "user": "x"}).json()
    assert (plain["object"], plain["model"]) == ("list", "colours")
    assert [entry["index"] for entry in plain["data"]] == [0, 1]
    expected = colours.encode_texts(texts)
    np.testing.assert_allclose([entry["embedding"] for entry in plain["data"]], expected)
    packed = client.post("/v1/embeddings", json={"input": texts, "encoding_format": "base64"})
    decoded = [
        np.frombuffer(base64.b64decode(entry["embedding"]), "<f4")
        for entry in packed.json()["data"]
    ]
    np.testing.assert_array_equal(decoded, expected)
    one = client.post("/v1/embeddings", json={"input": "red"}).json()
    np.testing.assert_allclose(one["data"][0]["embedding"], expected[0])


@pytest.mark.parametrize(
    "body",
    [
        {"input": [{"text": "red"}]},
        {"input": {"text": "red"}, "embedding_type": "float", "normalized": True},
        {"messages": [{"role": "user", "content": "red"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "red"}]}]},
    ],
)
def test_a_text_in_the_shape_of_other_clients(client: TestClient, body: dict[str, Any]) -> None:
    right = client.post("/v1/embeddings", json={"input": "red"}).json()
    answer = client.post("/v1/embeddings", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == right


def test_a_picture_in_a_message(client: TestClient) -> None:
    url = data_url((220, 30, 30))
    right = client.post("/v1/embeddings", json={"input": [{"image": url}]}).json()
    part = {"type": "image_url", "image_url": {"url": url}}
    body = {"messages": [{"role": "user", "content": [part]}], "embedding_type": "base64"}
    answer = client.post("/v1/embeddings", json=body).json()
    packed = base64.b64decode(answer["data"][0]["embedding"])
    np.testing.assert_allclose(np.frombuffer(packed, "<f4"), right["data"][0]["embedding"])


def test_texts_and_pictures_are_embedded_in_their_order(
    client: TestClient, colours: ColourEncoder
) -> None:
    picture = {"image": data_url((220, 30, 30))}
    answer = client.post("/v1/embeddings", json={"input": ["blue", picture, "red"]}).json()
    rows = np.array([entry["embedding"] for entry in answer["data"]])
    np.testing.assert_allclose(rows[[0, 2]], colours.encode_texts(["blue", "red"]))
    assert rows[1] @ rows[2] > 0.999 > rows[1] @ rows[0]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"input": []}, 422),
        ({"input": ""}, 422),
        ({"input": [1, 2]}, 422),
        ({"input": "red", "model": "none"}, 404),
        ({"input": ["red"] * 1001}, 413),
        ({"input": [{"image": "data:image/png;base64,AAAA"}] * 33}, 413),
        ({"input": {"image": "data:image/png;base64,AAAA"}}, 422),
        ({"input": {"image": "data:image/png;base64,%%%%"}}, 422),
        ({"input": {"image": "file:///etc/passwd"}}, 422),
        ({"input": {"image": "http://169.254.169.254/"}}, 422),
        ({"input": "r" * 8001}, 422),
        ({}, 422),
    ],
)
def test_input_that_cannot_be_embedded_is_refused(
    client: TestClient, body: dict[str, Any], status: int
) -> None:
    response = client.post("/v1/embeddings", json=body)
    assert response.status_code == status
    assert "passwd" not in response.text
    assert response.json()["error"]["message"]


def test_metrics_count_by_route_not_by_address(client: TestClient, ids: dict[str, int]) -> None:
    for colour in ("red", "blue"):
        client.get(f"/v1/pictures/{ids[colour]}")
    client.get("/nowhere/at/all")
    client.get("/v1/search?q=red")
    text = client.get("/metrics").text
    assert 'pareja_requests_total{method="GET",route="/v1/pictures/{id}",status="200"} 2\n' in text
    assert 'route="other",status="404"} 1\n' in text
    assert "pareja_pictures 8\n" in text
    assert "pareja_encoder_items_total 1\n" in text
    assert 'pareja_request_seconds_bucket{le="+Inf"} 4\n' in text
    assert "pareja_request_seconds_count 4\n" in text
    assert client.get("/healthz").json() == {"status": "ok"}


def test_the_embeddings_of_langchain_work(address: str, colours: ColourEncoder) -> None:
    langchain_openai = pytest.importorskip("langchain_openai")
    client = langchain_openai.OpenAIEmbeddings(
        model="hues",
        base_url=f"{address}/v1",
        api_key="any",
        max_retries=0,
        check_embedding_ctx_length=False,
    )
    np.testing.assert_allclose(client.embed_query("red"), colours.encode_texts("red"))
    rows = client.embed_documents(["red", "blue"])
    np.testing.assert_allclose(rows, colours.encode_texts(["red", "blue"]))


def test_the_client_of_openai_works(address: str, colours: ColourEncoder) -> None:
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
    assert [model.id for model in client.models.list()] == ["colours", "hues"]
    assert client.models.retrieve("hues").id == "hues"
    with pytest.raises(openai.NotFoundError) as unknown:
        client.models.retrieve("owner/none")
    assert (unknown.value.param, unknown.value.code) == ("model", "unknown_model")
    answer = client.embeddings.create(model="hues", input=["red", "blue"])
    np.testing.assert_allclose(
        [row.embedding for row in answer.data], colours.encode_texts(["red", "blue"])
    )
    cut = client.embeddings.create(model="hues", input="red", dimensions=4)
    assert len(cut.data[0].embedding) == 4
    with pytest.raises(openai.BadRequestError, match="dimensions can only be 4"):
        client.embeddings.create(model="hues", input="red", dimensions=2)
    with pytest.raises(openai.UnprocessableEntityError, match="token ids"):
        client.embeddings.create(model="hues", input=[15496, 995])


def test_the_client_of_openai_gets_as_many_dimensions_as_a_model_was_trained_for(
    address: str, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(colours), "dims", (3, 2), raising=False)
    client = openai.OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0)
    for encoding in ("float", "base64"):
        answer = client.embeddings.create(
            model="hues", input=["red", "blue"], dimensions=2, encoding_format=encoding
        )
        whole = colours.encode_texts(["red", "blue"])[:, :2]
        rows = whole / np.linalg.norm(whole, axis=1, keepdims=True)
        found = np.array(
            [
                np.frombuffer(base64.b64decode(row.embedding), "<f4")
                if isinstance(row.embedding, str)
                else row.embedding
                for row in answer.data
            ]
        )
        np.testing.assert_allclose(found, rows, atol=1e-6)
    with pytest.raises(openai.BadRequestError, match="must be one of 4, 3, 2 with hues"):
        client.embeddings.create(model="hues", input="red", dimensions=1)


def test_near_duplicates_are_folded_on_demand_and_on_pages(
    client: TestClient, collection: Collection, colours: ColourEncoder, tmp_path: Path
) -> None:
    folder = tmp_path / "copies"
    folder.mkdir()
    blocks = np.random.default_rng(0).integers(0, 120, (8, 8, 3), dtype=np.uint8)
    blocks[..., 0] += 130
    scene = Image.fromarray(blocks).resize((96, 96), Image.Resampling.BICUBIC)
    for side in (96, 80, 64):
        scene.resize((side, side)).save(folder / f"{side}.png")
    collection.index(folder, colours, remove_missing=False)
    every = client.get("/v1/search", params={"q": "red", "k": 20}).json()["hits"]
    folded = client.get("/v1/search", params={"q": "red", "k": 20, "fold": True}).json()["hits"]
    assert (
        client.post("/v1/search", json={"text": "red", "k": 20, "fold": True}).json()["hits"]
        == folded
    )
    assert not any(hit["near_duplicates"] for hit in every)
    assert len(folded) == len(every) - 2
    inside = [other["id"] for hit in folded for other in hit["near_duplicates"]]
    assert {hit["id"] for hit in every} == {hit["id"] for hit in folded} | set(inside)
    for asked in ({"q": "red", "k": "20"}, {}):
        page = client.get("/", params=asked).text
        assert "2 near duplicates" in page
        assert page.count("data-card") == len(folded)
        assert all(f'/pictures/{picture}"' in page for picture in inside)
        apart = client.get("/", params=asked | {"fold": "false"}).text
        assert "2 near duplicates" not in apart
        assert apart.count("data-card") == len(every)


def test_words_are_looked_up_in_captions_and_names_on_demand(client: TestClient) -> None:
    asked: dict[str, str | int | bool] = {"q": "red painted pink", "k": 8, "hybrid": True}
    answer = client.get("/v1/search", params=asked).json()
    body = {"text": asked["q"], "k": 8, "hybrid": True}
    assert client.post("/v1/search", json=body).json()["hits"] == answer["hits"]
    assert answer["looked_up"] == {"words": ["red", "pink"], "left_out": ["painted"]}
    why = {Path(hit["path"]).stem: hit["why"] for hit in answer["hits"]}
    assert why["red"]["words"] == ["red"]
    assert why["red"]["rank_by_words"] in {1, 2}
    assert why["blue"] == {"words": [], "rank_by_words": None, "rank_by_vectors": 7}
    plain = client.get("/v1/search", params={"q": "red"}).json()
    assert plain["looked_up"] is None
    assert plain["hits"][0]["why"] is None
    page = client.get("/", params={"q": "red painted", "hybrid": "true", "k": 5}).text
    assert "hybrid=True" in re.findall(r"href=\"(.*page=2)\"", page)[0]
    assert "written: red" in page
    assert "Not looked for, because they are too common: painted" in page
    assert 'name="hybrid" value="true" checked' in page
    refused = client.get("/v1/search", params={"like": 1, "hybrid": True})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "query_hybrid_words")
    # On the page the box may stay checked while there are no words.
    assert client.get("/", params={"like": 1, "hybrid": "true"}).status_code == 200
