from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from tests.colour_classifier import COLOUR_NAMES, colour_classifier

from pareja.errors import ModelUnavailableError
from pareja.search import BundledQuery

if TYPE_CHECKING:
    from tests.cli.conftest import Pareja
    from tests.conftest import ColourEncoder


@pytest.fixture(autouse=True)
def _colours_for_every_model(monkeypatch: pytest.MonkeyPatch, colours: ColourEncoder) -> None:
    def load(given: str | ColourEncoder, **_: object) -> ColourEncoder:
        assert given in ("starter", "colours", colours)
        return colours

    monkeypatch.setattr("pareja.encoders.load", load)
    monkeypatch.setattr("pareja.embedding.cache._SETTLED_NS", 0)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAREJA_INDEX", str(tmp_path / "index"))
    return tmp_path / "index"


@pytest.fixture
def indexed(pareja: Pareja, place: Path, colour_folder: Path) -> Path:
    assert pareja("index", colour_folder).status == 0
    return place


def test_index_then_search_needs_no_options(
    pareja: Pareja, place: Path, colour_folder: Path
) -> None:
    run = pareja("index", colour_folder)
    assert (run.status, run.err) == (0, "")
    assert "8 pictures in" in run.out
    assert "8 added" in run.out
    assert "nothing new, 8 unchanged" in pareja("index", colour_folder).out
    found = pareja("search", "something red", "-k", "2")
    assert found.status == 0
    assert "A wall painted red" in found.out
    assert "dark" in found.out


def test_search_as_json(pareja: Pareja, indexed: Path, colour_folder: Path) -> None:
    run = pareja("search", "red", "-k", "3", "--json")
    answer = json.loads(run.out)
    assert answer["query"] == "red"
    assert answer["model"] == "colours"
    assert answer["took_ms"] > 0
    assert [hit["rank"] for hit in answer["hits"]] == [1, 2, 3]
    best = answer["hits"][0]
    assert best["path"] == str(colour_folder / "images" / "red.png")
    assert best["caption"] == "A wall painted red"
    assert best["category"] == "dark"
    assert best["score"] > 0.9
    assert set(best) == {
        "rank",
        "id",
        "path",
        "score",
        "caption",
        "category",
        "part",
        "near_duplicates",
        "why",
    }
    page = json.loads(pareja("search", "red", "-k", "3", "--offset", "2", "--json").out)
    assert page["hits"][0] == answer["hits"][2]
    assert (page["offset"], page["more"]) == (2, True)
    beyond = pareja("search", "red", "--offset", "8")
    assert beyond.out == "no pictures from number 9 on: the search ends before.\n"


def test_paths_alone_are_for_other_programs(
    pareja: Pareja, place: Path, colour_folder: Path
) -> None:
    odd = colour_folder / "images" / "a\nred.png"
    (colour_folder / "images" / "red.png").rename(odd)
    (colour_folder / "metadata.csv").unlink()
    assert pareja("index", colour_folder).status == 0
    pink = colour_folder / "images" / "pink.png"
    run = pareja("search", "red", "-k", "2", "-0")
    assert (run.status, run.err) == (0, "")
    assert run.out.split("\0")[0] == str(odd)
    assert pareja("search", "pink", "-k", "1", "--paths").out == f"{pink}\n"
    pink.unlink()
    gone = pareja("search", "pink", "-k", "1", "--paths")
    assert gone.out == f"{pink}\n"
    assert "1 picture is no file of the disk" in gone.err
    assert pareja("search", "pink", "--paths", "--json").status == 2


def first(run_out: str) -> str:
    return str(Path(json.loads(run_out)["hits"][0]["path"]).stem)


def test_search_by_picture_likeness_and_what_it_is_not(
    pareja: Pareja, indexed: Path, colour_folder: Path
) -> None:
    pink = colour_folder / "images" / "pink.png"
    assert first(pareja("search", "--image", pink, "--json").out) == "pink"
    number = json.loads(pareja("search", "pink", "--json").out)["hits"][0]["id"]
    like = json.loads(pareja("search", "--like", number, "-k", "9", "--json").out)["hits"]
    assert len(like) == 7
    assert number not in [hit["id"] for hit in like]
    assert first(pareja("search", "red", "--category", "bright", "--json").out) != "red"
    assert first(pareja("search", "pink", "--minus", "pink", "--json").out) == "pink"
    assert first(pareja("search", "yellow", "--minus", "red", "--json").out) in ("yellow", "green")


