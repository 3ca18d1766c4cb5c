from __future__ import annotations

import io
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareja.datasets import load_dataset
from pareja.errors import DatasetError

FILES = {"0.jpg": b"one " * 20, "0.txt": b"A cat", "1.jpg": b"two"}


def zip_bytes() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            archive.writestr(name, content)
        archive.writestr("metadata.csv", "file_name,caption\n0.jpg,A cat\n1.jpg,A dog\n")
    return stream.getvalue()


def tar_bytes() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    # without most of the blocks of zeros at the end, where damage does nothing
    return stream.getvalue()[:3584]


# A table that cannot be read is said, and the pictures are read without it.
@pytest.mark.filterwarnings("ignore:.*is not read:UserWarning")
@pytest.mark.parametrize(("ending", "whole"), [("zip", zip_bytes()), ("tar", tar_bytes())])
@given(st.data())
def test_damaged_archives_are_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, ending: str, whole: bytes, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("damaged") / f"set.{ending}"
    raw = bytearray(whole[: data.draw(st.integers(1, len(whole)))])
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    try:
        for record in load_dataset(path):
            record.source.read()
        said = ""
    except DatasetError as error:
        said = str(error)
    assert "\n" not in said
