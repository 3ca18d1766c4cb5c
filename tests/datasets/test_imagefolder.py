from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from unicodedata import normalize

import pytest

from pareja.checksums import MARKER
from pareja.datasets import Dataset, Record, load_dataset
from pareja.datasets.bundled import BUNDLED, bundled_path
from pareja.datasets.formats.folders import FolderTree, relative_name
from pareja.errors import DatasetError, ImageError, MetadataError

Tree = Callable[[Mapping[str, str | bytes]], Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Write files into a folder called ``set`` and return it."""

    def write(files: Mapping[str, str | bytes]) -> Path:
        root = tmp_path / "set"
        root.mkdir(exist_ok=True)
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return root

    return write


def captions(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    return {record.file_name: record.captions for record in dataset}


def test_metadata_describes_pictures(tree: Tree) -> None:
    root = tree(
        {
            "metadata.csv": "file_name,caption,category,label,caption_es,author,license,source_url,"
            "year\nimages/b.jpg,A bird,birds,wren,Un ave,Ann,CC0,https://x.org/b,1999\n",
            "images/b.jpg": b"bird",
            "images/c.png": b"left out",
            "ATTRIBUTION.md": "Gracias\n",
        }
    )
    dataset = load_dataset(root)
    (record,) = dataset
    assert record.source.read() == b"bird"
    assert str(record.source) == str(root / "images/b.jpg")
    assert record == Record(
        "images/b.jpg",
        record.source,
        ("A bird",),
        "birds",
        "wren",
        "Un ave",
        "Ann",
        "CC0",
        "https://x.org/b",
        {"year": "1999"},
        "metadata.csv:2",
    )
    assert (dataset.name, dataset.location) == ("set", root)
    assert (dataset.attribution, dataset.unlisted) == ("Gracias\n", ("images/c.png",))
    assert pickle.loads(pickle.dumps(dataset)) == dataset  # noqa: S301


def test_a_report_among_the_pictures_is_not_read(tree: Tree) -> None:
    root = tree({"cats/a.jpg": "", "dogs/b.jpg": "", "set-study/figures/map.png": ""})
    assert len(load_dataset(root)) == 3
    (root / "set-study" / MARKER).touch()
    assert [record.file_name for record in load_dataset(root)] == ["cats/a.jpg", "dogs/b.jpg"]
    # Whoever names the report's own folder means its pictures.
    assert len(load_dataset(root / "set-study")) == 1


def test_several_captions_in_rows_and_in_lists(tree: Tree) -> None:
    root = tree(
        {"metadata.csv": "file_name,caption\na.jpg,A\nb.jpg,B\na.jpg,C\n", "a.jpg": "", "b.jpg": ""}
    )
    wanted = {"a.jpg": ("A", "C"), "b.jpg": ("B",)}
    assert captions(load_dataset(root)) == wanted
    (root / "metadata.csv").unlink()
    tree(
        {
            "metadata.jsonl": '{"file_name": "a.jpg", "captions": ["A", "C"]}\n'
            '{"file_name": "b.jpg", "caption": "B"}\n'
        }
    )
    assert captions(load_dataset(root)) == wanted


def test_a_repeated_row_counts_once_and_names_both_lines(tree: Tree) -> None:
    root = tree({"metadata.csv": "file_name,caption\na.jpg,A\n./a.jpg,A\n", "a.jpg": ""})
    dataset = load_dataset(root)
    assert captions(dataset) == {"a.jpg": ("A",)}
    (note,) = dataset.notes
    assert (note.code, note.path) == ("caption_repeated", "a.jpg")
    assert "metadata.csv:3: " in note.message
    assert "as in metadata.csv:2." in note.message


def test_a_missing_picture(tree: Tree) -> None:
    root = tree(
        {
            "metadata.csv": "file_name,caption\na.jpg,A\nimages/A.JPG,B\nx.jpg,X\n",
            "a.jpg": "",
            "images/a.jpg": "",
        }
    )
    with pytest.raises(MetadataError) as caught:
        load_dataset(root)
    assert str(caught.value) == (
        "metadata.csv:3: image 'images/A.JPG' not found under set. Did you mean 'images/a.jpg'? "
        "Fix the path, or remove the row. 'pareja check' lists all such rows."
    )
    skipped = load_dataset(root, on_missing="skip")
    assert (captions(skipped), skipped.missing) == ({"a.jpg": ("A",)}, ())
    kept = load_dataset(root, on_missing="keep")
    assert captions(kept) == {"a.jpg": ("A",)}
    assert kept.missing == (("metadata.csv:3", "images/A.JPG"), ("metadata.csv:4", "x.jpg"))


def test_a_file_in_another_folder_is_suggested(tree: Tree) -> None:
    root = tree({"metadata.csv": "file_name\na.jpg\n", "images/a.jpg": ""})
    with pytest.raises(MetadataError, match=r"Did you mean 'images/a\.jpg'\?"):
        load_dataset(root)


def test_names_as_other_systems_write_them(tree: Tree) -> None:
    root = tree(
        {
            "metadata.csv": f"file_name\nimages\\a.jpg\n{normalize('NFC', 'ñandú.jpg')}\n",
            "images/a.jpg": "",
            normalize("NFD", "ñandú.jpg"): "",
        }
    )
    assert [r.file_name for r in load_dataset(root)] == [
        "images/a.jpg",
        normalize("NFD", "ñandú.jpg"),
    ]


@pytest.mark.parametrize(
    "name",
    ["../secret.jpg", "a/../../secret.jpg", "/etc/passwd", r"C:\a.jpg", r"\\host\a.jpg", "."],
)
def test_names_that_lead_out_are_refused(tree: Tree, name: str) -> None:
    root = tree({"metadata.csv": f"file_name\n{name}\n", "../secret.jpg": ""})
    with pytest.raises(MetadataError, match=r"metadata\.csv:2: file_name .* (leads|is)"):
        load_dataset(root, on_missing="skip")


def test_links_stay_in_the_dataset(tree: Tree, tmp_path: Path) -> None:
    root = tree({"a.jpg": b"a"})
    (tmp_path / "secret.jpg").touch()
    (root / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "in.jpg").symlink_to("a.jpg")
    (root / "loop").symlink_to(".", target_is_directory=True)
    (root / "broken.jpg").symlink_to("gone.jpg")
    (root / "self.jpg").symlink_to("self.jpg")
    assert [r.file_name for r in load_dataset(root)] == ["a.jpg", "in.jpg"]
    tree({"metadata.csv": "file_name\nout.jpg\n"})
    with pytest.raises(MetadataError, match=r"metadata\.csv:2: image 'out.jpg' is a link that"):
        load_dataset(root, on_missing="skip")
    (note,) = load_dataset(root, on_missing="keep").notes
    assert (note.code, "is a link that leads out" in note.message) == ("row_wrong", True)


def test_a_folder_of_links_only_says_so(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    root = tree({})
    (root / "a.jpg").symlink_to(tmp_path / "a.jpg")
    with pytest.raises(DatasetError, match=r"'a\.jpg' is a link that leads out"):
        load_dataset(root)


def test_a_folder_for_each_class(tree: Tree) -> None:
    root = tree(
        {
            "cats/1.JPG": "",
            "dogs/1.jpeg": "",
            "top.png": "",
            "cats/notes.txt": "",
            ".hidden/x.jpg": "",
            "cats/._1.jpg": "",
            "__MACOSX/y.jpg": "",
            "Thumbs.db": "",
        }
    )
    dataset = load_dataset(root)
    assert [(r.file_name, r.category, r.captions) for r in dataset] == [
        ("cats/1.JPG", "cats", ()),
        ("dogs/1.jpeg", "dogs", ()),
        ("top.png", None, ()),
    ]


def test_pictures_in_one_folder_have_no_category(tree: Tree) -> None:
    root = tree({"images/1.jpg": "", "images/2.webp": ""})
    assert [r.category for r in load_dataset(root)] == [None, None]


def test_splits_have_their_own_metadata(tree: Tree) -> None:
    root = tree(
        {
            "train/metadata.csv": "file_name,caption\na.jpg,A\n",
            "train/a.jpg": "",
            "test/Metadata.jsonl": '{"file_name": "a.jpg", "caption": "B"}',
            "test/a.jpg": "",
            "test/deep/metadata.csv": "not,read\n",
        }
    )
    assert captions(load_dataset(root)) == {"test/a.jpg": ("B",), "train/a.jpg": ("A",)}


def test_the_metadata_file_or_a_text_path_will_do(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree({"metadata.csv": "file_name\na.jpg\n", "a.jpg": ""})
    assert load_dataset(root / "metadata.csv") == load_dataset(root)
    monkeypatch.setenv("HOME", str(root.parent))
    assert load_dataset("~/set") == load_dataset(root)


def test_a_limit_takes_the_first(tree: Tree) -> None:
    root = tree({f"{n}.jpg": "" for n in range(5)})
    assert [r.file_name for r in load_dataset(root, limit=2)] == ["0.jpg", "1.jpg"]
    with pytest.raises(DatasetError, match="limit must be at least 1, not 0"):
        load_dataset(root, limit=0)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "set is empty, or all in it is hidden. Pictures end in .jpg, .png,"),
        ({".hidden/a.jpg": ""}, "or all in it is hidden"),
        (
            {"a.txt": "", "b/c.TXT": "", "LICENSE": ""},
            "set and the folders in it hold no pictures, only 2 .txt, 1 without ending. Pictures",
        ),
        ({"metadata.csv": "file_name,caption\n", "a.jpg": ""}, "metadata.csv: lists no pictures"),
        ({"metadata.csv": "", "a.jpg": ""}, "metadata.csv:1: is empty"),
        (
            {"metadata.csv": "file_name\n", "metadata.jsonl": "", "a.jpg": ""},
            "has both metadata.csv and metadata.jsonl",
        ),
    ],
)
def test_folders_without_a_dataset(tree: Tree, files: dict[str, str | bytes], message: str) -> None:
    with pytest.raises(DatasetError) as caught:
        load_dataset(tree(files))
    assert message in str(caught.value)


def test_the_package_names_its_functions_only() -> None:
    import pareja.datasets

    assert all(getattr(pareja.datasets, name) for name in pareja.datasets.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lod_dataset'"):
        _ = pareja.datasets.lod_dataset


def test_what_is_not_there_or_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no dataset is named"):
        load_dataset("")
    with pytest.raises(DatasetError, match=r"pareja2 does not exist\. Did you mean 'pareja20'"):
        load_dataset("pareja2")
    with pytest.raises(DatasetError, match=r"Did you mean 'shapes:2000'.*commons200, shapes:2000"):
        load_dataset("shapes")
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(DatasetError, match=r"a\.jpg is no dataset"):
        load_dataset(tmp_path / "a.jpg")
    with pytest.raises(DatasetError, match="cannot be read: "):
        load_dataset("~nobody-of-that-name/set")


def test_a_folder_that_cannot_be_listed(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree({"a.jpg": ""})

    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DatasetError, match="set cannot be listed: Permission denied"):
        load_dataset(root)


def test_files_that_vanish_are_one_line(tree: Tree) -> None:
    root = tree({"metadata.csv": "file_name\na.jpg\n", "a.jpg": "a"})
    files = FolderTree(root)
    (record,) = load_dataset(root)
    (root / "metadata.csv").unlink()
    (root / "a.jpg").unlink()
    with pytest.raises(DatasetError, match=r"metadata\.csv cannot be read: No such file"):
        files.read("metadata.csv")
    with pytest.raises(ImageError, match=r"a\.jpg: does not exist"):
        record.source.read()


@pytest.mark.skipif(os.name != "posix", reason="needs file names that are any bytes")
def test_names_that_are_no_unicode_can_be_shown(tree: Tree) -> None:
    root = tree({})
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.jpg")).write_bytes(b"x")
    (record,) = load_dataset(root)
    assert record.file_name == "caf%E9.jpg"
    assert str(record.source).encode()
    assert record.source.read() == b"x"


@pytest.mark.parametrize("name", ["a//b/./c", "./a/b/c", r"a\b\c", "a/b/c"])
def test_relative_names_are_plain(name: str) -> None:
    assert relative_name(name) == "a/b/c"


def test_bundled_datasets_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pareja20").mkdir()
    dataset = load_dataset("pareja20")
    assert [len([r for r in dataset if r.category == c]) for c in dataset.categories] == [5] * 4
    assert dataset.attribution is not None
    assert not dataset.unlisted
    assert all(record.source.read() for record in dataset)
    with pytest.raises(DatasetError, match="is empty"):
        load_dataset("./pareja20")


def test_commons200_comes_with_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(load_dataset("commons200")) == 220
    monkeypatch.setattr("pareja.datasets.bundled._PACKAGE", tmp_path / "a" / "b" / "c")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match="commons200 is not in this installation"):
        bundled_path("commons200")
    with pytest.raises(DatasetError, match="no bundled dataset 'x'; there are: pareja20, commons"):
        bundled_path("x")


@pytest.mark.parametrize("name", ["pareja20", "commons200"])
def test_boxes_that_come_along_lie_in_their_pictures(name: str) -> None:
    pictures = {record.file_name: record for record in load_dataset(name)}
    boxed = load_dataset(f"boxes_{name}")
    assert f"boxes_{name}" in BUNDLED
    assert not boxed.notes
    for record in boxed:
        known = pictures[record.file_name].extra
        width, height = int(known["width"]), int(known["height"])
        boxes = json.loads(record.extra["boxes"])
        assert 1 <= len({entry["label"] for entry in boxes}) <= 2
        for left, top, across, down in (entry["box"] for entry in boxes):
            assert 0 <= left < left + across <= width
            assert 0 <= top < top + down <= height
            assert across * down <= width * height / 3


def refuse_to_list(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Take away the right to list a folder, from root too."""
    scandir = os.scandir

    def scan(path: Path | str) -> object:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)


def test_a_folder_that_cannot_be_listed_is_named_and_left_out(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree({"a.jpg": b"x", "closed/b.jpg": b"x"})
    refuse_to_list(monkeypatch, root / "closed")
    with pytest.warns(UserWarning, match="closed: cannot be listed: Permission denied"):
        dataset = load_dataset(root)
    assert [record.file_name for record in dataset] == ["a.jpg"]
    assert dataset.skipped[0][0] == "closed"
    refuse_to_list(monkeypatch, root)
    with pytest.raises(DatasetError, match="cannot be listed"):
        load_dataset(root)


def test_folders_a_thousand_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(1200):
        os.mkdir("d")  # noqa: PTH102  a path to there is too long to be made at once
        os.chdir("d")
    Path("a.jpg").write_bytes(b"x")
    try:
        (record,) = load_dataset(tmp_path)
        assert record.source.read() == b"x"
    finally:
        # what clears temporary folders calls itself for each folder in another
        Path("a.jpg").unlink()
        for _ in range(1200):
            os.chdir("..")
            os.rmdir("d")  # noqa: PTH106  as above
