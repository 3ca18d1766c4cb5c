from __future__ import annotations

import io
import re
from collections.abc import Callable
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image
from tests.server.pictures import png

from pareja.errors import PictureLoss, QueryMistake
from pareja.search import Collection
from pareja.search.judging import BundledQuery
from pareja.server import create_app
from pareja.words.pages import LANGS, page_words
from pareja.words.wording import load_words

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

HTMX = {"hx-request": "true"}
PAGES = (
    "/",
    "/?q=red",
    "/?category=dark",
    "/pictures/1",
    "/pictures/1/captions",
    "/map",
    "/side-by-side",
    "/side-by-side?q=red",
    "/evaluation",
    "/classify",
    "/classify?picture=1&labels=red,blue",
    "/compare-models",
    "/review",
    "/review?threshold=0",
    "/docs",
    "/nowhere",
)


class Outline(HTMLParser):
    """What a page is made of, as far as the tests ask."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str, attribute: str) -> list[str]:
        return [a[attribute] or "" for t, a in self.tags if t == tag and attribute in a]


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", text))


def test_both_languages_say_the_same_things() -> None:
    english, spanish = (page_words(lang) for lang in LANGS)
    assert english.keys() == spanish.keys()
    for key, text in english.items():
        assert placeholders(text) == placeholders(spanish[key]), key
    same = {key for key, text in english.items() if text == spanish[key]}
    assert same <= {"evaluation.judged"}


def test_every_wording_is_used_and_every_one_that_is_used_is_there() -> None:
    server = resources.files("pareja.server")
    files = [*server.iterdir(), *server.joinpath("templates").iterdir()]
    # A part of a key is also how an answer says where its numbers come from.
    files.append(resources.files("pareja.classifiers").joinpath("answers.py"))
    source = "\n".join(file.read_text("utf-8") for file in files if file.is_file())
    # A key stands in quotes, or is put together from a part before it and the rest of it.
    quoted = set(re.findall(r"""["']([\w.]+)(?=["'{])""", source))
    mistakes = {f"query_{kind}" for kind in get_args(QueryMistake)}
    mistakes |= {f"file_{loss}" for loss in get_args(PictureLoss)}
    quoted |= mistakes
    starts = {part for part in quoted if part.endswith((".", "_"))}
    unused = {
        key
        for key in page_words("en")
        if key not in quoted
        and not any(key.startswith(s) and key.removeprefix(s) in quoted for s in starts)
    }
    assert unused == set()
    asked = set(re.findall(r"""\bt\(["']([\w.]+\w)["'][,)]""", source))
    asked |= {f"error.{key}" for key in re.findall(r"""Problem\(\d+, "(\w+)\"""", source)}
    asked |= {f"error.{key}" for key in mistakes}
    assert len(asked) > 150
    assert asked <= page_words("en").keys() | load_words("en").keys()


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("lang", LANGS)
def test_every_page_speaks_and_fetches_nothing_from_elsewhere(
    client: TestClient, path: str, lang: str
) -> None:
    page = client.get(path, headers={"accept-language": lang, "accept": "text/html"})
    assert page.status_code == (404 if path == "/nowhere" else 200)
    outline = Outline(page.text)
    assert outline.all("html", "lang") == [lang]
    assert page.headers["content-language"] == lang
    fetched = [
        *outline.all("script", "src"),
        *outline.all("link", "href"),
        *outline.all("img", "src"),
        *outline.all("image", "href"),
        *outline.all("form", "action"),
    ]
    assert fetched
    assert all(re.match(r"/(?!/)", address) for address in fetched)
    # What the policy forbids would be dead on the page.
    assert not [a for _, a in outline.tags for name in a if name == "style" or name[:2] == "on"]
    assert "<script>" not in page.text
    assert page.headers["cache-control"] == "no-store"
    ids = [a["id"] for _, a in outline.tags if "id" in a]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("header", "lang"),
    [
        ("es-CO,es;q=0.9,en;q=0.8", "es"),
        ("fr,de", "en"),
        ("de;q=0.9, es;q=0.2, en;q=0.1", "es"),
        ("en;q=0", "en"),
        ("es;q=nonsense", "en"),
        ("", "en"),
    ],
)
def test_the_browser_chooses_the_language(client: TestClient, header: str, lang: str) -> None:
    page = client.get("/", headers={"accept-language": header})
    assert page.headers["content-language"] == lang


