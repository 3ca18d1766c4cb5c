from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from pareja.errors import OutputError
from pareja.sqlite import Schema, connect, connect_to_read, explained, in_parts, transaction

SCHEMA = Schema(77, ("CREATE TABLE one (a); CREATE TABLE two (b);",))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.sqlite3"


@pytest.fixture
def database(path: Path) -> Iterator[sqlite3.Connection]:
    connection = connect(path)
    SCHEMA.migrate(connection)
    yield connection
    connection.close()


def tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master ORDER BY name")
    return [name for (name,) in rows]


def test_an_empty_file_gets_its_tables(path: Path) -> None:
    connection = connect(path)
    assert SCHEMA.version_of(connection) == 0
    SCHEMA.migrate(connection)
    assert (SCHEMA.version_of(connection), tables(connection)) == (1, ["one", "two"])
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_only_the_migrations_that_are_missing_are_run(database: sqlite3.Connection) -> None:
    later = replace(SCHEMA, migrations=(*SCHEMA.migrations, "ALTER TABLE one ADD COLUMN c"))
    database.execute("INSERT INTO one VALUES (5)")
    later.migrate(database)
    later.migrate(database)
    assert database.execute("SELECT a, c FROM one").fetchall() == [(5, None)]
    assert later.version_of(database) == 2
    SCHEMA.migrate(database)
    assert later.version_of(database) == 2


def test_a_migration_that_fails_changes_nothing(database: sqlite3.Connection) -> None:
    broken = replace(SCHEMA, migrations=(*SCHEMA.migrations, "DROP TABLE one; DROP TABLE none"))
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        broken.migrate(database)
    assert (SCHEMA.version_of(database), tables(database)) == (1, ["one", "two"])


def test_the_database_of_another_program_is_known_by_its_number(
    database: sqlite3.Connection,
) -> None:
    assert replace(SCHEMA, application=78).version_of(database) is None


def test_who_promised_to_read_cannot_write(database: sqlite3.Connection, path: Path) -> None:
    reader = connect_to_read(path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("INSERT INTO one VALUES (5)")
    database.execute("INSERT INTO one VALUES (5)")
    assert reader.execute("SELECT a FROM one").fetchall() == [(5,)]
    reader.close()


def test_a_block_that_fails_writes_nothing(database: sqlite3.Connection) -> None:
    def fail() -> None:
        database.execute("INSERT INTO one VALUES (1)")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), transaction(database):
        fail()
    with transaction(database):
        database.execute("INSERT INTO one VALUES (2)")
    assert database.execute("SELECT a FROM one").fetchall() == [(2,)]


def test_the_cause_is_told_where_sqlite_has_rolled_back_by_itself(
    database: sqlite3.Connection,
) -> None:
    def fail() -> None:
        database.execute("ROLLBACK")
        database.execute("SELECT * FROM missing")

    with pytest.raises(sqlite3.OperationalError, match="no such table"), transaction(database):
        fail()
    with transaction(database):
        database.execute("INSERT INTO one VALUES (1)")


def test_parts_are_all_there_once_and_in_order() -> None:
    parts = list(in_parts(range(1201)))
    assert [value for some, _ in parts for value in some] == list(range(1201))
    assert all(marks.count("?") == len(some) for some, marks in parts)
    assert list(in_parts([])) == []


def told(error: Exception) -> str:
    with pytest.raises(OutputError) as caught, explained("it", OutputError, if_damaged="Mend it."):
        raise error
    return str(caught.value)


def test_what_went_wrong_is_one_line(database: sqlite3.Connection, path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError) as missing:
        database.execute("SELECT * FROM missing")
    assert told(missing.value) == (
        "it cannot be used: no such table: missing. Check its disk. Mend it."
    )
    assert told(PermissionError(13, "Permission denied", "x")) == (
        "it cannot be used: Permission denied. Choose a place that you may read and write."
    )
    path.with_name("none").write_bytes(b"no database " * 100)
    with pytest.raises(sqlite3.DatabaseError) as damaged:
        connect(path.with_name("none"))
    assert told(damaged.value) == "it is damaged: file is not a database. Mend it."


def test_a_statement_of_the_schema_that_is_no_text_is_one_line(
    database: sqlite3.Connection, path: Path
) -> None:
    database.execute("CREATE TABLE thing (name TEXT)")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    content = path.read_bytes()
    path.write_bytes(content.replace(b"thing (name", b"thing \xa8name"))
    with (
        pytest.raises(OutputError, match=r"mine is damaged: a text in it is not UTF-8\. Remove it"),
        explained("mine", OutputError, if_damaged="Remove it."),
    ):
        connect(path)


def test_another_writer_is_waited_for_and_named(
    database: sqlite3.Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareja.sqlite.WAIT_SECONDS", 0.05)
    other = connect(path)
    with transaction(database):
        with pytest.raises(sqlite3.OperationalError) as locked, transaction(other):
            pass
        assert told(locked.value).startswith("it is locked: another program has been writing")
    other.close()


def test_two_programs_make_the_same_database_at_once(path: Path) -> None:
    first, second = connect(path), connect(path)
    first.execute("BEGIN IMMEDIATE")
    first.execute("CREATE TABLE one (a)")
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(SCHEMA.migrate, second)
        time.sleep(0.05)
        assert not made.done()
        first.execute("ROLLBACK")
        made.result()
    SCHEMA.migrate(first)
    assert tables(first) == ["one", "two"]
    for connection in (first, second):
        connection.close()


def test_what_another_program_holds_is_not_waited_for_forever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareja.sqlite.WAIT_SECONDS", 0.05)
    first, second = connect(path), connect(path)
    first.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as locked:
        SCHEMA.migrate(second)
    assert told(locked.value).startswith("it is locked: another program has been writing")
    for connection in (first, second):
        connection.close()
