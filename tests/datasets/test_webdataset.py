from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import pytest

from pareja.datasets import load_dataset
from pareja.errors import DatasetError, ImageError, MetadataError


def tarred(path: Path, files: dict[str, bytes | str], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            raw = content if isinstance(content, bytes) else content.encode()
            member = tarfile.TarInfo(name)
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        load_dataset(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_samples_of_one_shard(tmp_path: Path) -> None:
    path = tarred(
        tmp_path / "set.tar",
        {
            "x/0001.jpg": b"one",
            "x/0001.seg.png": b"a mask",
            "x/0001.txt": "A cat \n",
            "x/0001.cls": "3",
            "x/0002.json": '{"caption": ["A dog", "It runs"], "category": "dogs", "width": 3}',
            "x/0002.PNG": b"two",
            "x/0002.jpg": b"second picture of the sample",
            "x/0002.npy": b"\0",
            "x/._0003.jpg": b"hidden",
        },
    )
    dataset = load_dataset(path)
    first, second = dataset
    assert (first.file_name, first.captions, first.label) == ("x/0001.jpg", ("A cat",), "3")
    assert (second.file_name, second.captions) == ("x/0002.PNG", ("A dog", "It runs"))
    assert (second.category, second.extra) == ("dogs", {"width": "3"})
    assert [record.source.read() for record in dataset] == [b"one", b"two"]
    assert str(first.source) == f"{path}/x/0001.jpg"
    assert (first.where, dataset.name) == ("set.tar:x/0001", "set")
    assert pickle.loads(pickle.dumps(dataset)) == dataset  # noqa: S301


@pytest.mark.parametrize("pattern", ["", "shard-{000..002}.tar"])
def test_several_shards(tmp_path: Path, pattern: str) -> None:
    for number in range(3):
        tarred(tmp_path / "set" / f"shard-{number:03d}.tar", {"0.jpg": str(number)})
    dataset = load_dataset(tmp_path / "set" / pattern)
    assert [(r.file_name, r.source.read()) for r in dataset] == [
        ("shard-000/0.jpg", b"0"),
        ("shard-001/0.jpg", b"1"),
        ("shard-002/0.jpg", b"2"),
    ]
    assert dataset.name == ("shard" if pattern else "set")
    assert len(load_dataset(tmp_path / "set" / pattern, limit=2)) == 2


def test_shards_that_a_pattern_names_must_be_there(tmp_path: Path) -> None:
    tarred(tmp_path / "s-0.tar", {"0.jpg": ""})
    said = refusal(tmp_path / "s-{0..1}.tar")
    assert "s-1.tar does not exist" in said
    assert "1 of 2 shards are there" in said
    assert "the range 3..1 is empty" in refusal(tmp_path / "s-{3..1}.tar")
    assert "s-{a,b}.tar does not exist" in refusal(tmp_path / "s-{a,b}.tar")


def test_a_sample_without_a_picture(tmp_path: Path) -> None:
    path = tarred(tmp_path / "set.tar", {"a.txt": "A", "b.jpg": b"b"})
    with pytest.raises(MetadataError, match=r"^set\.tar:a: has no picture.*pareja check"):
        load_dataset(path)
    assert load_dataset(path, on_missing="skip").missing == ()
    kept = load_dataset(path, on_missing="keep")
    assert (len(kept), kept.missing) == (1, (("set.tar:a", "a"),))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no samples with pictures"),
        ({"readme.md": "x"}, "set.tar:readme: has no picture"),
        ({"../a.jpg": b""}, "member '../a.jpg' leads out of the dataset's folder"),
        ({"/a.jpg": b""}, "member '/a.jpg' is an absolute path"),
        ({"a.jpg": b"", "a.json": "{"}, "set.tar:a.json: is not JSON"),
        ({"a.jpg": b"", "a.json": "[]"}, "set.tar:a.json: is no JSON object"),
        ({"a.jpg": b"", "a.txt": b"x" * (2**24 + 1)}, "set.tar:a.txt: has 16,777,217 bytes"),
    ],
)
def test_wrong_shards(tmp_path: Path, files: dict[str, bytes | str], message: str) -> None:
    assert message in refusal(tarred(tmp_path / "set.tar", files))


