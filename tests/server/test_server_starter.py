"""The whole way with the encoder that comes with pareja: folders of photographs to answers."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient

from pareja.datasets.bundled import bundled_path
from pareja.encoders import load, require_both
from pareja.search import Collection
from pareja.server import create_app


def test_photographs_are_found_by_words_in_two_languages(tmp_path: Path) -> None:
    pictures = bundled_path("commons200") / "images"
    encoder = require_both(load("starter"))
    with Collection.open(tmp_path / "index", create=True) as collection:
        fish = sorted((pictures / "fish").iterdir())[:6]
        collection.index([*fish, pictures / "music"], encoder)
        client = TestClient(create_app(collection), base_url="http://127.0.0.1:8420")
        for query, folder in (
            ("a fish in the sea", "fish"),
            ("un pez en el mar", "fish"),
            ("musicians on a stage", "music"),
        ):
            hits = client.get("/v1/search", params={"q": query, "k": 3}).json()["hits"]
            assert {Path(hit["path"]).parent.name for hit in hits} == {folder}, query
        page = client.get("/?q=a+fish+in+the+sea")
        assert page.status_code == 200
        first = client.get("/v1/search?q=a+fish+in+the+sea&k=1").json()["hits"][0]
        assert f'href="/pictures/{first["id"]}"' in page.text
