from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from tests.conftest import COLOURS

from pareja.datasets import Dataset, Record, decode_image, load_dataset
from pareja.errors import DatasetError, ImageError, InputError
from pareja.inputs import find_dataset, find_pictures, find_texts

Give = Callable[[Path], Any]
RED = COLOURS["red"]


def red(folder: Path) -> Path:
    return folder / "images" / "red.png"


def pixels(folder: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.asarray(Image.open(red(folder)).convert("RGB"))


def encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()


ONE: dict[str, Give] = {
    "a path": red,
    "text": lambda folder: str(red(folder)),
    "bytes": lambda folder: red(folder).read_bytes(),
    "a bytearray": lambda folder: bytearray(red(folder).read_bytes()),
    "a data URL": lambda folder: "data:image/png;base64," + encoded(red(folder)),
    "an open file": lambda folder: io.BytesIO(red(folder).read_bytes()),
    "an image": lambda folder: Image.open(red(folder)),
    "an image that was made": lambda folder: Image.open(red(folder)).copy(),
    "pixels": pixels,
    "pixels with alpha": lambda folder: np.asarray(Image.open(red(folder)).convert("RGBA")),
    "a record": lambda folder: load_dataset(folder).records[0],
    "a source": lambda folder: load_dataset(folder).records[0].source,
}
MANY: dict[str, tuple[Give, int]] = {
    "a folder": (lambda folder: folder, 8),
    "a folder's name": (str, 8),
    "a pattern": (lambda folder: f"{folder}/**/[rg]*.png", 2),
    "a bundled name": (lambda folder: "pareja20", 20),
    "a dataset": (load_dataset, 8),
    "a list of one": (lambda folder: [red(folder)], 1),
    "a generator": (lambda folder: (path for path in sorted(folder.glob("*/*.png"))), 8),
    "records": (lambda folder: load_dataset(folder).records[:3], 3),
    "an array of pictures": (lambda folder: np.stack([pixels(folder)] * 2), 2),
    "an array of paths": (lambda folder: np.array([str(red(folder))] * 2), 2),
    "a mixture": (lambda folder: [give(folder) for give in ONE.values()], len(ONE)),
    "a mixture with places": (lambda folder: [folder, "pareja20", red(folder)], 29),
}


@pytest.mark.parametrize("give", ONE.values(), ids=ONE)
def test_one_picture_of_every_kind(give: Give, colour_folder: Path) -> None:
    found = find_pictures(give(colour_folder))
    assert found.one
    assert not found.skipped
    (source,) = found.sources
    image = decode_image(source)
    assert image.size == (400, 320)
    np.testing.assert_array_equal(np.asarray(image), pixels(colour_folder))


@pytest.mark.parametrize(("give", "count"), MANY.values(), ids=MANY)
def test_many_of_every_kind(give: Give, count: int, colour_folder: Path) -> None:
    found = find_pictures(give(colour_folder))
    assert not found.one
    assert len(found.dataset) == len(set(found.names)) == count
    for source in found.sources:
        assert decode_image(source).size > (0, 0)


WRONG: dict[str, tuple[object, str]] = {
    "None": (None, r"^pictures is None\. Give a path"),
    "a number": (3, r"^pictures is of type int\. "),
    "a number in a list": (["pareja20", 3], r"^pictures\[1\] is of type int\. "),
    "a list in a list": ([["a.jpg"]], r"^pictures\[0\] is of type list\. "),
    "a dictionary": ({"a.jpg": 1}, r"^pictures is of type dict, which has no order"),
    "a set": ({"a.jpg"}, r"^pictures is of type set, which has no order"),
    "no text": ("", r"^pictures is '', which names nothing"),
    "floats": (np.zeros((4, 4, 3)), r"^pictures is a float64 array of shape \(4, 4, 3\)"),
    "channels first": (np.zeros((3, 9, 9), np.uint8), r"^pictures is a uint8 array of shape"),
    "no pixels": (np.zeros((0, 9, 3), np.uint8), r"^pictures is a uint8 array of shape"),
    "a file of text": (io.StringIO("x"), r"gives str\. Open it in binary mode"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_what_is_no_picture_is_one_error_that_says_where(given: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        find_pictures(given)  # type: ignore[arg-type]
    assert isinstance(caught.value, TypeError)


NOTHING: dict[str, tuple[object, str]] = {
    "an empty list": ([], "pictures is empty"),
    "an empty dataset": (Dataset("mine", (), "mine"), "mine: there are no pictures"),
    "a place that is not there": ("nowhere", "nowhere does not exist"),
    "a pattern without a match": ("nowhere/*.jpg", r"no picture matches 'nowhere/\*\.jpg'"),
    "a name that is too long": ("a" * 5000, "cannot be read"),
    "a name with a zero": ("a\0b", "cannot be read|does not exist"),
}


@pytest.mark.parametrize(("given", "message"), NOTHING.values(), ids=NOTHING)
def test_nothing_is_never_an_empty_result(given: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        find_pictures(given)


def test_a_data_url_of_no_picture() -> None:
    with pytest.raises(ImageError, match=r"pictures\[0\].*text/plain"):
        find_pictures(["data:text/plain,words"])


def test_a_picture_that_is_not_there_is_known_when_it_is_read(tmp_path: Path) -> None:
    found = find_pictures(tmp_path / "gone.jpg")
    assert found.one
    with pytest.raises(ImageError, match=r"gone\.jpg: does not exist"):
        found.sources[0].read()


def test_a_picture_whose_name_does_not_say_so(colour_folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / "scan"
    odd.write_bytes(red(colour_folder).read_bytes())
    assert find_pictures(odd).one
    notes = tmp_path / "notes.txt"
    notes.write_text("words")
    with pytest.raises(DatasetError, match=r"notes\.txt is no dataset"):
        find_pictures(notes)


def test_a_star_in_a_name_is_no_pattern_where_there_is_such_a_file(
    colour_folder: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "a[1]*.png"
    odd.write_bytes(red(colour_folder).read_bytes())
    assert find_pictures(odd).names == (str(odd),)


def test_files_folders_and_patterns(colour_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (colour_folder / "metadata.csv").unlink()
    (colour_folder / "images" / ".hidden.png").write_bytes(b"")
    monkeypatch.chdir(colour_folder)
    every = tuple(f"images/{name}.png" for name in sorted(COLOURS))
    assert find_pictures(".").names == every
    assert find_pictures("images").names == tuple(Path(name).name for name in every)
    assert find_pictures("**/*.png").names == every
    assert find_pictures(["images", Path(every[0])]).names == (*every, f"{every[0]} (2)")
    monkeypatch.setenv("HOME", str(colour_folder))
    assert find_pictures("~/images/red.png").names == (f"{colour_folder}/images/red.png",)


def test_the_metadata_describe_the_pictures_and_hide_none(colour_folder: Path) -> None:
    Image.open(red(colour_folder)).save(colour_folder / "images" / "more.png")
    (colour_folder / "images" / "blue.png").unlink()
    outside = colour_folder.parent / "outside.png"
    outside.write_bytes(b"")
    (colour_folder / "images" / "link.png").symlink_to(outside)
    found = find_pictures(colour_folder)
    assert found.dataset.name == "colours"
    assert found.dataset.records[0].caption == "A wall painted red"
    assert found.names[-1] == "images/more.png"
    assert len(found.names) == 8
    assert found.skipped == (
        ("images/blue.png", "is listed at metadata.csv:4 and does not exist"),
        ("images/link.png", "is a link that leads out of the dataset"),
    )


def test_an_archive_with_pictures_that_its_metadata_does_not_name(
    colour_folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "p.zip"
    with ZipFile(place, "w") as archive:
        archive.write(red(colour_folder), "a.png")
        archive.write(red(colour_folder), "b.png")
        archive.writestr("metadata.csv", "file_name,caption\na.png,A wall")
    found = find_pictures(place)
    assert found.names == ("a.png", "b.png")
    assert [decode_image(source).size for source in found.sources] == [(400, 320)] * 2
    assert find_pictures([place, red(colour_folder)]).names[0] == f"{place}/a.png"


def test_a_file_that_lists_some_pictures_means_these(colour_folder: Path) -> None:
    listed = {"images": [{"id": 1, "file_name": "red.png"}], "annotations": []}
    (colour_folder / "some.json").write_text(json.dumps(listed))
    assert find_pictures(colour_folder / "some.json").names == ("red.png",)


def test_an_image_is_turned_and_coloured_as_its_file_would_be(tmp_path: Path) -> None:
    image = Image.new("CMYK", (8, 4), (0, 255, 255, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    opened = Image.open(tmp_path / "turned.jpg")
    given = find_pictures(opened)
    assert given.names == ("turned.jpg",)
    np.testing.assert_array_equal(
        np.asarray(decode_image(given.sources[0])),
        np.asarray(decode_image(tmp_path / "turned.jpg")),
    )


def test_a_damaged_image_is_an_image_error(colour_folder: Path) -> None:
    half = red(colour_folder).read_bytes()[:2000]
    (source,) = find_pictures(Image.open(io.BytesIO(half))).sources
    with pytest.raises(ImageError, match=r"picture: .*truncated"):
        source.read()


def test_datasets(colour_folder: Path, colour_dataset: Dataset) -> None:
    assert find_dataset(colour_dataset) is colour_dataset
    assert len(find_dataset("pareja20")) == 20
    assert find_dataset(colour_folder).categories == ("dark", "bright")
    one = find_dataset(red(colour_folder))
    assert [record.file_name for record in one] == [str(red(colour_folder))]
    assert len(find_dataset([*colour_dataset, red(colour_folder)])) == 9
    with pytest.raises(InputError, match=r"^data is of type int"):
        find_dataset(3)  # type: ignore[arg-type]
    (colour_folder / "images" / "red.png").unlink()
    with pytest.raises(DatasetError, match=r"metadata\.csv:2"):
        find_dataset(colour_folder)


def test_texts() -> None:
    assert find_texts("a cat") == (["a cat"], True)
    assert find_texts(["a cat"]) == (["a cat"], False)
    assert find_texts(text for text in ("a", "b")) == (["a", "b"], False)
    assert find_texts(np.array(["a", "b"])) == (["a", "b"], False)
    wrong: list[tuple[Any, str]] = [
        ([], "texts is empty"),
        (3, "texts: expected a text or a list of them, got 3"),
        (b"a cat", "texts: expected a text or a list of them, got b'a cat'"),
        (["a", "data:image/png;base64,iVBO"], r"texts\[1\] is a data URL"),
        ("data:image/png;base64,iVBO", "texts is a data URL"),
        (["a", 3], r"texts\[1\]: expected a text, got 3"),
        ({"a": 1}, "texts: expected a text or a list of them, got {'a': 1}"),
        (None, "texts: expected a text or a list of them, got None"),
        (io.StringIO("a cat"), "texts: expected a text or a list of them, got <_io.String"),
    ]
    for given, message in wrong:
        with pytest.raises(InputError, match=message):
            find_texts(given)


def test_a_record_keeps_what_is_known_of_it(colour_dataset: Dataset) -> None:
    record: Record = colour_dataset.records[1]
    assert find_pictures([record]).dataset.records == (record,)


@pytest.mark.parametrize("find", [find_pictures, find_dataset])
def test_the_address_of_a_picture_is_not_taken_for_a_file(find: Callable[[str], Any]) -> None:
    with pytest.raises(DatasetError, match=r"^https://example\.org/a\.jpg is on other storage"):
        find("https://example.org/a.jpg")


@pytest.mark.parametrize("dtype", [float, np.uint16, bool])
def test_pixels_of_another_kind_are_named_by_their_whole_shape(dtype: type) -> None:
    with pytest.raises(InputError, match=r"^pictures is a .* array of shape \(5, 7, 3\)"):
        find_pictures(np.ones((5, 7, 3), dtype))
