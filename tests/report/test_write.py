from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pypdf
import pytest
from markdown_it import MarkdownIt

from pareja.report import frame, write_folder, write_report
from pareja.report.content import build_document
from pareja.report.document import Gallery, plain
from pareja.report.frame import Frame
from pareja.report.pdf import breakable
from pareja.tasks import study_export
from pareja.words.wording import Lang

if TYPE_CHECKING:
    from tests.report.conftest import Study

    from pareja.tasks.study import StudyResult

LANGS: tuple[Lang, ...] = ("en", "es")
STEMS = {"en": ("report", "figures"), "es": ("informe", "figuras")}
VOID = {"meta", "img", "input", "br", "hr", "mspace", "path", "use", "link"}


class Page(HTMLParser):
    """Collects what a test asks of a page, and fails on tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[int] = []
        self.text: list[str] = []
        self.images = 0
        self.scripts = 0
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "script":
            # The page's own, which keeps what is typed; nothing else may run.
            self.scripts += 1
            assert self.scripts == 1
            assert not attrs
        assert not any(name.startswith("on") for name in found)
        if "id" in found:
            self.ids.append(found["id"] or "")
        self.links += [value or "" for name, value in attrs if name in ("src", "xlink:href")]
        if tag == "a":
            self.links.append(found.get("href") or "")
        if tag == "img":
            self.images += 1
            assert found.get("alt")
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text.append(data)


def squeezed(text: str) -> str:
    """Return text without spaces and invisible breaks, which formats set as they like."""
    return re.sub(r"[\s\u200b\u00ad]", "", text)


def pdf_text(path: Path) -> str:
    return squeezed("".join(page.extract_text() for page in pypdf.PdfReader(path).pages))


SECTIONS = [
    "summary",
    "dataset",
    "method",
    "similarity",
    "distributions",
    "retrieval",
    "bridges",
    "geometry",
    "inside",
    "categories",
    "map",
    "pairs",
    "comparison",
    "conclusions",
    "limits",
    "reproduce",
]


@pytest.mark.parametrize("lang", LANGS)
def test_every_section_and_number_is_in_every_format(
    lang: Lang, study: Study, written: Mapping[str, Path]
) -> None:
    result = study()
    stem, figures = STEMS[lang]
    page = squeezed("".join(Page(written[f"{stem}.html"].read_text("utf-8")).text))
    markdown = squeezed(re.sub(r"[\\*]", "", written[f"{stem}.md"].read_text("utf-8")))
    pdf = pdf_text(written[f"{stem}.pdf"])

    frame = Frame.of(result, lang)
    document = build_document(frame)
    assert [section.key for section in document.sections] == SECTIONS
    for text in (page, markdown, pdf):
        for section in document.sections:
            assert squeezed(section.title) in text
        for reading in frame.every:
            for estimate in (reading.image_to_text.recall[1], reading.matching.auc):
                assert squeezed(frame.words.interval(estimate)) in text
        for comparison in result.comparisons:
            assert squeezed(frame.words.interval(comparison.matched_spearman)) in text
        for encoder in result.encoders:
            assert encoder.image_fingerprint.digest in text
        for _, _, dual in frame.duals:
            assert squeezed(frame.words.number(dual.gap.statistic, 2)) in text
            assert squeezed(frame.words.interval(dual.ece)) in text
        for key in (
            "inside.gap",
            "inside.calibration",
            "inside.prompts",
            "formula.gap",
            "formula.ece",
        ):
            assert squeezed(frame.words.text(key)) in text
        for record in result.dataset:
            assert squeezed(record.caption) in text
        assert squeezed(frame.words.text("student.title")) in text
        assert "CC-BY-4.0" in text
        assert squeezed("Ana Pérez") in text
        assert squeezed(result.command) in text
    for name in ("retrieval", "prompts", "map-2-colours", "similarity-1-pictures-words"):
        assert written[f"{figures}/{name}.png"].read_bytes().startswith(b"\x89PNG")
        assert "<svg" in written[f"{figures}/{name}.svg"].read_text("utf-8")


def test_figures_speak_the_language_of_their_report(written: Mapping[str, Path]) -> None:
    assert ">chance<" in written["figures/retrieval.svg"].read_text("utf-8")
    assert ">azar<" in written["figuras/retrieval.svg"].read_text("utf-8")


@pytest.mark.parametrize("lang", LANGS)
def test_the_page_needs_nothing_else_and_is_well_formed(
    lang: Lang, written: Mapping[str, Path]
) -> None:
    text = written[f"{STEMS[lang][0]}.html"].read_text("utf-8")
    page = Page(text)
    assert text.lstrip().startswith("<!doctype html>")
    assert f'<html lang="{lang}">' in text
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        inside = link.startswith("#") and link[1:] in page.ids
        assert inside or link.startswith(("data:image/", "https://example.org/")), link
    assert not re.search(r"url\((?!#)|@import|<link|<iframe", text)
    assert page.images >= 8
    # What stands beside the report has a name of its own, and so has every box to write in.
    assert text.count("<aside") == 1
    boxes = re.findall(r'role="textbox"[^>]* aria-label="([^"]+)"', text)
    assert len(boxes) == len(set(boxes)) > 1
    # No level of heading is skipped on the way down.
    assert page.headings[0] == 1
    assert all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:], strict=False))


def test_the_same_study_gives_the_same_bytes(
    study: Study, written: Mapping[str, Path], tmp_path: Path
) -> None:
    again = write_report(study(), tmp_path, lang="en")
    assert len(again) > 30
    for name in again:
        assert again[name].read_bytes() == written[name].read_bytes(), name


def test_markdown_shows_only_files_that_are_there(written: Mapping[str, Path]) -> None:
    path = written["informe.md"]
    images = re.findall(r"!\[.*?\]\((.*?)\)", path.read_text("utf-8"))
    assert len(images) > 15
    for image in images:
        assert (path.parent / image).is_file()


@pytest.mark.usefixtures("blank_figures")
def test_a_folder_holds_the_numbers_beside_the_report(study: Study, tmp_path: Path) -> None:
    files = write_folder(study(["dual"]), tmp_path, langs=["es"])
    for name in ("informe.html", "informe.md", "informe.pdf", "study.json", "pairs.csv"):
        assert (tmp_path / name).is_file()
    assert all((tmp_path / path).is_file() for path in files.values())


@pytest.mark.parametrize(
    ("kinds", "left_out"),
    [
        (["dual"], {"bridges", "comparison"}),
        (["pair"], {"comparison", "inside"}),
        (["dual", "other"], {"bridges"}),
    ],
)
def test_sections_follow_the_encoders(kinds: list[str], left_out: set[str], study: Study) -> None:
    document = build_document(Frame.of(study(kinds), "es"))
    assert [section.key for section in document.sections] == [
        key for key in SECTIONS if key not in left_out
    ]


@pytest.mark.usefixtures("blank_figures")
def test_only_what_was_asked_for_is_written(study: Study, tmp_path: Path) -> None:
    written = write_report(study(["dual", "other", "pair"]), tmp_path, lang="en", formats=["html"])
    assert {name for name in written if "/" not in name} == {"report.html"}
    assert "figures/map-2-other-colours.svg" in written
    assert not (tmp_path / "report.pdf").exists()
    Page(written["report.html"].read_text("utf-8"))


@pytest.mark.usefixtures("blank_figures")
def test_a_dataset_without_categories_and_with_several_captions(
    study: Study, tmp_path: Path
) -> None:
    result = study(
        change=lambda record, n: replace(
            record,
            category=None,
            captions=(*record.captions, f"{record.file_name} again")[: 1 + n % 2],
            license=None,
        )
    )
    skipped = replace(result, skipped=(("images/x|y.webp", "has no caption"),))
    written = write_report(skipped, tmp_path, lang="en", formats=["html"])
    page = "".join(Page(written["report.html"].read_text("utf-8")).text)
    assert "nothing is shown by category" in page
    assert "2b" in page
    assert "images/x|y.webp" in page
    assert "Author or licence unknown: 8 pictures" in page
    assert "Not studied: 1 picture." in page
    assert "Captions of the same picture are not independent" in page


PATHS = (
    "/home/ana/models/hugging-face/microsoft-resnet-50+/home/ana/models/sentences-" + "x" * 200,
    "/home/ana/models/openai/clip-vit-base-patch32-finetuned-on-the-birds-of-the-world",
    "/home/eva/models/openai/clip-vit-base-patch32-finetuned-on-the-birds-of-the-world",
    "日本/語",
)


def named_by_paths(result: StudyResult) -> StudyResult:
    """Return a study whose encoders are local folders."""
    names = {encoder.name: path for encoder, path in zip(result.encoders, PATHS, strict=False)}
    return replace(
        result,
        encoders=tuple(replace(e, name=names[e.name]) for e in result.encoders),
        comparisons=tuple(replace(c, a=names[c.a], b=names[c.b]) for c in result.comparisons),
    )


@pytest.mark.usefixtures("blank_figures")
def test_encoders_may_be_named_by_long_paths(study: Study, tmp_path: Path) -> None:
    result = named_by_paths(study(["pair", "dual", "other"]))
    written = write_report(result, tmp_path, lang="es")
    figures = [path for name, path in written.items() if name.startswith("figuras/")]
    assert len(figures) == len(set(figures)) >= 30
    for figure in figures:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*\.(png|svg|jpg)", figure.name)
        assert len(figure.name) < 70
    page = Page(written["informe.html"].read_text("utf-8"))
    markdown = written["informe.md"].read_text("utf-8")
    pdf = pdf_text(written["informe.pdf"])
    for path in PATHS[:3]:
        assert squeezed(path) in squeezed("".join(page.text))
        assert path in markdown
        assert squeezed(path) in pdf
    for image in re.findall(r"!\[.*?\]\((.*?)\)", markdown):
        assert (tmp_path / image).is_file()


def test_no_word_of_the_pdf_is_longer_than_a_narrow_column() -> None:
    shown = breakable({"text": [*PATHS, "word" * 99, "R@1 0.50 [0.30, 0.70] −0.1234567"]})["text"]
    for text, path in zip(shown, (*PATHS, "word" * 99), strict=False):
        assert squeezed(text) == squeezed(path)
        assert max(len(part) for part in re.split(r"[-\s\u200b]", text)) <= 22
    assert "\u200b/" not in shown[0]
    assert "\u200b" not in shown[-1]
    assert breakable({"name": PATHS[0], "kind": "FigureBlock"})["name"] == PATHS[0]


HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)> 'quoted' & &amp;",
    "# *not* _markup_ `code` $x^2$ | [link](http://evil.example) ![i](x) ~~gone~~ <!-- -->",
    '#panic("typst") #import "x" @ref <label> \\ // comment /* */ $ sum',
    "{{ 7 * 7 }} {% for x in y %} {placeholder} %s",
    "مرحبا بالعالم · שלום · 日本語 · 🦜 \u202eevil",
    "word" * 2_500,
    "line\nbreak\r\n- item\n1. item\x00\x0b\ttab",
)


def test_endless_captions_are_cut(study: Study) -> None:
    long = study(["dual"], change=lambda record, n: replace(record, captions=("word " * 2_000,)))
    document = build_document(Frame.of(long, "en"))
    texts = [
        "".join(span.text for span in line)
        for block in document.blocks()
        if isinstance(block, Gallery)
        for card in block.cards
        for line in (*card.lines, plain(card.alt))
    ]
    assert max(map(len, texts)) < 400


def test_hostile_captions_stay_text_in_every_format(study: Study, tmp_path: Path) -> None:
    result = study(
        change=lambda record, n: replace(
            record,
            captions=(HOSTILE[n],),
            caption_es=HOSTILE[n],
            category=HOSTILE[n % 2],
            author=HOSTILE[n],
            license=HOSTILE[(n + 1) % 8],
            source_url=("javascript:alert(1)", "https://example.org/<b>|`", "data:x", " ")[n % 4],
        )
    )
    written = write_report(result, tmp_path, lang="es")
    page = Page(written["informe.html"].read_text("utf-8"))
    text = "".join(page.text)
    for caption in HOSTILE[:5]:
        assert caption in text
    # An override of the writing direction would turn round all that follows.
    assert "\u202e" not in text
    assert "🦜 evil" in text
    assert not [link for link in page.links if link.startswith(("javascript", "x", "data:x"))]
    markdown = written["informe.md"].read_text("utf-8")
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    inner = [child for token in tokens for child in token.children or ()]
    raw = {t.content for t in (*tokens, *inner) if t.type in ("html_block", "html_inline")}
    assert {re.sub(r'(?<=<a id=")\w+', "", html) for html in raw} == {'<a id="">', "</a>", "<br>"}
    shown = squeezed("".join(child.content for child in inner))
    for caption in HOSTILE[:5]:
        assert squeezed(caption) in shown
    assert "javascript" not in markdown
    assert "\n- item" not in markdown
    assert "\n1. item" not in markdown
    pages = pypdf.PdfReader(written["informe.pdf"]).pages
    assert squeezed('#panic("typst")') in pdf_text(written["informe.pdf"])
    assert len(pages) < 40


def test_of_many_pictures_some_are_shown(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame, "MOST_PICTURES", 6)
    monkeypatch.setattr(frame, "SOME_PICTURES", 3)
    monkeypatch.setattr(frame, "MOST_POINTS", 4)
    monkeypatch.setattr(frame, "FEW_ON_MAP", 2)
    monkeypatch.setattr(frame, "FEW_IN_SCATTER", 2)
    monkeypatch.setattr(study_export, "MOST_CELLS", 5)
    pair, dual = study().encoders
    kept = tuple(b if b.name == pair.bridge else replace(b, similarity=None) for b in pair.bridges)
    result = replace(study(), encoders=(replace(pair, bridges=kept), dual))
    files = write_folder(result, tmp_path, langs=["en"])
    page = (tmp_path / "report.html").read_text()
    assert "Shown here: 3 of 8 pictures" in page
    assert "The figure shows 4 of 8 captions" in page
    assert not [name for name in files if name.startswith("similarity")]
    assert "Similarities under pictures+words · ridge" in page
    assert "Left, pictures+words" not in page
