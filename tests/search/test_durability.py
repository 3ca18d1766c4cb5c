"""Whatever happens to a process or to its files: nothing acknowledged is lost, or it is said."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from pareja.errors import CollectionError, ReadOnlyError
from pareja.search import Collection, Query
from pareja.search.database import _SUMMED, FILE_NAME, SCHEMA

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

REPOSITORY = Path(__file__).parents[2]


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    colours = np.random.default_rng(0).integers(0, 256, (count, 3))
    for n, rgb in enumerate(colours):
        Image.new("RGB", (16, 16), tuple(rgb.tolist())).save(folder / f"{n:03}.png")
    return folder


def python(*arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "src")]),
            "OMP_NUM_THREADS": "1",
        },
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked")
def test_killed_at_20_moments_of_indexing_and_20_of_judging(tmp_path: Path) -> None:
    script = Path(__file__).with_name("kill_moments.py")
    run = python(script, tmp_path, pictures(tmp_path / "pictures", 60), "20")
    err = run.communicate(timeout=120)[1]
    assert run.returncode == 0, err


def test_one_process_searches_while_another_indexes(tmp_path: Path, colours: ColourEncoder) -> None:
    folder = pictures(tmp_path / "pictures", 40)
    with Collection.open(tmp_path / "collection", create=True) as collection:
        collection.index([folder / "000.png"], colours)
        writer = python(
            "-c",
            "import sys; from tests.conftest import ColourEncoder as E\n"
            "from pareja.search import Collection as C\n"
            "C.open(sys.argv[1]).index([sys.argv[2]], E(), batch_size=1)",
            tmp_path / "collection",
            folder,
        )
        seen = [1]
        while writer.poll() is None:
            result = collection.search(Query(text="red"), colours, k=100)
            scores = [hit.score for hit in result.hits]
            assert scores == sorted(scores, reverse=True)
            seen.append(len(scores))
        assert writer.wait() == 0, writer.communicate()[1]
        writer.communicate()
        assert seen == sorted(seen)
        assert len(collection.search(Query(text="red"), colours, k=100).hits) == 40


@pytest.fixture
def place(tmp_path: Path, colour_folder: Path, colours: ColourEncoder) -> Path:
    with Collection.open(tmp_path / "collection", create=True) as collection:
        collection.index([colour_folder], colours)
    return tmp_path / "collection"


def overwrite(path: Path, start: int, content: bytes) -> None:
    with path.open("r+b") as stream:
        stream.seek(start)
        stream.write(content)


def in_sql(place: Path, statement: str) -> None:
    connection = sqlite3.connect(place / FILE_NAME)
    connection.execute(statement)
    connection.commit()
    connection.close()


def make_newer(place: Path) -> None:
    in_sql(place, "PRAGMA user_version = 99")


def make_older(place: Path) -> None:
    for statement in (
        "ALTER TABLE graph DROP COLUMN beam",
        "ALTER TABLE graph DROP COLUMN usual",
        "ALTER TABLE space RENAME COLUMN unrelated_score TO unrelated_gap",
        "ALTER TABLE space DROP COLUMN origin",
        "ALTER TABLE space DROP COLUMN described",
        "ALTER TABLE space DROP COLUMN parts",
        "ALTER TABLE file DROP COLUMN split",
        "DROP TABLE look",
        "DROP TABLE code",
        "DROP TABLE codebook",
        *(f"ALTER TABLE {table} DROP COLUMN checksum" for table in _SUMMED if table != "look"),
        "PRAGMA user_version = 1",
    ):
        in_sql(place, statement)


def make_foreign(place: Path) -> None:
    in_sql(place, "PRAGMA application_id = 7")


def make_garbage(place: Path) -> None:
    (place / FILE_NAME).write_bytes(b"This is no database. " * 1000)


def make_a_file(place: Path) -> None:
    shutil.rmtree(place)
    place.write_text("a file")


def make_another_folder(place: Path) -> None:
    shutil.rmtree(place)
    place.mkdir()
    (place / "holiday.txt").write_text("mine")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (make_newer, "newer pareja .format 99"),
        (make_foreign, "no collection of pareja"),
        (make_garbage, "damaged"),
        (make_a_file, "is a file"),
        (make_another_folder, "holds other files"),
        (shutil.rmtree, "there is no collection"),
    ],
)
def test_what_cannot_be_opened_says_why(
    place: Path, break_it: Callable[[Path], None], message: str
) -> None:
    break_it(place)
    create = break_it is not shutil.rmtree
    with pytest.raises(CollectionError, match=message) as caught:
        Collection.open(place, create=create)
    assert "\n" not in str(caught.value)


def test_damage_in_the_middle_is_found(place: Path) -> None:
    size = (place / FILE_NAME).stat().st_size
    overwrite(place / FILE_NAME, size // 4, os.urandom(size // 2))
    with Collection.open(place) as collection:
        report = collection.verify(repair=True)
    assert not report.ok
    assert not report.repaired


def flip(place: Path, table: str, column: str, row: int) -> None:
    """Flip the lowest bit of the last byte of a cell, as SQLite notices nothing of."""
    with closing(sqlite3.connect(place / FILE_NAME)) as database:
        key = "rowid" if table in ("vector", "picture", "file") else "query"
        where = f"WHERE {key} = (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {row})"  # noqa: S608
        (cell,) = database.execute(f"SELECT {column} FROM {table} {where}").fetchone()  # noqa: S608
        if isinstance(cell, int):
            changed: object = cell ^ 1
        elif isinstance(cell, bytes):
            changed = cell[:-1] + bytes([cell[-1] ^ 1])
        else:
            changed = cell[:-1] + chr(ord(cell[-1]) ^ 1)
        database.execute(f"UPDATE {table} SET {column} = ? {where}", (changed,))  # noqa: S608
        database.commit()


@pytest.mark.parametrize("column", ["vector", "category", "picture"])
def test_a_damaged_vector_is_no_answer_and_is_made_again(
    tmp_path: Path, colours: ColourEncoder, colour_folder: Path, column: str
) -> None:
    with Collection.open(tmp_path / "index", create=True) as collection:
        collection.index([colour_folder], colours)
        flip(tmp_path / "index", "vector", column, 7)
        with pytest.raises(CollectionError, match=r"is damaged: the vector of picture [89] is not"):
            collection.search(Query(text="red"), colours)
        report = collection.verify(repair=True)
        assert any("1 vector is damaged: pictures" in each for each in report.problems)
        assert report.repaired
        collection.index([colour_folder], colours)
        assert collection.verify().ok
        assert len(collection.search(Query(text="red"), colours, k=50).hits) == 8


@pytest.mark.parametrize(
    ("table", "column", "problem"),
    [
        ("picture", "caption", "what is known of 1 picture is damaged: the numbers"),
        ("picture", "digest", "what is known of 1 picture is damaged: the numbers"),
        ("file", "caption", "what is known of 1 file is damaged: "),
        ("file", "name", "what is known of 1 file is damaged: "),
    ],
)
def test_a_damaged_row_is_found_and_made_again(
    tmp_path: Path,
    colours: ColourEncoder,
    colour_folder: Path,
    table: str,
    column: str,
    problem: str,
) -> None:
    with Collection.open(tmp_path / "index", create=True) as collection:
        collection.index([colour_folder], colours)
        before = [replace(each, id=0) for each in collection.pictures()]
        flip(tmp_path / "index", table, column, 3)
        assert problem in collection.verify(repair=True).problems[0]
        collection.index([colour_folder], colours)
        assert collection.verify().ok
        after = [replace(each, id=0) for each in collection.pictures()]
        assert sorted(after, key=str) == sorted(before, key=str)


def test_damaged_judgements_are_named(
    tmp_path: Path, colours: ColourEncoder, colour_folder: Path
) -> None:
    place = tmp_path / "index"
    with Collection.open(place, create=True) as collection:
        collection.index([colour_folder], colours)
        collection.create_query_set("mine", ["a wall", "a door"])
        collection.judge("a wall", collection.pictures()[0].id, True)
        assert collection.verify().ok
        flip(place, "judgement", "relevant", 0)
        flip(place, "query_set", "query", 0)
        judged, queries = collection.verify(repair=True).problems
        assert judged == "judgements of 1 query are damaged: a wall; judge them again"
        assert queries == "queries of 1 query set are damaged: mine; make them anew"
        collection.judge("a wall", collection.pictures()[0].id, True)
        assert len(collection.verify().problems) == 1


def test_texts_that_are_no_texts_are_damage(
    place: Path, colours: ColourEncoder, colour_folder: Path
) -> None:
    damage = f"the collection in {place} is damaged: a text in it is not UTF-8. Restore it"
    in_sql(place, "UPDATE file SET caption = CAST(x'41ff0a' AS TEXT)")
    with Collection.open(place) as collection:
        with pytest.raises(CollectionError, match=re.escape(damage)) as caught:
            collection.index([colour_folder], colours)
        report = collection.verify(repair=True)
        assert (report.problems, report.repaired) == ((str(caught.value),), False)
        in_sql(place, "UPDATE picture SET caption = CAST(x'41ff0a' AS TEXT)")
        with pytest.raises(CollectionError, match=re.escape(damage)):
            collection.search(Query(text="red"), colours)
    assert "\n" not in str(caught.value)


def test_a_locked_collection_says_so(
    place: Path,
    colour_folder: Path,
    colours: ColourEncoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pareja.sqlite.WAIT_SECONDS", 0.05)
    other = sqlite3.connect(place / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with Collection.open(place) as collection:
            assert collection.search(Query(text="red"), colours).hits
            with pytest.raises(CollectionError, match="is locked"):
                collection.judge("red", 1, True)
    finally:
        other.close()


def test_a_full_disk_loses_nothing_that_was_there(
    place: Path, tmp_path: Path, colours: ColourEncoder
) -> None:
    more = pictures(tmp_path / "more", 200)
    with Collection.open(place) as collection:
        with collection._database.write() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(CollectionError, match="no room left"):
            collection.index([more], colours, batch_size=50)
    with Collection.open(place) as collection:
        assert collection.verify().ok
        assert collection.search(Query(text="red"), colours).hits[0].picture.path.stem == "red"
        assert collection.index([more], colours).added + collection.count() >= 208


def test_reading_only_never_writes(place: Path, tmp_path: Path, colours: ColourEncoder) -> None:
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    with Collection.open(place, read_only=True) as collection:
        assert collection.search(Query(text="red"), colours).hits[0].picture.path.stem == "red"
        with pytest.raises(CollectionError, match="for reading only"):
            collection.judge("red", 1, True)
        with pytest.raises(CollectionError, match="for reading only"):
            collection.index([pictures(tmp_path / "more", 1)], colours)
    after = {name: (place / name).read_bytes() for name in before}
    assert after == before


def test_a_medium_that_cannot_be_written_to_is_read(
    place: Path, tmp_path: Path, colours: ColourEncoder, seal: Callable[[Path], None]
) -> None:
    seal(place)
    with Collection.open(place) as collection:
        assert collection.read_only
        assert collection.search(Query(text="red"), colours).hits[0].picture.path.stem == "red"
        assert collection.verify(repair=True).ok
        for write in (
            lambda: collection.judge("red", 1, True),
            lambda: collection.create_query_set("walls", ["red"]),
            lambda: collection.index([pictures(tmp_path / "more", 1)], colours),
            lambda: collection.forget(tmp_path),
        ):
            with pytest.raises(ReadOnlyError, match="may not be written to") as refused:
                write()
            assert "\n" not in str(refused.value)
    with pytest.raises(ReadOnlyError, match="may not be written to"):
        Collection.open(place, create=True)


def test_what_cannot_be_written_cannot_be_repaired(
    place: Path, seal: Callable[[Path], None]
) -> None:
    in_sql(place, "DELETE FROM file WHERE picture = 1")
    seal(place)
    with Collection.open(place) as collection:
        report = collection.verify(repair=True)
        assert report.problems == ("1 picture has no file",)
        assert not report.repaired
        assert collection.count() == 8


def test_what_somebody_else_may_write_is_seen(place: Path, seal: Callable[[Path], None]) -> None:
    owner = sqlite3.connect(place / FILE_NAME, isolation_level=None)
    owner.execute("SELECT * FROM picture").fetchall()
    owner.close()
    connect = sqlite3.connect
    seal(place)
    with Collection.open(place) as collection:
        assert collection.judgements("red") == {}
        owner = connect(place / FILE_NAME, isolation_level=None)
        owner.execute("INSERT INTO judgement SELECT 'red', digest, 1, 0 FROM picture WHERE id = 1")
        owner.close()
        assert collection.judgements("red") == {1: True}


@pytest.mark.skipif(not hasattr(os, "setresuid"), reason="rights are those of POSIX")
def test_the_rights_of_files_and_folders_count(place: Path, colours: ColourEncoder) -> None:
    def best() -> str:
        with Collection.open(sealed) as collection:
            assert collection.read_only is not writable
            return collection.search(Query(text="red"), colours).hits[0].picture.path.stem

    # The folders of tests are their owner's alone.
    with tempfile.TemporaryDirectory() as everybodys:
        Path(everybodys).chmod(0o755)
        sealed = shutil.copytree(place, Path(everybodys, "sealed"))
        writable = True
        assert best() == "red"
        for path, mode in ((sealed, 0o555), (sealed / FILE_NAME, 0o444)):
            path.chmod(mode)
        writable = False
        is_root = os.geteuid() == 0
        if is_root:
            os.setresuid(65534, 65534, 0)
        try:
            assert best() == "red"
        finally:
            if is_root:
                os.setresuid(0, 0, 0)
            sealed.chmod(0o755)


def test_a_closed_collection_says_so(place: Path, colours: ColourEncoder) -> None:
    collection = Collection.open(place)
    collection.close()
    with pytest.raises(CollectionError, match="has been closed"):
        collection.count()
    with pytest.raises(CollectionError, match="has been closed"):
        collection.judge("red", 1, True)


def test_a_folder_with_an_unusual_name_holds_a_collection(
    tmp_path: Path, colour_folder: Path, colours: ColourEncoder
) -> None:
    place = tmp_path / "Índice #1 ?x=%20 紅"
    with Collection.open(place, create=True) as collection:
        collection.index([colour_folder], colours)
    with Collection.open(place, read_only=True) as collection:
        assert collection.count() == 8


@pytest.mark.parametrize("read_only", [False, True])
def test_an_older_format_is_brought_up_to_date(
    tmp_path: Path, colours: ColourEncoder, read_only: bool
) -> None:
    place = tmp_path / "index"
    with Collection.open(place, create=True) as collection:
        collection.index([pictures(tmp_path / "some", 12)], colours)
    make_older(place)
    with Collection.open(place, read_only=read_only) as collection:
        assert len(collection.search(Query(text="red"), colours, k=3).hits) == 3
        assert collection.count() == 12


def test_an_older_format_that_cannot_be_written_says_so(
    tmp_path: Path, colours: ColourEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "index"
    with Collection.open(place, create=True) as collection:
        collection.index([pictures(tmp_path / "some", 3)], colours)
    make_older(place)
    broken = replace(SCHEMA, migrations=("", "SELECT nothing FROM nowhere"))
    monkeypatch.setattr("pareja.search.database.SCHEMA", broken)
    with pytest.raises(CollectionError, match="older pareja, and could not be brought up to date"):
        Collection.open(place, read_only=True)


def test_an_older_format_in_a_place_that_may_not_be_written_to_says_so(
    place: Path, seal: Callable[[Path], None]
) -> None:
    make_older(place)
    seal(place)
    with pytest.raises(CollectionError, match=r"older pareja, .* may not be written to"):
        Collection.open(place)