def test_a_choice_of_language_and_colours_stays(client: TestClient) -> None:
    chosen = client.post(
        "/preferences", data={"lang": "es", "theme": "dark", "next": "/map?model=hues"}
    )
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/map?model=hues")
    page = client.get("/", headers={"accept-language": "en"})
    assert '<html lang="es" data-theme="dark">' in page.text
    assert client.post("/preferences", data={"lang": "fr"}).status_code == 422
    client.cookies.clear()
    client.cookies.set("pareja_theme", '"><script>')
    assert 'data-theme="auto"' in client.get("/").text


def test_the_servers_language_is_for_who_asks_for_neither(
    make_app: Callable[..., FastAPI],
) -> None:
    client = TestClient(make_app(lang="es"), base_url="http://localhost:8420")
    assert client.get("/").headers["content-language"] == "es"
    asked = client.get("/", headers={"accept-language": "en"})
    assert asked.headers["content-language"] == "en"


def shown(html: str) -> list[int]:
    return [int(n) for n in re.findall(r'class="shot" href="/pictures/(\d+)"', html)]


def test_search_works_without_javascript(client: TestClient, ids: dict[str, int]) -> None:
    page = client.get("/?q=blue&minus=&category=&k=5").text
    assert shown(page)[0] == ids["blue"]
    assert len(shown(page)) == 5
    assert 'value="blue"' in page
    assert "A wall painted blue" in page
    assert "CC0-1.0" in page
    without = client.get("/?q=blue&minus=blue+green&k=5").text
    assert shown(without)[0] != ids["green"]
    assert shown(client.get("/?q=blue&category=bright").text)[0] != ids["blue"]


def test_a_part_of_a_page_comes_with_the_address_that_shows_it(client: TestClient) -> None:
    typed = client.get("/?q=red&minus=&k=10", headers={**HTMX, "hx-trigger": "q"})
    assert typed.headers["hx-replace-url"] == "/?q=red"
    assert "<html" not in typed.text
    assert shown(typed.text)
    chosen = client.get("/?q=red&category=dark&k=5", headers=HTMX)
    assert chosen.headers["hx-push-url"] == "/?q=red&category=dark&k=5"
    failed = client.get("/?q=red&category=purple", headers=HTMX)
    assert (failed.status_code, failed.headers["hx-retarget"]) == (422, "#alert")


