from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pareja import staging
from pareja.checksums import MARKER
from pareja.errors import OutputError
from pareja.files import (
    add_to_directory,
    atomic_write,
    replace_own,
    staged_directory,
    staged_file,
)
from pareja.staging import locked, staging_path, unnamed_file


def entries(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("content", [b"a\r\n\x00", "añil\r\n"])
def test_a_file_is_written_as_it_is_with_its_folders(tmp_path: Path, content: bytes | str) -> None:
    path = atomic_write(tmp_path / "a" / "b" / "c.txt", content)
    expected = content if isinstance(content, bytes) else content.encode()
    assert path.read_bytes() == expected
    assert entries(tmp_path) == ["a", "a/b", "a/b/c.txt"]


def test_a_file_keeps_the_permissions_that_new_files_get(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    written = atomic_write(tmp_path / "written", "")
    assert written.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    atomic_write(tmp_path / "a", "one")
    with pytest.raises(OutputError, match=r"a exists\. Pass `force=True`"):
        atomic_write(tmp_path / "a", "two")
    assert (tmp_path / "a").read_text() == "one"
    atomic_write(tmp_path / "a", "two", force=True)
    assert (tmp_path / "a").read_text() == "two"
    with pytest.raises(OutputError, match="is a folder"):
        atomic_write(tmp_path, "three", force=True)


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    def write() -> None:
        with staged_file(tmp_path / "a") as stream:
            stream.write(b"mine")
            (tmp_path / "a").write_text("theirs")

    with pytest.raises(OutputError, match="exists"):
        write()
    assert (tmp_path / "a").read_text() == "theirs"
    assert entries(tmp_path) == ["a"]


FILE_WRITER = """
import sys, time
from pareja.files import staged_file
with staged_file(sys.argv[1]) as stream:
    stream.write(b"half")
    stream.flush()
    print("open", flush=True)
    time.sleep(60)
"""
NAMED_WRITER = f"import pareja.files\npareja.files.unnamed_file = lambda _: None\n{FILE_WRITER}"
FOLDER_WRITER = """
import sys, time
from pareja.files import staged_directory
with staged_directory(sys.argv[1]) as staging:
    (staging / "figures").mkdir()
    (staging / "figures" / "half").touch()
    print("open", flush=True)
    time.sleep(60)
"""


def killed(writer: str, target: Path) -> None:
    stop(writing(writer, target))


def writing(writer: str, target: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", writer, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "open\n"
    return child


def stop(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.communicate()


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="needs files without a name")
def test_a_killed_run_leaves_no_file(tmp_path: Path) -> None:
    killed(FILE_WRITER, tmp_path / "a")
    assert entries(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no locks that end with a process")
@pytest.mark.parametrize("writer", [NAMED_WRITER, FOLDER_WRITER], ids=["file", "folder"])
def test_what_a_killed_run_left_is_removed_and_what_another_run_writes_is_not(
    tmp_path: Path, writer: str
) -> None:
    finish = atomic_write if writer == NAMED_WRITER else write_run
    killed(writer, tmp_path / "b")
    (of_another_target,) = tmp_path.iterdir()
    killed(writer, tmp_path / "a")
    running = writing(writer, tmp_path / "a")
    try:
        (written,) = set(tmp_path.iterdir()) - {of_another_target} - unlocked(tmp_path)
        finish(tmp_path / "a", "new")
        assert set(tmp_path.iterdir()) == {tmp_path / "a", of_another_target, written}
    finally:
        stop(running)


def unlocked(folder: Path) -> set[Path]:
    found = set()
    for path in folder.iterdir():
        with locked(path) as ours:
            if ours:
                found.add(path)
    return found


@pytest.mark.parametrize("opened", [unnamed_file, lambda target: None], ids=["unnamed", "named"])
def test_every_way_of_writing_a_file_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[[Path], object]
) -> None:
    monkeypatch.setattr("pareja.files.unnamed_file", opened)
    with staged_file(tmp_path / "deep" / "a") as stream:
        stream.write(b"one")
        stream.seek(0)
        assert stream.read() == b"one"
    atomic_write(tmp_path / "deep" / "a", "two", force=True)
    assert (tmp_path / "deep" / "a").read_text() == "two"
    assert entries(tmp_path) == ["deep", "deep/a"]


def test_a_file_that_cannot_be_given_a_name_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refused)
    assert atomic_write(tmp_path / "a", "one").read_text() == "one"
    assert entries(tmp_path) == ["a"]


def test_what_another_run_takes_for_abandoned_at_once_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, taken = staging._lock, list[Path]()

    def beaten(descriptor: int) -> bool | None:
        for path in set(tmp_path.iterdir()) if not taken else ():
            taken.append(path)
            path.rmdir() if path.is_dir() else path.unlink()
        return lock(descriptor)

    monkeypatch.setattr(staging, "_lock", beaten)
    with staging.locked_file(tmp_path / "a") as stream:
        assert Path(stream.name).exists()
    taken.clear()
    with staging.locked_folder(tmp_path / "b") as made:
        assert made.is_dir()
    assert taken


@pytest.mark.skipif(os.name == "nt", reason="Windows has no locks that end with a process")
def test_an_earlier_result_outlives_a_run_that_fails(tmp_path: Path) -> None:
    # As after a kill between the two renames that put one folder in the place of another.
    write_run(tmp_path / "out", "one")
    aside = staging_path((tmp_path / "out").resolve())
    (tmp_path / "out").rename(aside)

    def fail() -> None:
        with staged_directory(tmp_path / "out"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (aside / "report.md").read_text() == "one"
    write_run(tmp_path / "out", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_run_leaves_no_file_and_no_folders(tmp_path: Path) -> None:
    def write() -> None:
        with staged_file(tmp_path / "x" / "a") as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert entries(tmp_path) == []


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"a\.zip cannot be written: No space left.*Free some"),
        staged_file(tmp_path / "a.zip"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert entries(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the size of files")
@pytest.mark.parametrize("opened", [unnamed_file, lambda target: None], ids=["unnamed", "named"])
def test_a_disk_that_is_full_still_when_the_file_is_closed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[[Path], object]
) -> None:
    import resource

    monkeypatch.setattr("pareja.files.unnamed_file", opened)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OutputError, match=r"a cannot be written: File too large"):
            atomic_write(tmp_path / "a", bytes(200))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert entries(tmp_path) == []


def test_a_place_without_permission_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with (
        pytest.raises(OutputError, match=r"Permission denied\. Choose a place"),
        staged_directory(tmp_path / "out"),
    ):
        pytest.fail("the block must not start")


def test_a_file_in_the_way_of_a_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(OutputError, match="Not a directory"):
        atomic_write(tmp_path / "a" / "b", "")
    with pytest.raises(OutputError, match="a is a file"), staged_directory(tmp_path / "a"):
        pytest.fail("the block must not start")


def test_errors_of_reading_pass_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), staged_directory(tmp_path / "out"):
        (tmp_path / "absent").read_bytes()
    assert entries(tmp_path) == []


def write_run(out: Path, content: str, *, force: bool = False) -> None:
    with staged_directory(out, force=force) as staging:
        (staging / "figures").mkdir()
        (staging / "figures" / "a.svg").write_text(content)
        (staging / "report.md").write_text(content)


def test_a_file_that_is_added_belongs_to_the_folder(tmp_path: Path) -> None:
    with staged_directory(tmp_path / "out") as staging:
        (staging / "a.txt").write_text("a")
    added = add_to_directory(tmp_path / "out", "b.txt", "b\n")
    assert added.read_bytes() == b"b\n"
    with staged_directory(tmp_path / "out", force=True) as staging:
        (staging / "a.txt").write_text("again")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [MARKER, "a.txt"]


def test_a_folder_appears_whole_and_lists_what_was_written(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with staged_directory(out) as staging:
        (staging / "a").write_text("x")
        assert not out.exists()
        assert not out.parent.exists()
    assert (out / "a").read_text() == "x"
    assert entries(tmp_path / "deep") == ["out", f"out/{MARKER}", "out/a"]
    # the SHA-256 of "x"
    assert (out / MARKER).read_text() == (
        "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  a\n"
    )


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".DS_Store").touch()
    write_run(tmp_path / "out", "one")
    assert (tmp_path / "out" / "report.md").read_text() == "one"


def test_an_earlier_run_is_replaced_only_by_force(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_run(out, "one")
    with pytest.raises(OutputError, match=r"not empty\. Pass `force=True`"):
        write_run(out, "two")
    assert (out / "report.md").read_text() == "one"
    write_run(out, "two", force=True)
    assert (out / "report.md").read_text() == "two"
    assert entries(tmp_path) == [
        "out",
        f"out/{MARKER}",
        "out/figures",
        "out/figures/a.svg",
        "out/report.md",
    ]


def test_a_folder_of_others_is_never_replaced(tmp_path: Path) -> None:
    out = tmp_path / "photos"
    out.mkdir()
    (out / "wedding.jpg").write_text("dear")
    with pytest.raises(OutputError, match="was not written by pareja"):
        write_run(out, "one", force=True)
    assert entries(tmp_path) == ["photos", "photos/wedding.jpg"]


@pytest.mark.parametrize("own", ["notes.txt", "report.md", "figures/mine.svg"])
def test_a_folder_with_the_users_work_is_not_replaced(tmp_path: Path, own: str) -> None:
    out = tmp_path / "out"
    write_run(out, "one")
    (out / own).write_text("my analysis")
    with pytest.raises(OutputError, match=f"added or edited since pareja wrote it: {own}"):
        write_run(out, "two", force=True)
    assert (out / own).read_text() == "my analysis"


def test_links_in_a_folder_count_as_the_users(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_run(out, "one")
    (tmp_path / "elsewhere").mkdir()
    (out / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(OutputError, match="link"):
        write_run(out, "two", force=True)


def test_a_note_written_during_the_run_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_run(out, "one")

    def write() -> None:
        with staged_directory(out, force=True) as staging:
            (staging / "report.md").write_text("two")
            (out / "notes.txt").write_text("mine")

    with pytest.raises(OutputError, match=r"notes\.txt"):
        write()
    assert (out / "report.md").read_text() == "one"


def test_the_current_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=r"\. is the current folder"), staged_directory("."):
        pytest.fail("the block must not start")


def test_a_mounted_folder_is_refused() -> None:
    with pytest.raises(OutputError, match="mounted folder"), staged_directory("/"):
        pytest.fail("the block must not start")


def test_a_swap_that_fails_halfway_restores_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    write_run(out, "one")
    rename = Path.rename
    calls: list[Path] = []

    def fail_second(self: Path, target: Path) -> Path:
        calls.append(self)
        if len(calls) == 2:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_second)
    with pytest.raises(OutputError, match="Permission denied"):
        write_run(out, "two", force=True)
    assert (out / "report.md").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_files_that_were_written_here_are_replaced_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    replace_own(tmp_path, {"a.txt": b"1", "b.txt": b"2"})
    assert replace_own(tmp_path, {"a.txt": b"3"}) == [tmp_path / "a.txt"]
    (tmp_path / "b.txt").write_text("changed by hand")
    for taken in ("b.txt", "mine.txt"):
        with pytest.raises(OutputError, match=f"{taken} was not written here"):
            replace_own(tmp_path, {"a.txt": b"4", taken: b"4"})
    assert (tmp_path / "a.txt").read_text() == "3"
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_a_disk_that_fails_at_the_end_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match=r"out\.csv cannot be written: Input/output error"):
        atomic_write(tmp_path / "out.csv", "text")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", ["s3://bucket/out.html", Path("s3://bucket/out.html")])
def test_a_url_is_no_place_to_write_to(
    out: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="is on other storage"):
        atomic_write(out, "x")
    with pytest.raises(OutputError, match="is on other storage"), staged_directory(out):
        pass
    assert not list(tmp_path.iterdir())
