"""What requests say and nobody would read, and what is no text though it is written as one."""

from __future__ import annotations

import base64
import io
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from pareja.data_urls import is_data_url


def _png() -> str:
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 30, 40)).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


PNG = _png()
URL = "data:image/png;base64," + PNG


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/search?q=red&kategory=bright", "no field kategory here. Did you mean category?"),
        ("/v1/pictures?ofset=3", "Did you mean offset?"),
        ("/v1/models?zzz=1", "no field zzz here"),
        ("/v1/models/", "model"),
        ("/v1/query-sets?naem=x", "no field naem here"),
    ],
)
def test_the_api_refuses_a_parameter_that_it_does_not_read(
    client: TestClient, path: str, said: str
) -> None:
    answer = client.get(path)
    assert answer.status_code == 422
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("body", "param", "code", "message"),
    [
        ({"input": [""]}, "input[0]", "missing", "input[0]: String should have at least"),
        ({"input": [["red"]]}, "input[0]", "invalid", "input[0]: Input should be"),
        ({"input": "red", "dimensions": 2}, "dimensions", "dimensions", "can only be 4"),
        ({"input": "red", "dimensions": "x"}, "dimensions", "invalid", "valid integer"),
        ({"input": "red", "model": "none"}, "model", "unknown_model", "colours"),
        ({"input": "red", "colour": 1}, "colour", "unknown_field", "no field colour"),
        ({"input": [1, 2]}, "input", "tokens", "token ids"),
        ({"input": {"image": "https://example.com/a.png"}}, None, "no_image", "not visited"),
    ],
)
def test_an_error_has_the_fields_of_openai(
    client: TestClient, body: dict[str, object], param: str | None, code: str, message: str
) -> None:
    answer = client.post("/v1/embeddings", json=body)
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["param"], error["code"]) == (param, code)
    assert error["type"] == "invalid_request_error"
    assert message in error["message"]
    assert "[union" not in error["message"]


@pytest.mark.parametrize("path", ["/", "/map", "/classify", "/evaluation"])
def test_pages_take_what_links_get_on_their_way(client: TestClient, path: str) -> None:
    added = {"utm_source": "mail", "fbclid": "x", "gclid": "y", "org.htmx.cache-buster": "results"}
    answer = client.get(path, params=added)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/?q=red&kategory=bright", "Did you mean category?"),
        ("/?query=red", "no field query here"),
        ("/map?modle=hues", "Did you mean model?"),
        ("/side-by-side?q=red&kk=3", "Did you mean k?"),
        ("/healthz?deep=1", "no field deep here"),
    ],
)
@pytest.mark.parametrize("partial", [False, True])
def test_pages_refuse_a_parameter_that_they_do_not_read(
    client: TestClient, path: str, said: str, partial: bool
) -> None:
    headers = {"accept": "text/html", **({"hx-request": "true"} if partial else {})}
    answer = client.get(path, headers=headers)
    assert answer.status_code == 422
    assert said in answer.text


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/v1/search", {"text": "red", "kategory": "x"}, "Did you mean category?"),
        ("/v1/embeddings", {"input": "red", "modle": "x"}, "Did you mean model?"),
        ("/v1/embeddings", {"input": [{"imgae": URL}]}, "Did you mean image?"),
        ("/v1/embeddings", {"input": "red", "modality": "image"}, "no image"),
        ("/v1/embeddings", {"input": [15496, 995]}, "token ids"),
        ("/v1/embeddings", {"input": [[15496], [995]]}, "check_embedding_ctx_length=False"),
        ("/v1/embeddings", {"input": "red", "normalized": False}, "length 1"),
        ("/v1/embeddings", {"input": "red", "messages": []}, "input and messages"),
        ("/v1/embeddings", {"messages": []}, "one text or one picture"),
        (
            "/v1/embeddings",
            {"messages": [{"role": "user", "content": t} for t in ("red", "blue")]},
            "one text or one picture",
        ),
        (
            "/v1/embeddings",
            {"input": "red", "encoding_format": "float", "embedding_type": "base64"},
            "differ",
        ),
        ("/v1/search", {"text": "data:image/png;base64,AA"}, "data URL where words belong"),
        ("/v1/embeddings", {"input": "data:text/plain;base64,AAAA"}, "not of a picture"),
    ],
)
def test_the_api_refuses_what_would_change_nothing(
    client: TestClient, path: str, body: dict[str, object], said: str
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 422
    assert said in answer.json()["error"]["message"]


def test_a_body_without_its_header_says_so(client: TestClient) -> None:
    answer = client.post("/v1/search", content=b'{"text": "red"}')
    assert answer.status_code == 415
    assert "Content-Type: application/json" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "item",
    [
        {"image": "data:image/png;base64," + "\n".join(PNG[i : i + 76] for i in range(0, 999, 76))},
        {"image": URL.rstrip("=")},
        {"image": "data:image/png;base64," + quote(PNG, safe="")},
        {"image": "data:application/octet-stream;base64," + PNG},
        {"image": 'data:image/png;name="a,b;c.png";base64,' + PNG},
        {"image": "data:;base64," + PNG},
        {"image": URL.replace("+", "-").replace("/", "_").replace("image_png", "image/png")},
        {"image": "data:image/png," + quote(base64.b64decode(PNG))},
        URL,
        {"image": PNG},
        {"image": PNG.rstrip("=")},
    ],
)
def test_every_form_of_data_url_is_the_same_picture(
    client: TestClient, item: dict[str, str] | str
) -> None:
    right = client.post("/v1/embeddings", json={"input": [{"image": URL}]}).json()["data"]
    answer = client.post("/v1/embeddings", json={"input": [item]})
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == right
    if isinstance(item, str):
        assert client.post("/v1/embeddings", json={"input": item}).json()["data"] == right


def test_words_that_begin_like_a_data_url_are_words() -> None:
    assert not is_data_url("data: the new oil, explained")
    assert not is_data_url("data,data")
    assert is_data_url(' DATA:image/svg+xml;charset="utf-8",<svg/>')