def test_leafing_through_shows_every_picture_once(
    client: TestClient, ids: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareja.server.listing._BROWSED", 3)
    pages = [client.get(f"/?page={n}").text for n in (1, 2, 3, 4)]
    assert sorted(n for page in pages for n in shown(page)) == sorted(ids.values())
    assert ['rel="next"' in page for page in pages] == [True, True, False, False]
    assert ['rel="prev"' in page for page in pages] == [False, True, True, True]


def test_words_from_outside_stay_words(
    client: TestClient,
    collection: Collection,
    colours: ColourEncoder,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    Image.new("RGB", (20, 20), (90, 90, 90)).save(folder / "a.png")
    (folder / "metadata.csv").write_text(
        "file_name,caption,category,source_url\n"
        'a.png,<img src=x onerror=alert(1)>,"{{ 7*7 }}<b>",javascript:alert(1)\n'
    )
    collection.index([folder], colours)
    attack = '"><script>alert(1)</script>'
    for path in (f"/?q={attack}", f"/side-by-side?q={attack}", "/", "/map", "/pictures/9"):
        text = client.get(path).text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "javascript:" not in text
    assert "&lt;img src=x" in client.get("/pictures/9").text


def test_a_judgement_without_javascript_returns_to_the_page(
    client: TestClient, collection: Collection, ids: dict[str, int]
) -> None:
    form = {"query": "red", "picture_id": ids["red"], "relevant": "yes", "next": "/?q=red"}
    answer = client.post("/judgements", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?q=red")
    assert collection.judgements("red") == {ids["red"]: True}
    page = client.get("/?q=red").text
    assert page.count('aria-pressed="true"') == 1
    again = client.post("/judgements", data={**form, "relevant": "none"}, headers=HTMX)
    assert 'aria-pressed="true"' not in again.text
    assert collection.judgements("red") == {}


def test_search_by_a_picture_of_ones_own(client: TestClient, ids: dict[str, int]) -> None:
    sent = client.post("/search-by-picture", files={"picture": ("mine.png", png((30, 60, 210)))})
    assert sent.status_code == 303
    where = sent.headers["location"]
    page = client.get(where).text
    assert shown(page)[0] == ids["blue"]
    preview = re.search(r"/uploads/[\w-]+", page)
    assert preview
    assert Image.open(io.BytesIO(client.get(preview[0]).content)).format == "WEBP"
    assert shown(client.get(f"{where}&model=hues").text)[0] == ids["blue"]


def test_evaluation_from_a_query_set_to_measures(
    client: TestClient, collection: Collection, ids: dict[str, int]
) -> None:
    created = client.post("/query-sets", data={"name": "My walls & co", "queries": "red\n\nblue\n"})
    assert created.status_code == 303
    assert collection.queries("My walls & co") == ("red", "blue")
    where = created.headers["location"]
    assert "Judge a few results first" in client.get(where).text
    judging = client.get("/evaluation/judge?set=My+walls+%26+co&n=2").text
    assert shown(judging)[0] == ids["blue"]
    assert client.get("/evaluation/judge?set=My+walls+%26+co&n=3").status_code == 404
    for query in ("red", "blue"):
        collection.judge(query, ids[query], True)
    page = client.get(where).text
    assert "nDCG@5, colours minus hues" in page
    assert "within chance" in page
    assert page.count("1.00<br>") == 6
    twice = client.post("/query-sets", data={"name": "My walls & co", "queries": "red"})
    assert twice.status_code == 409


def test_the_evaluation_says_which_queries_count_and_why(
    client: TestClient, collection: Collection, ids: dict[str, int]
) -> None:
    collection.create_query_set("three", ["red", "blue", "green"])
    collection.judge("red", ids["red"], True)
    collection.judge("blue", ids["red"], False)
    said = {"en": "Counted: 1 of 3 queries", "es": "Cuentan: 1 de 3 consultas"}
    for lang, counted in said.items():
        page = client.get("/evaluation?set=three", headers={"accept-language": lang}).text
        assert counted in page
    rows = re.findall(
        r'<a href="[^"]*">(\w+)</a></th><td>(\d)</td><td class="words">([^<]*)<',
        client.get("/evaluation?set=three").text,
    )
    assert rows == [
        ("red", "1", "yes"),
        ("blue", "1", "no: no picture judged as an answer"),
        ("green", "0", "no: not judged yet"),
    ]


def test_an_empty_collection_has_pages_too(
    tmp_path: Path,
) -> None:
    with Collection.open(tmp_path / "empty", create=True) as empty:
        client = TestClient(create_app(empty), base_url="http://127.0.0.1:8420")
        for path, status in (("/", 200), ("/evaluation", 200), ("/map", 404), ("/?q=red", 404)):
            assert client.get(path).status_code == status
        assert client.get("/side-by-side?q=red").status_code == 404
        assert client.get("/v1/pictures").json()["total"] == 0


def test_bundled_query_sets_come_with_the_pictures_that_answer_them(
    make_app: Callable[..., FastAPI], monkeypatch: pytest.MonkeyPatch
) -> None:
    walls = BundledQuery({"en": "a dim wall", "es": "un muro"}, categories=frozenset({"dark"}))
    boats = BundledQuery({"en": "a boat", "es": "un barco"}, labels=frozenset({"boat"}))
    monkeypatch.setattr(
        "pareja.server.engine.every_bundled_query",
        lambda: {"walls": (walls,), "harbour": (walls, boats)},
    )
    app = make_app()
    app.state.engine.warm_up()
    client = TestClient(app, base_url="http://127.0.0.1:8420")
    sets = client.get("/v1/query-sets").json()
    assert [each["name"] for each in sets] == ["walls-en", "walls-es"]
    assert client.get("/v1/evaluation?query_set=walls-en").status_code == 200
