from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pypdf
import pytest

import pareja
from pareja.delivery.memoria import LEAST, MOST

if TYPE_CHECKING:
    from pareja.tasks.study import StudyResult


def test_the_first_call_starts_a_document_and_later_ones_leave_it_alone(
    saved: Path, tmp_path: Path
) -> None:
    out = tmp_path / "memoria"
    first = pareja.memoria(saved, out)
    assert first.started
    assert not first.stale
    assert not first.length_ok
    # Author, date, and a place in each of the five sections.
    assert len(first.unwritten) == 7
    text = first.source.read_text(encoding="utf-8")
    assert "figuras/pictures.png" in text
    for word in ("tú", "tus", "tu"):
        assert f" {word} " not in text
    mine = text.replace("[por escribir]", "palabra " * 100)
    first.source.write_text(mine, encoding="utf-8")
    again = pareja.memoria(saved, out)
    assert (again.started, again.stale, again.unwritten) == (False, False, ())
    assert first.source.read_text(encoding="utf-8") == mine
    assert again.words.body == first.words.body + 700
    assert again.length_ok
    assert LEAST <= again.words.body <= MOST
    assert again.html.read_text(encoding="utf-8").count("palabra") == 700
    read = pypdf.PdfReader(again.pdf)
    # Some readers print a syntax error where the default of this is spelt out.
    assert str(read.root_object["/MarkInfo"]) == "{'/Marked': True}"
    # The standard for PDFs that screen readers can read; Typst checks what it can of it.
    assert "pdfuaid:part" in read.xmp_metadata.stream.get_data().decode()  # type: ignore[union-attr]
    pages = read.pages
    assert "palabra" in "".join(page.extract_text() for page in pages)
    assert pareja.memoria(out).words == again.words
    assert pareja.memoria(first.source).words == again.words


def test_a_document_of_another_run_of_the_study_is_named(saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "memoria"
    pareja.memoria(saved, out)
    other = tmp_path / "other"
    shutil.copytree(saved, other)
    draft = other / "borrador.md"
    draft.write_text(draft.read_text(encoding="utf-8").replace("0,", "9,"), encoding="utf-8")
    assert pareja.memoria(other, out).stale
    assert "9," not in (out / "memoria.md").read_text(encoding="utf-8")


def test_what_was_not_built_is_not_replaced(saved: Path, tmp_path: Path) -> None:
    out = tmp_path / "memoria"
    pdf = pareja.memoria(saved, out).pdf
    pdf.write_bytes(b"exported by hand")
    with pytest.raises(pareja.ParejaError, match=r"memoria\.pdf was not written here"):
        pareja.memoria(saved, out)
    assert pdf.read_bytes() == b"exported by hand"


def test_a_study_in_memory_gives_a_document(result: StudyResult, tmp_path: Path) -> None:
    built = pareja.memoria(result, tmp_path / "mine", lang="en")
    assert "[to be written]" in built.source.read_text(encoding="utf-8")
    assert '<html lang="en">' in built.html.read_text(encoding="utf-8")


def test_what_is_no_study_is_refused(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(pareja.ParejaError, match="does not exist"):
        pareja.memoria(tmp_path / "nowhere")
    with pytest.raises(pareja.ParejaError, match=r"no study\.json"):
        pareja.memoria(tmp_path)
    with pytest.raises(pareja.ParejaError, match="`lang='en'`"):
        pareja.memoria(saved, tmp_path / "m", lang="en")


def test_a_picture_that_is_not_there_is_named_with_its_line(tmp_path: Path) -> None:
    source = tmp_path / "memoria.md"
    source.write_text("# Mine\n\ntext\n\n![a cat](gato.jpg)\n", encoding="utf-8")
    with pytest.raises(pareja.ParejaError, match=r"memoria\.md:5: there is no picture 'gato\.jpg'"):
        pareja.memoria(source)
    source.write_text("![a cat](https://example.org/gato.jpg)\n", encoding="utf-8")
    with pytest.raises(pareja.ParejaError, match="on the web"):
        pareja.memoria(source)