def test_folders_and_links_in_a_tar_are_left_out(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        for name, kind in ((".", tarfile.DIRTYPE), ("l.jpg", tarfile.SYMTYPE)):
            member = tarfile.TarInfo(name)
            member.type = kind
            archive.addfile(member)
        archive.addfile(tarfile.TarInfo("a.jpg"))
    assert [r.file_name for r in load_dataset(tmp_path / "set.tar")] == ["a.jpg"]


def test_tars_that_are_compressed_or_damaged(tmp_path: Path) -> None:
    path = tarred(tmp_path / "set.tar", {"a.jpg": b"x"}, "w:gz")
    assert "a compressed or damaged one" in refusal(path)
    path.write_bytes(b"no tar" * 1000)
    assert "is no tar" in refusal(path)
    tarred(path, {"a.jpg": b"x" * 5000, "b.jpg": b"y" * 5000})
    raw = path.read_bytes()
    path.write_bytes(raw[:9000])
    assert "cut short: it ends before member 'b.jpg'" in refusal(path)
    damaged = bytearray(raw)
    damaged[raw.index(b"b.jpg") + 1] ^= 1
    path.write_bytes(damaged)
    assert "damaged header at byte 5632" in refusal(path)


def test_a_tar_that_changes_after_it_was_read(tmp_path: Path) -> None:
    path = tarred(tmp_path / "set.tar", {"a.jpg": b"x" * 5000})
    (record,) = load_dataset(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ImageError, match="is cut short"):
        record.source.read()
    path.unlink()
    with pytest.raises(ImageError, match="cannot be read: No such file"):
        record.source.read()


def test_a_picture_over_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (record,) = load_dataset(tarred(tmp_path / "set.tar", {"a.jpg": b"12345678901"}))
    monkeypatch.setattr("pareja.datasets.formats.webdataset.MAX_FILE_BYTES", 10)
    with pytest.raises(ImageError, match=r"a\.jpg: has "):
        record.source.read()


def test_captions_of_a_sample_are_lines_and_null_erases_none(tmp_path: Path) -> None:
    path = tarred(
        tmp_path / "0.tar",
        {
            "a.jpg": b"x",
            "a.txt": b"a dog\na brown dog\n",
            "a.json": b'{"caption": null, "author": "Ann", "license": ""}',
            "b.json": b'{"caption": "a cat\\nasleep"}',
            "b.jpg": b"x",
            "b.txt": b"a cat\nasleep",
            "c.jpg": b"x",
            "c.json": b'{"captions": ["one", "two"]}',
        },
    )
    assert [(r.captions, r.author, r.license) for r in load_dataset(path)] == [
        (("a dog", "a brown dog"), "Ann", None),
        (("a cat asleep",), None, None),
        (("one", "two"), None, None),
    ]


def test_dots_in_names(tmp_path: Path) -> None:
    path = tarred(
        tmp_path / "0.tar",
        {
            "22.05.png": b"x",
            "22.05.txt": b"A",
            "22.06.png": b"y",
            "22.06.txt": b"B",
            "23.05.png": b"y",
            "a.jpg": b"z",
            "a.seg.png": b"mask",
            "a.txt": b"C",
        },
    )
    dataset = load_dataset(path)
    assert [(r.file_name, r.captions) for r in dataset] == [
        ("22.05.png", ("A",)),
        ("22.06.png", ("B",)),
        ("23.05.png", ()),
        ("a.jpg", ("C",)),
    ]
    (note,) = dataset.notes
    assert note.code == "names_with_dots"
    assert "with dots in their names, as '22.05.png': 3" in note.message


def test_every_wrong_sample_is_noted(tmp_path: Path) -> None:
    path = tarred(
        tmp_path / "0.tar",
        {"a.jpg": b"x", "a.json": b"{", "b.txt": b"B", "c.jpg": b"x", "c.json": b"[]"},
    )
    with pytest.raises(MetadataError, match=r"^0\.tar:a\.json: is not JSON"):
        load_dataset(path)
    kept = load_dataset(path, on_missing="keep")
    assert [record.file_name for record in kept] == ["a.jpg", "c.jpg"]
    assert kept.missing == (("0.tar:b", "b"),)
    assert [note.code for note in kept.notes] == ["row_wrong", "row_wrong"]


def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    private, theirs = tmp_path / "private", tmp_path / "theirs" / "set"
    private.mkdir()
    tarred(private / "0.tar", {"a.jpg": b"private", "a.cls": "0"})
    (private / "secret").write_text("a secret\n")
    tarred(theirs / "0.tar", {"b.jpg": b"theirs", "b.cls": "0"})
    (theirs / "classnames.txt").symlink_to(private / "secret")
    (record,) = load_dataset(theirs / "0.tar")
    assert record.label == "0"
    (theirs / "1.tar").symlink_to(private / "0.tar")
    assert "is a link that leads out of" in refusal(theirs)
