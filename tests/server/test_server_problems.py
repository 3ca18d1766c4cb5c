"""What is wrong, said to people in the language of the page and to programs in English."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from tests.server.pictures import index_wall, png
from tests.server.test_server_hostile import enormous_png

from pareja.encoders.protocols import Encoder
from pareja.errors import ModelUnavailableError
from pareja.search import Collection
from pareja.server import Limits, create_app
from pareja.server.problems import unknown_field

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder
    from tests.server.conftest import LoadBy

ADDRESS = "http://127.0.0.1:8420"
SPANISH = {"accept": "text/html", "accept-language": "es"}
QUOTED = '<span lang="en">'


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/nowhere", 404, "Esa página no existe."),
        ("/judgements", 405, "Esa página no existe."),
        ("/?k=0", 422, "«k» debe ser 1 o más."),
        ("/?k=201", 422, "«k» debe ser 200 o menos."),
        ("/?k=many", 422, "«k» no admite ese valor."),
        ("/?k=", 422, "«k» no admite ese valor."),
        ("/?page=0", 422, "«page» debe ser 1 o más."),
        ("/?like=999", 404, "La imagen 999 no está en esta colección."),
        ("/?like=0", 422, "«like» debe ser 1 o más."),
        ("/?q=" + "r" * 1001, 422, "«q» es demasiado largo: como máximo 1000 caracteres."),
        ("/?q=red::x", 422, "El peso de «red» es «x» y debe ser un número distinto de 0"),
        ("/?q=red::-1", 422, "La búsqueda solo se aleja de «red»."),
        ("/?q=::2 red", 422, "No hay palabras delante de «::2»."),
        ("/?q=red&minus=sea::-1", 422, "El peso de «sea» es -1, y «pero sin» ya se resta."),
        ("/?q=red&model=clip", 404, "Aquí no hay ninguna imagen indexada con «clip»"),
        ("/?q=red&category=purple", 422, "la categoría «purple». Hay: bright, dark."),
        ("/?shows=walls", 422, "«walls» no es una etiqueta de un clasificador."),
        ("/?shows=walls/red", 404, "Aquí no hay ningún clasificador «walls»."),
        ("/?" + "shows=a/b&" * 101, 422, "«shows» se repite demasiadas veces: como máximo, 100."),
        ("/?at_least=1.5", 422, "«at_least» debe ser 1 o menos."),
        ("/?at_least=nan", 422, "«at_least» debe ser 1 o menos."),
        ("/?image=gone", 404, "Esa imagen ya no se conserva aquí."),
        ("/pictures/999", 404, "La imagen 999 no está en esta colección."),
        ("/pictures/red", 422, "«id» no admite ese valor."),
        ("/uploads/gone", 404, "Esa imagen ya no se conserva aquí."),
        ("/map?model=clip", 404, "Aquí no hay ninguna imagen indexada con «clip»"),
        ("/side-by-side?k=51", 422, "«k» debe ser 50 o menos."),
        ("/evaluation?set=none", 404, "No hay ningún conjunto «none»."),
        ("/evaluation?model=clip", 404, "Aquí no hay ninguna imagen indexada con «clip»"),
        ("/evaluation/judge", 422, "Falta «set»."),
        ("/evaluation/judge?set=none", 404, "No hay ningún conjunto «none»."),
        ("/classify?picture=999", 404, "La imagen 999 no está en esta colección."),
        ("/classify?multi_label=perhaps", 422, "«multi_label» no admite ese valor."),
        ("/classify?picture=1&labels=red,Red", 422, "La etiqueta «red» se repite."),
        ("/classify?picture=1&labels=a,b&template=none", 422, "«none» no es un conjunto de frases"),
        ("/classify?picture=1&labels=" + ",".join(map(str, range(101))), 413, "101 etiquetas"),
        ("/compare-models?truth=path", 422, "«truth» no admite ese valor."),
        ("/review?threshold=2", 422, "«threshold» debe ser 1 o menos."),
        ("/review?model=clip", 404, "Aquí no hay ninguna imagen indexada con «clip»"),
    ],
)
def test_a_link_that_leads_nowhere_says_so_in_the_language_of_the_page(
    client: TestClient, path: str, status: int, said: str
) -> None:
    page = client.get(path, headers=SPANISH)
    text = html.unescape(page.text)
    assert (page.status_code, said in text) == (status, True), text
    assert '<html lang="es"' in text
    assert QUOTED not in text
    part = client.get(path, headers={**SPANISH, "hx-request": "true"})
    assert said in html.unescape(part.text)
    assert (part.status_code, part.headers["hx-retarget"]) == (status, "#alert")


@pytest.mark.parametrize(
    ("path", "sent", "status", "said"),
    [
        ("/judgements", {"data": {"query": "red", "relevant": "yes"}}, 422, "Falta «picture_id»."),
        (
            "/judgements",
            {"data": {"query": " ", "picture_id": "1", "relevant": "yes"}},
            422,
            "No hay nada que buscar.",
        ),
        ("/preferences", {"data": {"lang": "fr"}}, 422, "«lang» no admite ese valor."),
        ("/query-sets", {"data": {"name": "Walls", "queries": ""}}, 422, "Falta «queries»."),
        ("/query-sets", {"data": {"name": " ", "queries": "red"}}, 422, "necesita un nombre"),
        ("/query-sets", {"data": {"name": "Walls", "queries": "\n"}}, 422, "una consulta"),
        (
            "/query-sets",
            {"data": {"name": "Walls", "queries": "a  red wall\na red wall"}},
            422,
            "La consulta «a red wall» se repite",
        ),
        (
            "/query-sets",
            {"data": {"name": "Walls", "queries": "r" * 1001}},
            422,
            "«queries» es demasiado largo: como máximo 1000 caracteres.",
        ),
        ("/search-by-picture", {}, 422, "Falta «picture»."),
        (
            "/search-by-picture",
            {"files": {"picture": ("notes.txt", b"not a picture")}},
            422,
            "«notes.txt» no es una imagen que se pueda leer",
        ),
        (
            "/search-by-picture",
            {"files": {"picture": ("huge.png", enormous_png(32_000, 32_000))}},
            413,
            "«huge.png» tiene 32000 × 32000 píxeles, y el límite es de 60 MP.",
        ),
        (
            "/classify-picture",
            {"files": {"picture": ("a.png", png((1, 2, 3)))}, "data": {"labels": "r" * 10_001}},
            422,
            "«labels» es demasiado largo: como máximo 10000 caracteres.",
        ),
    ],
)
def test_a_form_that_cannot_be_taken_says_so_in_the_language_of_the_page(
    client: TestClient, path: str, sent: dict[str, Any], status: int, said: str
) -> None:
    page = client.post(path, headers=SPANISH, **sent)
    text = html.unescape(page.text)
    assert (page.status_code, said in text) == (status, True), text
    assert QUOTED not in text


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_that_is_too_large_gets_a_page(
    make_app: Callable[..., FastAPI], announced: bool
) -> None:
    client = TestClient(make_app(limits=Limits(body_bytes=2**20)), base_url=ADDRESS)
    head = '--x\r\nContent-Disposition: form-data; name="picture"; filename="a.jpg"\r\n\r\n'
    body = head.encode() + b"a" * 2**21
    content = body if announced else iter([body])
    kind = {"content-type": "multipart/form-data; boundary=x"}
    page = client.post("/search-by-picture", content=content, headers={**SPANISH, **kind})
    assert (page.status_code, page.headers["connection"]) == (413, "close")
    assert "Lo que se envió ocupa más de 1 MiB." in page.text


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/search?q=red&k=0", "k: Input should be greater than or equal to 1"),
        ("/v1/search?q=red&category=purple", "There are: bright, dark."),
        ("/v1/search?like=999", "There is no picture 999"),
        ("/v1/search", "Nothing is looked for."),
        ("/v1/nowhere", "Not Found"),
    ],
)
def test_programs_are_told_in_english(client: TestClient, path: str, said: str) -> None:
    answer = client.get(path, headers=SPANISH)
    assert said in answer.json()["error"]["message"]


def test_of_several_kinds_the_one_that_was_meant_is_told(client: TestClient) -> None:
    answer = client.post("/v1/embeddings", json={"input": ["red", "x" * 8_001]})
    assert answer.status_code == 422
    message = answer.json()["error"]["message"]
    assert "input[1]: " in message
    assert "at most 8000 characters" in message


def test_a_body_that_is_no_json_is_told_with_its_place(client: TestClient) -> None:
    kind = {"content-type": "application/json"}
    answer = client.post("/v1/embeddings", content=b'{"input": "red', headers=kind)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, None, "json")
    assert error["message"] == (
        "The body is no valid JSON from character 10 on: Unterminated string starting at."
    )


def test_what_only_the_servers_owner_can_mend_is_quoted(
    collection: Collection, colours: ColourEncoder, load_by: LoadBy
) -> None:
    def load(name: str) -> Encoder:
        if name == "hues":
            raise ModelUnavailableError("hues is not on this machine; <b>fetch</b> it")
        return replace(colours, name=name)

    load_by(load)
    client = TestClient(create_app(collection), base_url=ADDRESS)
    quoted = f"{QUOTED}hues is not on this machine; &lt;b&gt;fetch&lt;/b&gt; it</span>"
    for path, status in (
        ("/?q=red&model=hues", 503),
        ("/side-by-side?q=red", 200),
        ("/compare-models", 200),
    ):
        page = client.get(path, headers=SPANISH)
        assert (page.status_code, quoted in page.text) == (status, True), page.text
        assert "Este servidor no puede hacer eso tal como está configurado" in page.text
    answer = client.get("/v1/search?q=red&model=hues", headers=SPANISH)
    assert answer.json()["error"] == {
        "message": "hues is not on this machine; <b>fetch</b> it",
        "type": "server_error",
        "param": None,
        "code": "setup",
    }
    # The others answer without it.
    for path in ("/classify", "/evaluation", "/review"):
        assert client.get(path, headers=SPANISH).status_code == 200


def test_a_form_that_cannot_be_read_at_all(client: TestClient) -> None:
    kind = {"content-type": "multipart/form-data"}
    page = client.post("/search-by-picture", content=b"nothing", headers={**SPANISH, **kind})
    assert page.status_code == 400
    assert "No se ha podido leer lo que se ha enviado:" in page.text
    assert QUOTED in page.text


def test_where_nothing_can_be_kept_nothing_is_asked_for(
    collection: Collection, colours: ColourEncoder, load_by: LoadBy
) -> None:
    with Collection.open(collection.path, read_only=True) as sealed:
        load_by(lambda _: colours)
        client = TestClient(create_app(sealed), base_url=ADDRESS)
        assert "/judgements" not in client.get("/?q=red").text
        page = client.get("/evaluation", headers=SPANISH)
        assert ("/query-sets" in page.text, "solo lectura" in page.text) == (False, True)
        form = {"query": "red", "picture_id": "1", "relevant": "yes"}
        page = client.post("/judgements", data=form, headers=SPANISH)
        assert (page.status_code, "solo lectura" in page.text) == (403, True)
        body = {"query": "red", "picture_id": 1, "relevant": True}
        answer = client.put("/v1/judgements", json=body)
    assert (answer.status_code, "only be read" in answer.text) == (403, True)
    assert str(collection.path) not in answer.text


def test_a_picture_that_an_encoder_has_not_seen_is_no_start(
    client: TestClient, collection: Collection, colours: ColourEncoder, tmp_path: Path
) -> None:
    new = index_wall(collection, colours, tmp_path / "more", (30, 60, 210), "A blue wall")
    for path in (f"/?like={new}&model=hues", f"/pictures/{new}?model=hues"):
        page = client.get(path, headers=SPANISH)
        assert page.status_code == 404
        assert f"La imagen {new} no está indexada con «hues»." in page.text
    assert client.get(f"/?like={new}", headers=SPANISH).status_code == 200


def test_long_lists_of_names_are_cut() -> None:
    assert unknown_field("q", map(str, range(22))).detail.endswith(" 18, 19 … (+2).")
