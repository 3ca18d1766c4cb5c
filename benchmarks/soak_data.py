"""Trials with damaged files, odd names, and data that means harm."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from soak_row import HOSTILE, Row, png, run

import pareja
from pareja.classifiers.learned import load_classifier
from pareja.datasets import load_dataset
from pareja.embedding import cache
from pareja.embedding.cache import EmbeddingCache
from pareja.encoders.protocols import Fingerprint
from pareja.errors import ParejaError
from pareja.inputs import find_pictures
from pareja.search import Collection
from pareja.search.database import FILE_NAME, SCHEMA
from pareja.sqlite import Schema, connect, transaction

_DRAW = random.Random(0)  # noqa: S311  draws no secret
_SPACE = Fingerprint("soak", "1", "none", "none")


def _flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    changed[_DRAW.randrange(len(changed))] ^= 1 << _DRAW.randrange(8)
    return bytes(changed)


def _ending(work: Callable[[], object]) -> str:
    try:
        work()
    except ParejaError:
        return "refused in one line"
    return "taken"


def flipped_bits(folder: Path, times: int) -> Iterator[Row]:
    """Flip one bit of what is kept on disk."""
    data = load_dataset("pareja20")
    row = Row("a bit of a saved classifier flipped", ["refused in one line"])
    file = folder / "c.safetensors"
    pareja.learn(data, truth="category").save(file)
    whole = file.read_bytes()
    for _ in range(300 * times):
        file.write_bytes(_flipped(whole))
        row.add(_ending(lambda: load_classifier(file)))
    yield row
    row = Row("a bit of a vector in the embedding cache flipped", ["computed again"])
    vectors = np.random.default_rng(0).standard_normal((150 * times, 64)).astype(np.float32)
    with EmbeddingCache(folder / "cache.sqlite3") as opened:
        opened.store(_SPACE, {f"{n:064x}": vector for n, vector in enumerate(vectors)})
        for n, vector in enumerate(vectors):
            opened._database.execute(
                "UPDATE embedding SET vector = ? WHERE digest = ?",
                (_flipped(vector.tobytes()), f"{n:064x}"),
            )
            found = opened.find(_SPACE, [f"{n:064x}"])
            row.add("taken as it is" if found else "computed again")
    yield row
    row = Row("a bit of a vector or caption in a collection flipped", ["found by `--verify`"])
    with Collection.open(folder / "index", create=True) as collection:
        collection.index(data)
    whole = (folder / "index" / FILE_NAME).read_bytes()
    for number in range(100 * times):
        (folder / "index" / FILE_NAME).write_bytes(whole)
        table, column = (("vector", "vector"), ("picture", "caption"))[number % 2]
        with sqlite3.connect(folder / "index" / FILE_NAME) as database:
            key = _DRAW.randrange(1, 21)
            (cell,) = database.execute(
                f"SELECT {column} FROM {table} WHERE rowid = {key}"  # noqa: S608  constants
            ).fetchone()
            changed = _flipped(cell) if isinstance(cell, bytes) else f"{cell[:-1]}~"
            database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = {key}", (changed,))  # noqa: S608  constants
        database.close()
        with Collection.open(folder / "index") as collection:
            row.add("unnoticed" if collection.verify().ok else "found by `--verify`")
    yield row


def other_versions(folder: Path, times: int) -> Iterator[Row]:
    """Open files of every format that there has been, and of one that is yet to come."""
    row = Row("a collection or cache of an older format opened", ["brought up to date, sound"])
    for version in range(1, SCHEMA.newest):
        place = folder / f"{version}"
        place.mkdir()
        _of_version(place / FILE_NAME, SCHEMA, version)
        with Collection.open(place) as collection:
            sound = collection.verify().ok and collection.index("pareja20").added == 20
        row.add("brought up to date, sound" if sound else "something else")
    for version in range(1, cache.SCHEMA.newest):
        _of_version(folder / f"{version}.sqlite3", cache.SCHEMA, version)
        with EmbeddingCache(folder / f"{version}.sqlite3") as opened:
            opened.store(_SPACE, {"a": np.ones(3, np.float32)})
            sound = "a" in opened.find(_SPACE, ["a"])
        row.add("brought up to date, sound" if sound else "something else")
    yield row
    row = Row("a collection or cache of a later format", ["refused in one line"])
    place = folder / "later"
    with Collection.open(place, create=True) as collection:
        collection.index("pareja20")
    with EmbeddingCache(folder / "later.sqlite3"):
        pass
    for file in (place / FILE_NAME, folder / "later.sqlite3"):
        with closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA user_version = 99")
    row.add(_ending(lambda: Collection.open(place)))
    row.add(_ending(lambda: EmbeddingCache(folder / "later.sqlite3")))
    yield row


def _of_version(file: Path, schema: Schema, version: int) -> None:
    """Make an empty database as the version of pareja made it that had this schema."""
    with closing(connect(file)) as database, transaction(database):
        for migration in schema.migrations[:version]:
            for statement in filter(str.strip, migration.split(";")):
                database.execute(statement)
        database.execute(f"PRAGMA application_id = {schema.application}")
        database.execute(f"PRAGMA user_version = {version}")


def copies_of_an_open_collection(folder: Path, times: int) -> Iterator[Row]:
    """Copy a collection's files while it is written to."""
    row = Row(
        "a collection copied, file by file, while it is judged",
        ["sound", "named as damaged, or refused"],
    )
    place, stop = folder / "index", threading.Event()
    with Collection.open(place, create=True) as collection:
        collection.index("pareja20")

        def write() -> None:
            while not stop.is_set():
                collection.judge(f"query {_DRAW.random()}", collection.pictures()[0].id, True)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            for number in range(10 * times):
                copy = folder / f"copy-{number}"
                shutil.copytree(place, copy)
                try:
                    with Collection.open(copy) as opened:
                        sound = opened.verify().ok
                except ParejaError:
                    sound = False
                row.add("sound" if sound else "named as damaged, or refused")
        finally:
            stop.set()
            thread.join()
    yield row


