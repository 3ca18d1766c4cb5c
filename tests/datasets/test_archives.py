from __future__ import annotations

import os
import pickle
import stat
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from pareja.datasets import load_dataset
from pareja.datasets.formats import archives
from pareja.errors import DatasetError, ImageError

METADATA = "file_name,caption,category\na.jpg,A,x\ncats/b.jpg,B,y\n"


def zipped(path: Path, files: dict[str, bytes | str], compression: int = ZIP_DEFLATED) -> Path:
    with ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        load_dataset(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("root", ["", "my set/"])
def test_a_zip_is_read_in_place(tmp_path: Path, root: str) -> None:
    files: dict[str, bytes | str] = {
        f"{root}metadata.csv": METADATA,
        f"{root}a.jpg": b"picture a",
        f"{root}cats/b.jpg": b"picture b",
        f"{root}cats/left out.jpg": b"",
        f"__MACOSX/{root}._a.jpg": b"",
        f"{root}ATTRIBUTION.md": "Thanks",
    }
    path = zipped(tmp_path / "set.zip", files)
    dataset = load_dataset(path)
    assert [(r.file_name, r.caption, r.source.read()) for r in dataset] == [
        ("a.jpg", "A", b"picture a"),
        ("cats/b.jpg", "B", b"picture b"),
    ]
    assert (dataset.name, dataset.location, dataset.attribution) == ("set", path, "Thanks")
    assert dataset.unlisted == ("cats/left out.jpg",)
    assert str(dataset.records[0].source) == f"{path}/{root}a.jpg"
    assert pickle.loads(pickle.dumps(dataset)) == dataset  # noqa: S301
    assert [entry.name for entry in tmp_path.iterdir()] == ["set.zip"]


def test_a_zip_by_another_name(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.dataset", {"x/a.jpg": b"", "y/b.jpg": b""})
    assert [record.category for record in load_dataset(path)] == ["x", "y"]


def test_names_of_macs_and_of_old_windows(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {"cig\xfce\xf1a.jpg": b"x", "a/b.jpg": b""})
    raw = path.read_bytes()
    # without the flag that says UTF-8, and with a backslash
    raw = raw.replace(b"\x00\x08\x08\x00", b"\x00\x00\x08\x00").replace(b"a/b.jpg", b"a\\b.jpg")
    path.write_bytes(raw)
    assert [r.file_name for r in load_dataset(path)] == ["a/b.jpg", "cig\xfce\xf1a.jpg"]
    old = zipped(tmp_path / "old.zip", {"cig\xfc.jpg": b"x"}).read_bytes()
    # the u umlaut in code page 437, whose byte is no UTF-8
    old = old.replace(b"\x00\x08\x08\x00", b"\x00\x00\x08\x00").replace(b"g\xc3\xbc.", b"g_\x81.")
    (tmp_path / "old.zip").write_bytes(old)
    assert [r.file_name for r in load_dataset(tmp_path / "old.zip")] == ["cig_\xfc.jpg"]


@pytest.mark.parametrize(
    "name", ["../evil.jpg", "/etc/evil.jpg", "a/../../evil.jpg", "C:\\evil.jpg"]
)
def test_members_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    said = refusal(zipped(tmp_path / "set.zip", {"a.jpg": b"", name: b""}))
    assert f"member {name!r}" in said
    assert "Nothing was read" in said


def test_two_members_of_one_name(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {"a.jpg": b"", "./a.jpg": b""})
    assert "member './a.jpg' is there twice" in refusal(path)


def test_encrypted_and_rarely_packed_members(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {"a.jpg": b""}, ZIP_BZIP2)
    assert "packed by a rare method" in refusal(path)
    zipped(path, {"a.jpg": b""})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    assert "'a.jpg' is encrypted" in refusal(path)


def test_links_in_a_zip_are_left_out(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("a.jpg", b"")
        link = ZipInfo("b.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.mkdir("folder")
    assert [r.file_name for r in load_dataset(tmp_path / "set.zip")] == ["a.jpg"]


def test_a_bomb_is_seen_in_the_headers(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with ZipFile(path, "w", ZIP_DEFLATED) as archive, archive.open("a.jpg", "w") as stream:
        for _ in range(archives.RATIO_FREE_BYTES // 2**20 + 1):
            stream.write(bytes(2**20))
    assert "looks like a zip bomb" in refusal(path)


def test_one_member_over_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 10)
    assert "member 'a.jpg' has " in refusal(zipped(tmp_path / "set.zip", {"a.jpg": b"12345678901"}))


def test_overlapping_members(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {"a.jpg": os.urandom(5000), "b.jpg": b""})
    raw = path.read_bytes()
    first = raw.index(b"PK\x01\x02")
    entry = raw[first : raw.index(b"PK\x01\x02", first + 4)]
    directory = entry + entry.replace(b"a.jpg", b"b.jpg")
    end = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 2, 2, len(directory), first, 0)
    path.write_bytes(raw[:first] + directory + end)
    assert "is a zip bomb: its members overlap" in refusal(path)


def test_a_bomb_that_lies_about_its_size_is_not_unpacked(tmp_path: Path) -> None:
    import tracemalloc

    path = zipped(tmp_path / "set.zip", {"a.jpg": bytes(40 * 2**20)})
    raw = path.read_bytes().replace(struct.pack("<I", 40 * 2**20), struct.pack("<I", 1000))
    path.write_bytes(raw)
    (record,) = load_dataset(path)
    tracemalloc.start()
    with pytest.raises(ImageError, match=r"a\.jpg: is damaged in the archive: Bad CRC"):
        record.source.read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 100])
def test_what_is_no_zip(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "set.zip").write_bytes(content)
    assert "set.zip is no zip, or a damaged one" in refusal(tmp_path / "set.zip")


def test_a_zip_that_is_cut_short(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {"a.jpg": os.urandom(1000)})
    path.write_bytes(path.read_bytes()[:700])
    assert "is no zip, or a damaged one" in refusal(path)


def test_a_zip_that_changes_or_vanishes_after_it_was_read(tmp_path: Path) -> None:
    path = zipped(tmp_path / "set.zip", {"a.jpg": b"one"})
    (record,) = load_dataset(path)
    zipped(path, {"b.jpg": b"other"})
    with pytest.raises(ImageError, match="is no longer in the archive"):
        record.source.read()
    path.unlink()
    with pytest.raises(ImageError, match="cannot be read: No such file"):
        record.source.read()


def test_many_threads_read_one_zip(tmp_path: Path) -> None:
    contents = {f"{n:03d}.jpg": os.urandom(20_000) for n in range(100)}
    dataset = load_dataset(zipped(tmp_path / "set.zip", dict(contents)))
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda record: record.source.read(), dataset.records * 3))
    assert read == list(contents.values()) * 3