def test_search_by_a_part_of_a_picture(pareja: Pareja, indexed: Path, tmp_path: Path) -> None:
    picture = Image.new("RGB", (200, 100), (250, 150, 190))
    picture.paste((30, 60, 210), (150, 50, 200, 100))
    picture.save(tmp_path / "corner.png")
    by_corner: list[str | Path] = ["search", "--image", tmp_path / "corner.png", "--box"]
    by_part = pareja(*by_corner, "150,50,50,50", "--json")
    assert first(by_part.out) == "blue"
    assert json.loads(by_part.out)["box"] == [150, 50, 50, 50]
    assert first(pareja("search", "--like", "1", "--box", "0,0,0.5,0.5", "--json").out) != "red"
    cases: list[tuple[list[str | Path], str]] = [
        (["search", "--box", "1,2,3,4"], "--box says which part of a picture is meant, and"),
        ([*by_corner, "150,50,200,100"], "two corners"),
        ([*by_corner, "1,2,3"], "--box is '1,2,3', and no four"),
        ([*by_corner, "1,2,0,3"], "no width or no height"),
    ]
    for arguments, said in cases:
        run = pareja(*arguments)
        assert (run.status, run.out, run.err.count("\n")) == (1, "", 1), run.err
        assert said in run.err


@pytest.fixture
def kinds(tmp_path: Path, colours: ColourEncoder) -> Path:
    return colour_classifier(colours).save(tmp_path / "kinds.safetensors")


def stems(run_out: str) -> list[str]:
    return [Path(hit["path"]).stem for hit in json.loads(run_out)["hits"]]


def test_only_what_a_classifier_takes_for_a_label(
    pareja: Pareja, indexed: Path, kinds: Path
) -> None:
    everything = stems(pareja("search", "pink", "-k", "8", "--json").out)
    learned = ["search", "pink", "-k", "8", "--json", "--classifier", str(kinds)]
    parts = {name: stems(pareja(*learned, "--shows", name).out) for name in COLOUR_NAMES}
    assert sorted(stem for part in parts.values() for stem in part) == sorted(everything)
    for name, part in parts.items():
        assert name in part
        assert part == [stem for stem in everything if stem in part]
    both = pareja(*learned, "--shows", "red", "--shows", "blue")
    assert set(stems(both.out)) == {*parts["red"], *parts["blue"]}
    assert json.loads(both.out)["shows"] == ["red", "blue"]
    bright = pareja(*learned, "--shows", "red", "--category", "bright")
    assert set(stems(bright.out)) < set(parts["red"])
    assert json.loads(bright.out)["category"] == "bright"
    sure = pareja(*learned, *(word for name in COLOUR_NAMES for word in ("--shows", name)))
    assert len(stems(sure.out)) == 8
    surer = pareja(*learned, "--shows", "green", "--at-least", "0.9999")
    assert set(stems(surer.out)) <= set(parts["green"])
    table = pareja("search", "pink", "--classifier", kinds, "--shows", "green")
    assert (table.status, table.err) == (0, "")
    assert "A wall painted green" in table.out


def test_a_classifier_that_cannot_help_is_one_clear_line(
    pareja: Pareja, indexed: Path, kinds: Path, colours: ColourEncoder, tmp_path: Path
) -> None:
    stranger = colour_classifier(replace(colours, name="clip"))
    other = stranger.save(tmp_path / "other.safetensors")
    cases: list[tuple[list[str | Path], int, str]] = [
        (["--shows", "red"], 2, "--shows and --at-least need --classifier FILE"),
        (["--at-least", "0.5"], 2, "--shows and --at-least need --classifier FILE"),
        (["--classifier", kinds], 2, "Add --shows with a label of"),
        (["--classifier", kinds, "--shows", "gren"], 1, "Did you mean 'green'?"),
        (["--classifier", kinds, "--shows", "cow"], 1, "It has: red, green, blue."),
        (["--classifier", other, "--shows", "red"], 1, "the pictures with clip too"),
        (["--classifier", "nowhere.st", "--shows", "red"], 1, "nowhere.st cannot be read"),
        (["--classifier", indexed / "collection.sqlite3", "--shows", "x"], 1, "no classifier"),
    ]
    for arguments, status, message in cases:
        run = pareja("search", "red", *arguments)
        assert (run.status, run.out, run.err.count("\n")) == (status, "", 1), run.err
        assert message in run.err
    beyond = pareja("search", "red", "--classifier", kinds, "--shows", "red", "--at-least", "2")
    assert beyond.status == 2


