"""One dataset in every layout that is read: the same pictures, captions and labels come out."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unicodedata import normalize
from zipfile import ZipFile

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.datasets.picture_files import noise, saved

from pareja.datasets import Dataset, check_dataset, load_dataset
from pareja.errors import DatasetError

CAPTIONS: Mapping[str, tuple[str, ...]] = {
    "ñandú.jpg": ("Un ñandú corre", "Un ave grande, gris"),
    "cigüeña.jpg": ("Una cigüeña duerme",),
    "árbol.jpg": (),
}
LABELS = {"ñandú.jpg": "ave", "cigüeña.jpg": "ave", "árbol.jpg": "planta"}
BYTES = {name: saved(noise(side), "JPEG") for side, name in zip((8, 9, 10), CAPTIONS, strict=True)}
ROWS = [
    {"file_name": name, "caption": caption, "label": LABELS[name]}
    for name, captions in CAPTIONS.items()
    for caption in captions or ("",)
]
LISTS: list[dict[str, Any]] = [
    {"file_name": name, "captions": list(captions), "label": LABELS[name]}
    for name, captions in CAPTIONS.items()
]

Files = dict[str, bytes | str]
Layout = Callable[[Path], Path]
LAYOUTS: dict[str, tuple[Layout, str]] = {}


def layout(what: str = "captions label") -> Callable[[Layout], Layout]:
    """Add a layout, and say what it can hold."""

    def add(write: Layout) -> Layout:
        LAYOUTS[write.__name__] = (write, what)
        return write

    return add


def write(root: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def pictures(folder: str = "") -> Files:
    return {f"{folder}{name}": content for name, content in BYTES.items()}


def table(rows: list[dict[str, Any]], delimiter: str = ",", **renamed: str) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerow([renamed.get(column, column) for column in rows[0]])
    writer.writerows(row.values() for row in rows)
    return text.getvalue()


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def parquet_bytes(columns: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(
        columns if isinstance(columns, pa.Table) else pa.table(columns), stream, **options
    )
    return stream.getvalue()


def tar(files: Files) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            raw = content if isinstance(content, bytes) else content.encode()
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))
    return stream.getvalue()


@layout()
def metadata_csv(root: Path) -> Path:
    return write(root, {**pictures(), "metadata.csv": table(ROWS)})


@layout()
def metadata_csv_of_windows(root: Path) -> Path:
    text = table([{**row, "file_name": rf"images\{row['file_name']}"} for row in ROWS], ";")
    return write(root, {**pictures("images/"), "Metadata.csv.txt": text.encode("utf-16")})


@layout()
def metadata_csv_of_a_mac(root: Path) -> Path:
    decomposed = {normalize("NFD", name): content for name, content in BYTES.items()}
    return write(root, {**decomposed, "metadata.csv": table(ROWS)})


@layout()
def metadata_tsv(root: Path) -> Path:
    return write(root, {**pictures(), "metadata.tsv": table(ROWS, "\t")})


@layout()
def metadata_jsonl(root: Path) -> Path:
    return write(root, {**pictures(), "metadata.jsonl": lines(LISTS)})


@layout()
def metadata_parquet(root: Path) -> Path:
    content = parquet_bytes(pa.Table.from_pylist(ROWS))
    return write(root, {**pictures("deep/"), "deep/metadata.parquet": content})


@layout()
def metadata_in_split_folders(root: Path) -> Path:
    files: Files = {}
    for split, names in (("train", list(CAPTIONS)[:2]), ("test", list(CAPTIONS)[2:])):
        rows = [row for row in ROWS if row["file_name"] in names]
        files |= {f"data/{split}/{name}": BYTES[name] for name in names}
        files[f"data/{split}/metadata.csv"] = table(rows)
    return write(root, files)


@layout()
def zipped(root: Path) -> Path:
    root.mkdir()
    with ZipFile(root / "set.zip", "w") as archive:
        for name, content in {
            **pictures("set/images/"),
            "set/images/metadata.csv": table(ROWS),
        }.items():
            archive.writestr(name, content)
    return root / "set.zip"


@layout()
def captions_csv(root: Path) -> Path:
    text = table(ROWS, file_name="image", caption="comment", label="class")
    return write(root, {**pictures("Images/"), "captions.csv": text})


@layout()
def results_csv_with_bars(root: Path) -> Path:
    rows = [
        {"image_name": r["file_name"], "n": i, "comment": r["caption"]} for i, r in enumerate(ROWS)
    ]
    labels = table([{"id": Path(name).stem, "label": label} for name, label in LABELS.items()])
    text = table(rows, "|")
    return write(root, {**pictures("a/b/"), "results.csv": text, "labels.csv": labels})


@layout()
def numbered_columns(root: Path) -> Path:
    rows = [
        {
            "filename": name,
            "caption_1": (*captions, "", "")[0],
            "caption_2": (*captions, "", "")[1],
            "label": LABELS[name],
        }
        for name, captions in CAPTIONS.items()
    ]
    return write(root, {**pictures(), "train.csv": table(rows)})


@layout()
def lists_as_text(root: Path) -> Path:
    rows = [{**row, "captions": repr(row["captions"]) if row["captions"] else ""} for row in LISTS]
    return write(root, {**pictures(), "metadata.csv": table(rows)})


@layout()
def list_in_json(root: Path) -> Path:
    return write(root, {**pictures("img/"), "annotations.json": json.dumps(LISTS)})


@layout()
def map_in_json(root: Path) -> Path:
    said = {row["file_name"]: {"captions": row["captions"], "label": row["label"]} for row in LISTS}
    return write(root, {**pictures(), "captions.json": json.dumps(said)})


def coco() -> dict[str, Any]:
    names = list(CAPTIONS)
    return {
        "images": [{"id": i, "file_name": name} for i, name in enumerate(names)],
        "annotations": [
            *({"image_id": names.index(r["file_name"]), "caption": r["caption"]} for r in ROWS),
            *({"image_id": i, "category_id": LABELS[name]} for i, name in enumerate(names)),
        ],
        "categories": [{"id": label, "name": label} for label in LABELS.values()],
    }


@layout()
def coco_file(root: Path) -> Path:
    files = {**pictures("val2017/"), "annotations/captions_val2017.json": json.dumps(coco())}
    return write(root, files) / "annotations" / "captions_val2017.json"


@layout()
def coco_in_a_folder(root: Path) -> Path:
    return write(root, {**pictures("train/"), "train/_annotations.coco.json": json.dumps(coco())})


@layout("captions")
def karpathy(root: Path) -> Path:
    images = [
        {"filename": name, "split": "restval", "sentences": [{"raw": text} for text in captions]}
        for name, captions in CAPTIONS.items()
    ]
    text = json.dumps({"images": images, "dataset": "flickr8k"})
    return write(root, {**pictures("flickr8k/"), "dataset_flickr8k.json": text})


@layout("captions")
def flickr_tokens(root: Path) -> Path:
    text = "".join(
        f"{name}#{n}\t{text}\n" for name, said in CAPTIONS.items() for n, text in enumerate(said)
    )
    return write(root, {**pictures("Flicker8k_Dataset/"), "text/Flickr8k.token.txt": text})


@layout("label")
def list_of_labels(root: Path) -> Path:
    text = "".join(f"images/{name} {label}\n" for name, label in LABELS.items())
    return write(root, {**pictures("images/"), "val.txt": text})


@layout("label")
def fiftyone(root: Path) -> Path:
    kinds = sorted(set(LABELS.values()))
    labels = {Path(name).stem: kinds.index(label) for name, label in LABELS.items()}
    text = json.dumps({"classes": kinds, "labels": labels})
    return write(root, {**pictures("data/"), "labels.json": text})


@layout("label")
def roboflow(root: Path) -> Path:
    rows = [
        {"filename": name, " ave": int(label == "ave"), " planta": int(label == "planta")}
        for name, label in LABELS.items()
    ]
    return write(root, {**pictures("valid/"), "valid/_classes.csv": table(rows)})


@layout("captions")
def texts_beside_pictures(root: Path) -> Path:
    texts = {f"{Path(name).stem}.txt": "\n".join(said) for name, said in CAPTIONS.items()}
    return write(root, {**pictures("10_set/"), **{f"10_set/{k}": v for k, v in texts.items()}})


@layout()
def json_beside_pictures(root: Path) -> Path:
    texts = {f"{Path(row['file_name']).stem}.json": json.dumps(row) for row in LISTS}
    return write(root, {**pictures(), **texts})


@layout("label")
def class_folders_in_splits(root: Path) -> Path:
    splits = dict(zip(CAPTIONS, ("train", "test", "train"), strict=True))
    return write(root, {f"{splits[n]}/{LABELS[n]}/{n}": content for n, content in BYTES.items()})


@layout("label")
def numbered_class_folders(root: Path) -> Path:
    kinds = sorted(set(LABELS.values()))
    files = {f"{kinds.index(LABELS[n])}/{n}": content for n, content in BYTES.items()}
    return write(root, {**files, "classnames.txt": "\n".join(kinds)})


def samples(names: list[str]) -> Files:
    files: Files = {}
    for name in names:
        stem = Path(name).stem
        files |= {name: BYTES[name], f"{stem}.cls": str(int(LABELS[name] == "planta"))}
        files[f"{stem}.json"] = json.dumps({"caption": None, "key": stem})
        if CAPTIONS[name]:
            files[f"{stem}.txt"] = "\n".join(CAPTIONS[name])
    return files


@layout()
def webdataset(root: Path) -> Path:
    return (
        write(root, {"0.tar": tar(samples(list(CAPTIONS))), "classnames.txt": "ave\nplanta\n"})
        / "0.tar"
    )


@layout()
def webdataset_in_split_folders(root: Path) -> Path:
    first, *rest = CAPTIONS
    shards = {"train/0.tar": tar(samples([first])), "test/0.tar": tar(samples(rest))}
    return write(root, {**shards, "classnames.txt": "ave\nplanta\n"})


def cells(rows: list[dict[str, Any]], **more: Any) -> pa.Table:
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    held = [{"bytes": BYTES[r["file_name"]], "path": r["file_name"]} for r in rows]
    columns = {key: [row[key] for row in rows] for key in rows[0] if key != "file_name"}
    return pa.table(
        {"md5": [b"0123"] * len(rows), **columns, "image": pa.array(held, kind), **more}
    )


@layout()
def parquet_with_a_row_for_each_caption(root: Path) -> Path:
    content = parquet_bytes(cells(ROWS), row_group_size=1)
    return write(root, {"set.parquet": content}) / "set.parquet"


@layout()
def parquet_with_lists(root: Path) -> Path:
    return write(root, {"set.parquet": parquet_bytes(cells(LISTS))}) / "set.parquet"


@layout()
def parquet_shards(root: Path) -> Path:
    shards = {
        f"data/train-0000{n}-of-00002.parquet": parquet_bytes(cells(rows))
        for n, rows in enumerate((ROWS[:1], ROWS[1:]))
    }
    return write(root, shards)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_same_records_come_out_of_every_layout(tmp_path: Path, name: str) -> None:
    make, what = LAYOUTS[name]
    dataset = load_dataset(make(tmp_path / "set"))
    found = {normalize("NFC", Path(record.file_name).name): record for record in dataset}
    assert {n: record.source.read() for n, record in found.items()} == BYTES
    assert len(dataset) == len(found)
    if "captions" in what:
        assert {n: record.captions for n, record in found.items()} == CAPTIONS
    if "label" in what:
        assert {n: record.label or record.category for n, record in found.items()} == LABELS
    if "label" not in what:
        assert {record.label or record.category for record in dataset} == {None}
    assert not dataset.unlisted
    assert not dataset.missing
    assert {note.code for note in dataset.notes} <= {"caption_repeated"}


SPLITS = {
    "metadata_in_split_folders": {"train": 2, "val": 0, "test": 1},
    "coco_file": {"train": 0, "val": 3, "validation": 3},
    "karpathy": {"train": 3},
    "list_of_labels": {"dev": 3},
    "roboflow": {"valid": 3, "Validation": 3},
    "class_folders_in_splits": {"train": 2, "test": 1},
    "webdataset_in_split_folders": {"train": 1, "test": 2},
    "parquet_shards": {"train": 3, "test": 0},
}


@pytest.mark.parametrize("name", SPLITS)
def test_a_split_is_a_part(tmp_path: Path, name: str) -> None:
    location = LAYOUTS[name][0](tmp_path / "set")
    for split, number in SPLITS[name].items():
        if number:
            assert len(load_dataset(location, split=split)) == number
        else:
            with pytest.raises(DatasetError, match=f"has no split '{split}'; it has the splits "):
                load_dataset(location, split=split)


def described(dataset: Dataset) -> dict[str, tuple[str | None, tuple[str, ...]]]:
    return {record.file_name: (record.category, record.captions) for record in dataset}


def test_a_train_among_buses_is_no_split(tmp_path: Path) -> None:
    names = ("bus/1.jpg", "train/2.jpg", "car/3.jpg")
    root = write(tmp_path / "set", dict.fromkeys(names, b""))
    assert described(load_dataset(root)) == {
        name: (name.partition("/")[0], ()) for name in sorted(names)
    }
    assert load_dataset(root).splits == ()


def test_shards_and_plain_folders_are_no_classes(tmp_path: Path) -> None:
    names = ("cats/images/1.jpg", "00001/2.jpg", "part-3/dogs/3.jpg", "shard_4/4.jpg")
    found = described(load_dataset(write(tmp_path / "set", dict.fromkeys(names, b""))))
    assert {name: category for name, (category, _) in found.items()} == dict(
        zip(names, ("cats", None, "dogs", None), strict=True)
    )


def test_bins_and_thumbnails_are_left_out_and_counted(tmp_path: Path) -> None:
    names = (
        *("a.jpg", "@eaDir/a.jpg/THUMB_M.jpg", "@eaDir/a.jpg/THUMB_XL.jpg", "#recycle/b.jpg"),
        *("$RECYCLE.BIN/$R1.jpg", "x/Thumbs/a.jpg", "Photos Previews.lrdata/1/c.jpg"),
        *("@Recycle/d.jpg", "lost+found/e.jpg", "System Volume Information/f.jpg"),
    )
    root = write(tmp_path / "set", dict.fromkeys(names, b""))
    dataset = load_dataset(root)
    assert described(dataset) == {"a.jpg": (None, ())}
    assert dataset.unlisted == ()
    left_out = {note.path: note.message for note in dataset.notes}
    assert {note.code for note in dataset.notes} == {"pictures_left_out"}
    assert "Pictures left out: 2," in left_out["@eaDir"]
    assert len(left_out) == 8
    # whoever names them means them
    (root / "metadata.csv").write_text("file_name\nx/Thumbs/a.jpg\n")
    assert described(load_dataset(root)) == {"x/Thumbs/a.jpg": (None, ())}
    assert len(load_dataset(root / "x" / "Thumbs")) == 1


def test_twins_that_differ_in_normalisation(tmp_path: Path) -> None:
    names = [normalize(form, "café.png") for form in ("NFC", "NFD")]
    rows = [{"file_name": name, "caption": f"{n}"} for n, name in enumerate(names)]
    root = write(tmp_path / "set", {names[0]: b"0", names[1]: b"1", "metadata.csv": table(rows)})
    assert [(r.caption, r.source.read()) for r in load_dataset(root)] == [("0", b"0"), ("1", b"1")]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("metadata.xls", b"\xd0\xcf\x11\xe0", "Save the table as CSV"),
        ("captions.csv", b"image,words\na.jpg,A dog\n", r"none of its other columns \(words\)"),
        ("captions.txt", b"a.jpg,A dog runs\n", "is in no layout that is read"),
        ("captions.csv", b"a.jpg,A dog runs\n", "is in no layout that is read"),
        ("metadata1000.jsonl", b"file_name,caption\na.jpg,A\n", "is in no layout that is read"),
        ("all.json", b'{"x": [{"image": "a.jpg", "conversations": []}]}', "in no layout"),
        ("broken.json", b'[{"image": "a.jpg"', "It is not read: broken.json: is not JSON"),
        ("Annotations/0.xml", b"<annotation/>", "Write what it says into metadata.csv"),
        ("a.json", b'{"title": "A dog"}', "hold no captions that are known"),
        ("a.txt", b"0 0.5 0.5 0.1 0.1\n", "hold no captions that are known"),
        ("more.tar.gz", b"x", "Unpack it"),
        ("x.parquet", b"PAR1", "Call it metadata.parquet"),
    ],
)
def test_what_seems_to_describe_pictures_and_is_not_read_is_named(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    root = write(tmp_path / "set", {"a.jpg": saved(noise(300), "JPEG"), name: content})
    with pytest.warns(UserWarning, match=said) as warned:
        load_dataset(root)
    assert len(warned) == 1
    report = check_dataset(load_dataset(root, on_missing="keep"))
    assert not report.ok
    (problem,) = report.errors
    assert (problem.code, "No picture has a caption" in problem.message) == (
        "captions_unread",
        True,
    )


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"0 0.5 0.5 0.1 0.1\n", "file_unread"),
        ("Un niño en el jardín".encode("mac_roman"), "encoding_guessed"),
    ],
)
def test_of_many_files_beside_pictures_one_is_named(
    tmp_path: Path, content: bytes, code: str
) -> None:
    names = [f"{number}{kind}" for number in range(5) for kind in (".jpg", ".txt")]
    write(tmp_path, {name: content if name.endswith(".txt") else b"" for name in names})
    (note,) = load_dataset(tmp_path, on_missing="keep").notes
    assert (note.code, note.path, "0.txt" in note.message) == (code, "*.txt", True)


def test_files_that_describe_no_picture_are_nothing_to_speak_of(tmp_path: Path) -> None:
    others: Files = {
        "README.md": "a.jpg",
        "LICENSE.txt": "a.jpg",
        "notes.txt": "Buy milk",
        "Thumbs.db": b"x",
        "settings.json": '{"x": 1}',
        "numbers.csv": "x,y\n1,2\n",
    }
    assert load_dataset(write(tmp_path / "set", {"a.jpg": b"", **others})).notes == ()


def test_many_files_of_a_kind_are_named_once(tmp_path: Path) -> None:
    boxes = {f"boxes/{n}.xml": "<annotation/>" for n in range(30)}
    root = write(tmp_path / "set", {"a.jpg": b"", **boxes})
    (note,) = load_dataset(root, on_missing="keep").notes
    assert (note.path, note.message) == ("boxes/0.xml", "30 .xml files like it are not read.")


def test_a_table_beside_the_metadata_is_named(tmp_path: Path) -> None:
    rows = "file_name,caption\na.jpg,A\n"
    root = write(tmp_path / "set", {"a.jpg": b"", "metadata.csv": rows, "captions.csv": rows})
    with pytest.warns(UserWarning, match=r"captions.csv: It is not read, since metadata.csv"):
        dataset = load_dataset(root)
    assert described(dataset) == {"a.jpg": (None, ("A",))}


def test_classes_that_stay_numbers_are_noted(tmp_path: Path) -> None:
    names = {f"{n}/{n}.jpg": b"" for n in range(3)}
    root = write(tmp_path / "set", names)
    (note,) = load_dataset(root).notes
    assert note.code == "class_numbers"
    assert "The column 'category' holds numbers (0, 1, 2)" in note.message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("classes.txt", "cat\ndog\n"),
        ("class_names.txt", "1 cat\n2 dog\n"),
        ("classes.json", '["cat", "dog"]'),
        ("class_indices.json", '{"cat": 1, "dog": 2}'),
        ("id2label.json", '{"1": "cat", "2": "dog"}'),
        ("imagenet_class_index.json", '{"1": ["n1", "cat"], "2": ["n2", "dog"]}'),
        ("data.yaml", "train: x\nnames:\n  1: cat\n  2: 'dog'\n"),
        ("data.yaml", "nc: 2\nnames: ['cat', \"dog\"]\n"),
    ],
)
def test_files_with_the_names_of_classes(tmp_path: Path, name: str, content: str) -> None:
    root = write(tmp_path / "set", {"1/a.jpg": b"", "02/b.jpg": b"", name: content})
    assert {r.file_name: r.category for r in load_dataset(root)} == {
        "1/a.jpg": "cat",
        "02/b.jpg": "dog",
    }
    assert load_dataset(root).notes == ()