def odd_names(folder: Path, times: int) -> Iterator[Row]:
    """Index and search pictures whose names are no text, print alike or command a terminal."""
    names = [b"caf\xe9.png", b"caf\xe8.png", b"caf%E9.png", b"a\x1b[2J.png", b"b\nc.png", b"-x.png"]
    pictures = folder / os.fsdecode(b"d\xe9")
    pictures.mkdir()
    for number, name in enumerate(names):
        (pictures / os.fsdecode(name)).write_bytes(png(40 * number))
    row = Row("pictures with names that are no UTF-8, print alike or hold escapes", ["found"])
    index = str(folder / "index")
    run("index", str(pictures), "--index", index)
    status, said = run("search", "blue", "--index", index, "-k", "20", "--json")
    for number in range(len(names)):
        row.add("found" if status == 0 and said.count('"path"') > number else said[-60:])
    yield row
    row = Row("the same printed to a pipe that knows ASCII alone", ["printed"])
    os.environ["PYTHONIOENCODING"] = "ascii"
    for words in (("search", "blue"), ("search", "blue", "--json"), ("index", "--verify")):
        status, said = run(*words, "--index", index)
        row.add("printed" if status == 0 and "\x1b" not in said else said[-60:])
    del os.environ["PYTHONIOENCODING"]
    yield row


def hostile_archives(folder: Path, times: int) -> Iterator[Row]:
    """Open archives whose members have names that lead out, or are there twice."""
    row = Row("archives with members that lead out, or are there twice", ["refused in one line"])
    names = [
        "../a.png",
        "/etc/a.png",
        "b/../../a.png",
        "C:\\a.png",
        "..\\a.png",
        "\\a.png",
        "a.png",
    ]
    for number, name in enumerate(names):
        file = folder / f"{number}.zip"
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("a.png", png())
            if name == "a.png":
                archive.filelist.append(archive.filelist[0])
            else:
                info = zipfile.ZipInfo("x")
                info.filename = name
                archive.writestr(info, png())
        row.add(_ending(lambda file=file: load_dataset(file)))  # type: ignore[misc]  # mypy infers no default
    yield row


def ways_out(folder: Path, times: int) -> Iterator[Row]:
    """Name files of this machine from within data, and addresses that are none."""
    private, theirs = folder / "private", folder / "theirs"
    private.mkdir()
    (private / "a.png").write_bytes(png())
    row = Row("data whose rows and links lead to other files of this machine", ["not read"])
    for number, name in enumerate(
        [
            "../private/a.png",
            str(private / "a.png"),
            "link.png",
            "..\\private\\a.png",
            "folder/a.png",
        ]
    ):
        place = theirs / str(number)
        place.mkdir(parents=True)
        (place / "link.png").symlink_to(private / "a.png")
        (place / "folder").symlink_to(private)
        (place / "own.png").write_bytes(png(9))
        table = f"file_name,caption\n{name},a cat\nown.png,a dog\n"
        (place / "metadata.csv").write_text(table, encoding="utf-8")
        try:
            read = [source.read() for source in find_pictures(place).sources]
        except ParejaError:
            read = []
        row.add("read" if png() in read else "not read")
    yield row
    row = Row("addresses of the hub that are none", ["refused in one line"])
    for address in ("../../etc", "a/..", "./b", "-a/b", "a//b", "a/b/c/d", "a\\b/c", "a/b..c"):
        row.add(_ending(lambda address=address: load_dataset(f"hf://{address}")))  # type: ignore[misc]  # as above
    yield row


def hostile_captions(folder: Path, times: int) -> Iterator[Row]:
    """Open a report with hostile captions in a browser, from its file."""
    row = Row("reports with hostile captions opened from a file in a browser", ["no script ran"])
    rows = "".join(f'{n}.png,"{c.replace(chr(34), chr(34) * 2)}"\n' for n, c in enumerate(HOSTILE))
    for number in range(len(HOSTILE)):
        (folder / f"{number}.png").write_bytes(png(30 * number))
    (folder / "metadata.csv").write_text(f"file_name,caption\n{rows}", encoding="utf-8")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return
    run("study", str(folder), "-o", str(folder / "out"), "--lang", "en", "--lang", "es")
    pages = sorted((folder / "out").rglob("*.html"))
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"))
        for file in pages:
            page = browser.new_page()
            page.goto(file.as_uri())
            row.add("a script ran" if page.title() == "ran" else "no script ran")
        browser.close()
    yield row
