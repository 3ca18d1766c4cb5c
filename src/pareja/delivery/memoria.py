"""A document of one's own about a study: Markdown that a person edits, built as HTML and PDF."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from pareja.errors import InputError, OutputError
from pareja.files import atomic_write, replace_own
from pareja.report.draft import DRAFTS
from pareja.report.prose import Words, parse
from pareja.report.prose_pages import Prose
from pareja.report.write import NAMES, write_report
from pareja.tasks.study import StudyResult
from pareja.words.wording import Lang

SOURCE = "memoria.md"
"""The name of the file that is edited."""

LEAST, MOST = 500, 3000
"""How many words the course asks for."""

_STARTED = "<!-- pareja: {digest} -->"
_STAMP = re.compile(re.escape(_STARTED).replace(r"\{digest\}", "([0-9a-f]+)"))


@dataclass(frozen=True)
class Memoria:
    """A document that was built.

    Parameters
    ----------
    source
        The Markdown file, which is only ever read.
    html, pdf
        What was built from it.
    lang
        Its language.
    words
        How many words it has.
    unwritten
        What the places say that are still to be written in.
    started
        Whether this call made the source.
    stale
        Whether the source was begun from another run of the study.
    """

    source: Path
    html: Path
    pdf: Path
    lang: Lang
    words: Words
    unwritten: tuple[str, ...]
    started: bool
    stale: bool

    @property
    def length_ok(self) -> bool:
        """Whether it is as long as the course asks for: `LEAST` to `MOST` words of running text."""
        return LEAST <= self.words.body <= MOST


def memoria(
    study: StudyResult | Path | str,
    out: Path | str | None = None,
    *,
    lang: Lang | None = None,
) -> Memoria:
    """Start a document about a study, or build it again from the Markdown that was edited.

    The first call writes ``memoria.md``, with the tables and figures of the study in the outline of
    the practical and marked places for text of one's own, and the pictures that it names. Every
    call builds ``memoria.html`` and ``memoria.pdf`` from ``memoria.md``, which is never written
    again.

    Parameters
    ----------
    study
        A study, its folder, or the ``study.json`` in that; or the folder of a document that was
        started, or its ``memoria.md``, to build that again.
    out
        The folder of the document; by default ``memoria``, or where the one that is given lies.
    lang
        The language of the draft; by default that of the study's report, Spanish where it has both.

    Returns
    -------
    Memoria
        Where the files are, how many words there are, and what is still to be written.

    Raises
    ------
    InputError
        If `study` is no study, or has no report in that language.
    OutputError
        If a picture that the Markdown names is missing, or ``memoria.html`` or ``memoria.pdf`` was
        not written by an earlier call.
    """
    if isinstance(study, StudyResult):
        with TemporaryDirectory(prefix="pareja-memoria-") as temporary:
            written = Path(temporary)
            write_report(study, written, lang=lang or "es", formats=("md",))
            return _from_study(written, Path(out or "memoria"), lang or "es")
    given = Path(os.fspath(study))
    if not given.exists():
        raise InputError(
            f"{given} does not exist. Give the folder that a study was written to, or that of a "
            "document that was started."
        )
    inside = given / SOURCE if given.is_dir() else given
    if inside.suffix.lower() == ".md" and inside.is_file():
        if out is not None and Path(out).resolve() != inside.parent.resolve():
            raise InputError(
                f"{inside} is built where it lies, in {inside.parent}. Leave `out` away."
            )
        return _built(inside, lang, started=False, stale=False)
    folder = given if given.is_dir() else given.parent
    if not (folder / "study.json").is_file():
        raise InputError(
            f"{given} is no study: there is no study.json in {folder}. Give the folder that "
            "'pareja study' wrote."
        )
    return _from_study(folder, Path(out or "memoria"), _language(folder, lang))


def is_stale(source: Path, folder: Path) -> bool:
    """Return whether a document was begun from another run of the study in a folder."""
    begun = _STAMP.findall(source.read_text(encoding="utf-8-sig"))
    drafts = (folder / name for name in DRAFTS.values())
    return bool(begun) and not any(
        _digest(draft.read_text(encoding="utf-8")) in begun for draft in drafts if draft.is_file()
    )


def _digest(draft: str) -> str:
    return sha256(draft.encode()).hexdigest()[:16]


def _language(folder: Path, lang: Lang | None) -> Lang:
    found: list[Lang] = [each for each in ("es", "en") if (folder / DRAFTS[each]).is_file()]
    if lang is None and found:
        return found[0]
    if lang is None or lang not in found:
        wanted = lang or "es"
        raise InputError(
            f"{folder} has no {DRAFTS[wanted]}: the study has no report in that language. Run it "
            f"again with `lang={wanted!r}`."
        )
    return lang


def _from_study(folder: Path, out: Path, lang: Lang) -> Memoria:
    draft = (folder / DRAFTS[lang]).read_text(encoding="utf-8")
    source = out / SOURCE
    if source.exists():
        return _built(source, lang, started=False, stale=is_stale(source, folder))
    title, _, rest = draft.partition("\n")
    for name in _named_pictures(draft):
        target = out / name
        if target.exists() and target.read_bytes() != (folder / name).read_bytes():
            raise OutputError(
                f"{target} exists and is not the study's. Move it away, or choose another folder."
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target)
    # Last, so that a document that is there has everything it names.
    stamp = _STARTED.format(digest=_digest(draft))
    atomic_write(source, f"{title}\n{rest.rstrip()}\n\n{stamp}\n")
    return _built(source, lang, started=True, stale=False)


def _named_pictures(text: str) -> Iterable[str]:
    return dict.fromkeys(
        node.with_["address"]
        for block in parse(text)
        for node in block.walk()
        if node.kind == "picture"
    )


def _built(source: Path, lang: Lang | None, *, started: bool, stale: bool) -> Memoria:
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8: {error}. Save it as UTF-8.") from error
    lang = lang or _guessed(source)
    prose = Prose.read(source, text, lang)
    built = {f"{source.stem}.html": prose.html().encode(), f"{source.stem}.pdf": prose.pdf()}
    html, pdf = replace_own(source.parent, built)
    return Memoria(
        source=source.absolute(),
        html=html,
        pdf=pdf,
        lang=lang,
        words=prose.words,
        unwritten=tuple(node.text for node in prose.unwritten),
        started=started,
        stale=stale,
    )


def _guessed(source: Path) -> Lang:
    """Return the language of a document by the folder of its figures; Spanish by default."""
    folders: dict[str, Lang] = {NAMES["en"][1]: "en", NAMES["es"][1]: "es"}
    return next((lang for name, lang in folders.items() if (source.parent / name).is_dir()), "es")
