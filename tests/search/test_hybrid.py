"""Words that are looked up in captions and file names, besides the vectors."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

import pareja
from pareja.errors import CollectionError, QueryError
from pareja.search import Collection, Query, SearchResult, Why
from pareja.search.hybrid import WINDOW, K, fused
from pareja.search.nearest import Near
from pareja.search.texts import NEVER_COMMON, words_of

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


def paint(folder: Path, rows: list[tuple[str, str]], category: str = "walls") -> Path:
    """Write pictures from red to blue, each with a name and a caption."""
    for number, (name, _) in enumerate(rows):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        share = number / max(1, len(rows) - 1)
        # Another green for each category: the same picture in two folders would be one.
        colour = (int(220 - 190 * share), ord(category[0]) - 90, int(30 + 180 * share))
        Image.new("RGB", (16, 16), colour).save(folder / name)
    table = ["file_name\tcaption\tcategory"]
    table += [f"{name}\t{caption}\t{category}" for name, caption in rows]
    (folder / "metadata.tsv").write_text("\n".join(table), encoding="utf-8")
    return folder


CAPTIONS = [
    ("a.png", "The old gate"),
    ("b.png", "Murallas de Ávila"),
    ("c.png", "A gate in Segovia"),
    ("walks/IMG_2041.png", "t-shirt"),
    ("solar_panel/walls/e.png", 'say "NEAR"'),
]


@pytest.fixture
def shelf(tmp_path: Path, colours: ColourEncoder) -> Collection:
    """A collection of five pictures, the reddest first."""
    shelf = pareja.open(tmp_path / "index", create=True)
    shelf.index(paint(tmp_path / "pictures", CAPTIONS), colours)
    return shelf


def names(result: SearchResult) -> list[str]:
    return [hit.picture.path.stem for hit in result]


@pytest.mark.parametrize(
    ("words", "picture"),
    [
        ("red avila", "b"),
        ("ÁVILA red", "b"),
        ("red A\N{COMBINING ACUTE ACCENT}vila", "b"),
        ("IMG_2041.png red", "IMG_2041"),
        ("red 2041", "IMG_2041"),
        ("red walks", "IMG_2041"),
        ("red (t-shirt)", "IMG_2041"),
        ("red segovia::2 gate::-1", "c"),
        ('red NEAR" OR "x', "e"),
        ("red\0 near*", "e"),
        ("red solar", "e"),
    ],
)
def test_a_rare_word_brings_its_picture_before_those_that_only_look_like_it(
    shelf: Collection, colours: ColourEncoder, words: str, picture: str
) -> None:
    assert picture in names(shelf.search(Query(text=words), colours, k=2, hybrid=True))
    assert names(shelf.search(Query(text="red"), colours)) == ["a", "b", "c", "IMG_2041", "e"]


def test_a_hit_says_which_words_it_has_and_its_rank_by_each(
    shelf: Collection, colours: ColourEncoder
) -> None:
    result = shelf.search("red gate segovia", colours, hybrid=True)
    assert result.looked_up is not None
    assert (result.looked_up.words, result.looked_up.left_out) == (("red", "gate", "segovia"), ())
    why = {hit.picture.path.stem: hit.why for hit in result}
    assert why["c"] == Why(("gate", "segovia"), rank_by_words=1, rank_by_vectors=3)
    # It has only the weaker of the two words, which does not count.
    assert why["a"] == Why(("gate",), rank_by_words=None, rank_by_vectors=1)
    assert why["e"] == Why((), rank_by_words=None, rank_by_vectors=5)
    assert names(result)[:2] == ["c", "a"]
    plain = shelf.search("red gate segovia", colours)
    assert {hit.picture.id: hit.score for hit in plain} == {
        hit.picture.id: hit.score for hit in result
    }
    assert plain.looked_up is None
    assert plain[0].why is None


def test_nothing_is_said_against_a_picture_that_has_the_words(
    tmp_path: Path, shelf: Collection, colours: ColourEncoder
) -> None:
    assert shelf.search("red gate", colours, hybrid=True).likely_relevant is True
    with sqlite3.connect(tmp_path / "index" / "collection.sqlite3") as database:
        database.execute("UPDATE space SET unrelated_score = 2")
    database.close()
    assert shelf.search("segovia", colours).likely_relevant is False
    assert shelf.search("segovia", colours, hybrid=True).likely_relevant is None
    assert shelf.search("zaragoza", colours, hybrid=True).likely_relevant is False


def test_categories_and_folders_that_are_called_like_one_are_not_looked_up(
    shelf: Collection, colours: ColourEncoder
) -> None:
    result = shelf.search("red walls", colours, hybrid=True)
    assert [hit.why.words for hit in result if hit.why] == [()] * 5


def test_words_that_many_texts_have_are_left_out(tmp_path: Path, colours: ColourEncoder) -> None:
    many = [(f"IMG_{n}.png", "a gate") for n in range(NEVER_COMMON + 1)]
    few = [(f"DSC_{n}.png", f"dawn {'or dusk' if n else ''}") for n in range(NEVER_COMMON)]
    with pareja.open(tmp_path / "index", create=True) as shelf:
        shelf.index(paint(tmp_path / "pictures", [*many, *few]), colours)
        result = shelf.search("The gate img dusk or dawn png", colours, hybrid=True)
        assert result.looked_up is not None
        assert result.looked_up.words == ("dusk", "dawn")
        assert result.looked_up.left_out == ("The", "gate", "img", "or", "png")
        alone = shelf.search("gate", colours, hybrid=True)
        assert names(alone) == names(shelf.search("gate", colours))


def test_pages_fit_together_and_hold_every_picture_once(
    tmp_path: Path, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareja.search.hybrid.WINDOW", 4)
    monkeypatch.setattr("pareja.search.searching.WINDOW", 4)
    rows = [(f"{n:02}.png", "harbour" if n in (9, 17) else f"word{n}") for n in range(20)]
    with pareja.open(tmp_path / "index", create=True) as shelf:
        shelf.index(paint(tmp_path / "pictures", rows), colours)
        whole = shelf.search("red harbour", colours, k=20, hybrid=True)
        assert sorted(names(whole)) == [name.removesuffix(".png") for name, _ in rows]
        assert {"09", "17"} < set(names(whole)[:4])
        pages = [
            shelf.search("red harbour", colours, k=3, offset=offset, hybrid=True)
            for offset in range(0, 21, 3)
        ]
        assert [hit for page in pages for hit in page] == list(whole)
        assert [page.more for page in pages] == [True] * 6 + [False]
        folded = shelf.search("red harbour", colours, k=20, fold=True, hybrid=True)
        inside = [other for hit in folded for other in hit.near_duplicates]
        assert sorted(names(whole)) == sorted(hit.picture.path.stem for hit in (*folded, *inside))
        assert [name for name in names(whole) if name in names(folded)] == names(folded)


def test_ranks_beyond_the_window_of_both_rankings_stay_in_the_order_of_the_vectors() -> None:
    by_vectors = [Near(number, 1 - number / 1000) for number in range(WINDOW + 20)]
    by_words = [Near(WINDOW + 5, 0.1), Near(2, 0.9), Near(9999, 0.0)]
    order = [near.picture for near in fused(by_vectors, by_words)]
    sums = {near.picture: 1 / (K + n) for n, near in enumerate(by_vectors, 1) if n <= WINDOW}
    for n, near in enumerate(by_words, 1):
        sums[near.picture] = sums.get(near.picture, 0) + 1 / (K + n)
    assert [sums[picture] for picture in order[: len(sums)]] == sorted(sums.values(), reverse=True)
    # The first of each ranking have the same sum.
    assert order[:3] == [2, WINDOW + 5, 0]
    assert order[len(sums) :] == [n for n in range(WINDOW, WINDOW + 20) if n != WINDOW + 5]


def test_filters_hold_for_what_the_words_find(tmp_path: Path, colours: ColourEncoder) -> None:
    with pareja.open(tmp_path / "index", create=True) as shelf:
        shelf.index(paint(tmp_path / "one", [("x.png", "old mill"), ("y.png", "new")]), colours)
        shelf.index(paint(tmp_path / "two", [("z.png", "old gate")], "gates"), colours)
        ids = {picture.path.stem: picture.id for picture in shelf.pictures()}
        found = shelf.search("red old", colours, category="gates", hybrid=True)
        assert names(found) == ["z"]
        asked = Query(text="old", like=ids["z"], without=(ids["x"],))
        assert names(shelf.search(asked, colours, hybrid=True)) == ["y"]


def test_the_index_follows_what_this_and_another_process_do(
    tmp_path: Path, colours: ColourEncoder
) -> None:
    folder, index = paint(tmp_path / "pictures", CAPTIONS), tmp_path / "index"

    def found(shelf: Collection, words: str) -> list[str]:
        result = shelf.search(f"red {words}", colours, hybrid=True)
        return sorted(hit.picture.path.stem for hit in result if hit.why and hit.why.rank_by_words)

    with pareja.open(index, create=True) as shelf:
        shelf.index(folder, colours)
        assert found(shelf, "gate") == ["a", "c"]
        with pareja.open(index, read_only=True) as reading, pareja.open(index) as other:
            for each in (shelf, reading, other):
                assert found(each, "gate") == ["a", "c"]
            # Changed, added, removed and moved, each in one file.
            kept = [("a.png", "A bridge"), *CAPTIONS[3:], ("new.png", "The last gate")]
            (folder / "b.png").unlink()
            (folder / "walks" / "IMG_2041.png").rename(folder / "seen.png")
            rows = [(name.replace("walks/IMG_2041", "seen"), text) for name, text in kept]
            Image.new("RGB", (16, 16), "green").save(folder / "new.png")
            table = ["file_name\tcaption", *("\t".join(row) for row in rows)]
            (folder / "c.png").unlink()
            (folder / "metadata.tsv").write_text("\n".join(table), encoding="utf-8")
            other.index(folder, colours)
            for each in (shelf, reading, other):
                assert found(each, "gate") == ["new"]
                assert found(each, "bridge Ávila segovia") == ["a"]
                assert found(each, "2041 walks") == []
                assert found(each, "seen") == ["seen"]
            other.forget(folder)
            for each in (shelf, reading, other):
                assert found(each, "gate") == []
        assert shelf.verify().ok


def test_a_collection_that_may_not_be_written_to_is_looked_up_in_memory(
    tmp_path: Path, colours: ColourEncoder, seal: Callable[[Path], None]
) -> None:
    index = tmp_path / "index"
    with pareja.open(index, create=True) as shelf:
        shelf.index(paint(tmp_path / "pictures", CAPTIONS), colours)
    seal(index)
    with pareja.open(index) as shelf:
        assert names(shelf.search("red segovia", colours, k=1, hybrid=True)) == ["c"]
    with sqlite3.connect(f"file:{index}/collection.sqlite3?immutable=1", uri=True) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    database.close()
    assert not any(name.startswith("written") for name in tables)


DAMAGE = [
    "UPDATE written_data SET block = zeroblob(length(block)) WHERE id > 10",
    "UPDATE written_data SET block = substr(block, 1, length(block) - 9) || x'02' "
    "|| substr(block, -8) WHERE id > 10",
    "DELETE FROM written_data",
    "DROP TABLE written_data",
    # Of this one FTS5 notices nothing, and finds nothing any more.
    "DELETE FROM written_idx",
    "UPDATE written_docsize SET sz = x'7f7f'",
    "DROP TABLE written_docsize",
    "UPDATE written_content SET c0 = 'gone'",
    "DELETE FROM written_config",
    "DROP TABLE written_config",
    "UPDATE written_of SET stamp = stamp + 1",
    "DROP TABLE written_of",
    "UPDATE written_at SET names = 1000000",
    "DROP TABLE written_at",
    "DROP TABLE written",
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_index_is_made_again_and_never_asked(
    tmp_path: Path, shelf: Collection, colours: ColourEncoder, damage: str
) -> None:
    def answer(shelf: Collection) -> list[tuple[str, Why | None]]:
        result = shelf.search("red gate segovia Ávila", colours, k=9, hybrid=True)
        return [(hit.picture.path.stem, hit.why) for hit in result]

    index = tmp_path / "index"
    right = answer(shelf)
    assert [why.rank_by_words for _, why in right if why][:2] == [1, 2]

    def break_it() -> None:
        with sqlite3.connect(index / "collection.sqlite3") as database:
            database.execute(damage)
        database.close()

    break_it()
    with pareja.open(index, read_only=True) as reading:
        assert answer(reading) == right
        assert reading.verify().problems == ("the index of captions and file names is damaged",)
    with pareja.open(index) as other:
        assert answer(other) == right
        assert other.verify().ok
    break_it()
    with pareja.open(index) as other:
        assert other.verify(repair=True).repaired
        assert other.verify().ok
        assert answer(other) == right
    break_it()
    with pareja.open(index) as other:
        # What is new is not added to what is damaged.
        Image.new("RGB", (16, 16), "green").save(tmp_path / "pictures" / "gate.png")
        with (tmp_path / "pictures" / "metadata.tsv").open("a") as table:
            table.write("\ngate.png\tnew\twalls")
        other.index(tmp_path / "pictures", colours)
        assert other.verify().ok
        found = {name for name, why in answer(other) if why and "gate" in why.words}
        assert found == {"a", "c", "gate"}


def test_without_words_or_without_fts5_there_is_one_clear_error(
    shelf: Collection, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(QueryError, match="looks up the words") as caught:
        shelf.search(like=1, model=colours, hybrid=True)
    assert caught.value.kind == "hybrid_words"
    with monkeypatch.context() as patched:
        patched.setattr(
            "pareja.search.written._TABLES", {"written": "CREATE VIRTUAL TABLE w USING no_fts5()"}
        )
        with pytest.raises(CollectionError, match="built without FTS5"):
            shelf.search("red", colours, hybrid=True)
    assert names(shelf.search("?!", colours, hybrid=True)) == names(shelf.search("?!", colours))
    assert names(shelf.search("red", colours, k=1)) == ["a"]


def test_words_of_a_query_are_taken_literally_and_once() -> None:
    assert words_of("a  cat, A 'cat' -dog*") == ("a", "cat", "dog")
    assert words_of("--- ...") == ()
    with pytest.raises(QueryError):
        words_of("  ")