@pytest.mark.parametrize(
    "command", [["search", "red"], ["evaluate", "walls"], ["index", "colours"]]
)
def test_the_device_reaches_the_encoder(
    pareja: Pareja, judged: Path, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def load(name: str, *, device: object = None) -> object:
        asked.append(device)
        raise ModelUnavailableError("only asked")

    monkeypatch.setattr("pareja.encoders.load", load)
    assert pareja(*command, "--device", "cpu").status == 1
    assert asked == ["cpu"]
    wrong = pareja(*command, "--device", "toaster")
    assert wrong.status == 2


def test_wrong_use_is_one_clear_line(pareja: Pareja, indexed: Path) -> None:
    cases = [
        (["search"], 2, "give words"),
        (["search", ""], 1, "the query is empty"),
        (["search", "x", "-k", "0"], 2, "-k"),
        (["search", "--like", "999"], 1, "no picture 999"),
        (["search", "x", "--category", "brigth"], 1, "Did you mean 'bright'"),
        (["search", "x", "--index", "nowhere"], 1, "no collection in nowhere"),
        (["search", "--image", "nowhere.jpg"], 1, "nowhere.jpg"),
        (["index"], 2, "name the pictures"),
        (["index", ""], 2, "is empty"),
        (["index", "--forget", ""], 2, "is empty"),
        (["index", "nowhere"], 1, "nowhere does not exist"),
        (["index", "--verify", "--index", "nowhere"], 1, "no collection in nowhere"),
        (["index", "x", "--store", "mysql://x"], 1, "no address of a store"),
        (["evaluate", "unheard of"], 1, "no query set 'unheard of'"),
        (["evaluate"], 1, "does not hold the pictures that commons200-en is about"),
    ]
    for arguments, status, message in cases:
        run = pareja(*arguments)
        assert (run.status, run.out) == (status, ""), arguments
        assert message in " ".join(run.err.replace("│", " ").split())
        assert status == 2 or run.err.count("\n") == 1, arguments


def test_skipped_files_are_listed(pareja: Pareja, place: Path, tmp_path: Path) -> None:
    album = tmp_path / "[album]"
    album.mkdir()
    (album / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much of a picture")
    Image.new("RGB", (30, 30), (1, 200, 200)).save(album / "fine.png")
    run = pareja("index", album)
    assert f"skipped {album}/broken.jpg: " in run.out
    assert "1 added, 1 skipped" in run.out.replace("\n", " ")
    report = json.loads(pareja("index", album, "--json").out)
    assert report["unchanged"] == 1
    assert report["skipped"][0]["path"] == f"{album}/broken.jpg"


def test_a_collection_is_exported(pareja: Pareja, indexed: Path, tmp_path: Path) -> None:
    run = pareja("export", "-o", "all.parquet")
    assert (run.status, run.err) == (0, "")
    assert "all.parquet: 8 pictures, 8 vectors of colours" in run.out.replace("\n", "")
    told = json.loads(pareja("export", "-o", "copy", "--json").out)
    assert told == {
        "path": str(tmp_path / "copy"),
        "pictures": 8,
        "vectors": 8,
        "regions": 0,
        "models": ["colours"],
    }
    assert first(pareja("search", "red", "--index", "copy", "--json").out) == "red"
    run = pareja("export", "-o", "all.parquet")
    assert (run.status, run.err.count("\n")) == (1, 1)
    assert pareja("export", "-o", "all.parquet", "--force").status == 0


def test_a_first_run_that_fails_leaves_no_collection(pareja: Pareja, place: Path) -> None:
    assert pareja("index", "nowhere").status == 1
    assert not place.exists()


def test_a_place_is_forgotten(pareja: Pareja, indexed: Path, colour_folder: Path) -> None:
    run = pareja("index", "--forget", colour_folder / "nothing")
    assert run.status == 1
    assert f"It was indexed from: {colour_folder}" in run.err
    run = pareja("index", "--forget", colour_folder, "--json")
    assert json.loads(run.out) == {"forgotten": {str(colour_folder): 8}, "pictures": 0}
    pareja("index", colour_folder)
    assert "8 pictures of" in pareja("index", "--forget", colour_folder).out


def test_searches_compare_what_was_chosen(pareja: Pareja, indexed: Path) -> None:
    before = pareja("search", "red").out
    run = pareja("index", "--quantization", "binary")
    assert (run.status, run.err) == (0, "")
    assert run.out.split() == f"Searches in {indexed} compare binary vectors.".split()
    assert pareja("search", "red").out == before
    told = json.loads(pareja("index", "--quantization", "float16", "--json").out)
    assert told == {"quantization": "float16"}
    assert pareja("index", "--quantization", "int4").status == 2


def test_verify(pareja: Pareja, indexed: Path) -> None:
    run = pareja("index", "--verify")
    assert run.status == 0
    assert "is sound: 8 pictures, 8 vectors" in run.out.replace("\n", " ")
    (indexed / "collection.sqlite3").write_bytes(b"garbage" * 1000)
    run = pareja("index", "--verify")
    assert run.status == 1
    assert "damaged" in run.err


def test_what_a_command_did_is_one_json_document(
    pareja: Pareja, indexed: Path, colour_folder: Path
) -> None:
    more = colour_folder / "images" / "red.png"
    run = pareja("index", more, "--forget", colour_folder, "--verify", "--json")
    told = json.loads(run.out)
    assert told["forgotten"] == {str(colour_folder): 8}
    assert (told["added"], told["pictures"], told["vectors"], told["ok"]) == (1, 1, 1, True)


def test_a_collection_that_may_not_be_written_to_is_checked_and_evaluated(
    pareja: Pareja, judged: Path, seal: Callable[[Path], None], colour_folder: Path
) -> None:
    seal(judged)
    run = pareja("index", "--verify")
    assert (run.status, run.err) == (0, "")
    assert "is sound: 8 pictures, 8 vectors" in run.out.replace("\n", " ")
    assert "mean" in pareja("evaluate", "walls").out
    for command in (["index", colour_folder], ["index", "--forget", colour_folder]):
        run = pareja(*command)
        assert (run.status, run.out, run.err.count("\n")) == (1, "", 1)
        assert "may not be written to" in run.err


def test_what_is_broken_and_cannot_be_rebuilt_is_said(
    pareja: Pareja, indexed: Path, seal: Callable[[Path], None]
) -> None:
    from pareja.search import Collection

    with Collection.open(indexed) as collection, collection._database.write() as connection:
        connection.execute("DELETE FROM file WHERE picture = 1")
    seal(indexed)
    run = pareja("index", "--verify")
    assert run.status == 1
    assert run.out.splitlines() == [
        "1 picture has no file",
        "Nothing was rebuilt: the collection may not be written to.",
    ]


def test_a_folder_without_pictures_says_what_was_looked_for(
    pareja: Pareja, place: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for found in ("is empty", "no pictures, only 1 .txt"):
        run = pareja("index", folder)
        assert (run.status, run.out, run.err.count("\n")) == (1, "", 1)
        assert f"{folder} " in run.err
        assert found in run.err
        assert "Pictures end in .jpg, .png," in run.err
        assert "metadata" not in run.err
        (folder / "notes.txt").touch()


@pytest.fixture
def judged(indexed: Path) -> Path:
    """The collection with a set of two queries, each of them judged."""
    from pareja.search import Collection

    with Collection.open(indexed) as collection:
        collection.create_query_set("walls", ["red", "blue"])
        for picture in collection.pictures():
            if picture.path.stem in ("red", "blue"):
                collection.judge(picture.path.stem, picture.id, True)
    return indexed


def test_evaluate_prints_every_query_and_the_mean(pareja: Pareja, judged: Path) -> None:
    run = pareja("evaluate", "walls")
    assert run.status == 0
    lines = {line.split()[0]: line.split()[1:] for line in run.out.splitlines() if line.strip()}
    assert lines["red"][:3] == ["1.00", "0.33", "0.20"]
    assert lines["mean"][0] == "1.00"
    scores = json.loads(pareja("evaluate", "walls", "--json").out)["models"]["colours"]
    assert scores["P@1"]["value"] == 1
    assert scores["P@1"]["low"] < 1
    assert [query["query"] for query in scores["queries"]] == ["red", "blue"]


def test_evaluate_searches_as_it_is_told_to(pareja: Pareja, indexed: Path, tmp_path: Path) -> None:
    from pareja.search import Collection

    (tmp_path / "more").mkdir()
    Image.new("RGB", (30, 30), (1, 1, 200)).save(tmp_path / "more" / "castle.png")
    assert pareja("index", tmp_path / "more").status == 0
    with Collection.open(indexed) as collection:
        collection.create_query_set("names", ["castle"])
        collection.judge("castle", collection.count(), True)
    plain, hybrid = (
        json.loads(pareja("evaluate", "names", "--json", *how).out) for how in ((), ("--hybrid",))
    )
    assert (plain["hybrid"], hybrid["hybrid"]) == (False, True)
    assert plain["models"]["colours"]["P@1"]["value"] == 0
    assert hybrid["models"]["colours"]["P@1"]["value"] == 1
    assert "names, colours, folded, hybrid" in " ".join(
        pareja("evaluate", "names", "--hybrid", "--fold").out.split()
    )


@pytest.mark.parametrize("writable", [True, False])
def test_the_bundled_queries_are_evaluated_without_being_asked_for(
    pareja: Pareja,
    indexed: Path,
    seal: Callable[[Path], None],
    monkeypatch: pytest.MonkeyPatch,
    writable: bool,
) -> None:
    query = BundledQuery({"en": "a black wall"}, categories=frozenset({"dark"}))
    monkeypatch.setattr(
        "pareja.search.judging.every_bundled_query", lambda: {"commons200": (query,)}
    )
    if not writable:
        seal(indexed)
    run = pareja("evaluate", "--json")
    assert (run.status, run.err) == (0, "")
    (scores,) = json.loads(run.out)["models"]["colours"]["queries"]
    assert (scores["query"], scores["relevant"]) == ("a black wall", 4)
    assert scores["P@5"] > 0


def test_what_is_probably_not_relevant_is_said(pareja: Pareja, place: Path, tmp_path: Path) -> None:
    album = tmp_path / "album"
    album.mkdir()
    Image.new("RGB", (30, 30), (210, 20, 30)).save(album / "red.png")
    pareja("index", album)
    assert "Probably nothing relevant" in pareja("search", "blue").out
    assert "Probably nothing relevant" not in pareja("search", "red").out


def test_the_contact_sheet_needs_no_other_file(
    pareja: Pareja, indexed: Path, colour_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    (colour_folder / "images" / "brown.png").unlink()
    run = pareja("search", "<b>red</b>", "-k", "8", "--open")
    assert run.status == 0
    page = Path(opened[0].removeprefix("file://")).read_text(encoding="utf-8")
    assert page.count('src="data:image/jpeg;base64,') == 8
    assert "&lt;b&gt;red&lt;/b&gt;" in page
    assert "<b>red" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_watching_follows_the_folder(
    pareja: Pareja,
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    album = tmp_path / "album"
    album.mkdir()
    Image.new("RGB", (30, 30), (1, 200, 200)).save(album / "one.png")
    away = tmp_path / "away"

    def add() -> None:
        Image.new("RGB", (30, 30), (200, 1, 1)).save(album / "two.png")

    def stop() -> None:
        raise KeyboardInterrupt

    steps: list[Callable[[], object]] = [
        lambda: None,
        add,
        lambda: album.rename(away),
        lambda: None,
        lambda: away.rename(album),
        (album / "one.png").unlink,
        stop,
    ]
    monkeypatch.setattr("time.sleep", lambda _: steps.pop(0)())
    run = pareja("index", album, "--watch")
    assert run.status == 130
    printed = run.out.replace("\n", " ")
    assert printed.count("1 added") == 2
    assert printed.count("1 removed") == 1
    assert run.err.count("does not exist") == 1


@pytest.mark.parametrize("as_json", [False, True])
def test_a_picture_that_moves_between_watched_folders_is_noticed(
    pareja: Pareja, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_json: bool
) -> None:
    left, joined = tmp_path / "left", tmp_path / "joined"
    for n, path in enumerate((left / "a.png", left / "b.png", joined / "c.png")):
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (30, 30), (200, 90 * n, 1)).save(path)

    def stop() -> None:
        raise KeyboardInterrupt

    steps: list[Callable[[], object]] = [
        lambda: (left / "a.png").rename(joined / "a.png"),
        stop,
    ]
    monkeypatch.setattr("time.sleep", lambda _: steps.pop(0)())
    run = pareja("index", left, joined, "--watch", *(["--json"] if as_json else []))
    if as_json:
        first, then = run.out.split("}\n{")
        assert (json.loads(first + "}")["added"], json.loads("{" + then)["moved"]) == (3, 1)
        assert json.loads("{" + then)["moves"] == [
            {"from": str(left / "a.png"), "to": str(joined / "a.png")}
        ]
    else:
        assert run.out.splitlines()[1:] == ["1 moved: left/a.png -> joined/a.png", "1 moved"]


def test_moved_files_are_named_and_one_picture_is_no_plural(
    pareja: Pareja, place: Path, tmp_path: Path
) -> None:
    album = tmp_path / "album"
    (album / "b").mkdir(parents=True)
    Image.new("RGB", (30, 30), (200, 1, 1)).save(album / "a.png")
    assert pareja("index", album).out.startswith(f"1 picture in {place}: 1 added (")
    assert f"{place} is sound: 1 picture, 1 vector." in pareja("index", "--verify").out
    for n in range(7):
        (album / f"copy{n}.png").write_bytes((album / "a.png").read_bytes())
    pareja("index", album)
    for path in album.glob("*.png"):
        path.rename(album / "b" / path.name)
    told, summary = pareja("index", album).out.splitlines()
    assert told.startswith("8 moved: a.png -> b/a.png, copy0.png -> b/copy0.png, ")
    assert told.endswith(" … (+3)")
    assert summary.startswith(f"1 picture in {place}: 8 moved (")
    left = pareja("index", "--forget", album).out
    assert left == f"1 picture of {album} left {place}\n"


def test_watching_goes_on_in_the_other_folder_while_one_is_away(
    pareja: Pareja, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = tmp_path / "away", tmp_path / "here"
    for green, folder in enumerate(folders):
        folder.mkdir()
        Image.new("RGB", (30, 30), (200, 90 * green, 1)).save(folder / "one.png")

    def stop() -> None:
        raise KeyboardInterrupt

    steps: list[Callable[[], object]] = [
        lambda: folders[0].rename(tmp_path / "elsewhere"),
        lambda: Image.new("RGB", (30, 30), (1, 1, 200)).save(folders[1] / "two.png"),
        stop,
    ]
    monkeypatch.setattr("time.sleep", lambda _: steps.pop(0)())
    run = pareja("index", *folders, "--watch")
    assert run.err.count("does not exist") == 1
    assert "1 added" in run.out


def test_hybrid_says_which_words_were_found_where(pareja: Pareja, indexed: Path) -> None:
    found = pareja("search", "red painted pink", "--hybrid", "-k", "2")
    assert found.status == 0
    assert "by words 1: red" in " ".join(found.out.split())
    assert found.out.splitlines()[-2:] == [
        "looked up in captions and file names: red, pink",
        "not looked up, because they are too common: painted",
    ]
    answer = json.loads(pareja("search", "red painted", "--hybrid", "--json").out)
    assert answer["looked_up"] == {"words": ["red"], "left_out": ["painted"]}
    assert answer["hits"][0]["why"] == {"words": ["red"], "rank_by_words": 1, "rank_by_vectors": 1}
    refused = pareja("search", "--like", "1", "--hybrid")
    assert (refused.status, "`hybrid`" in refused.err) == (1, False)
    assert "--hybrid looks up the words of a query" in " ".join(refused.err.split())
