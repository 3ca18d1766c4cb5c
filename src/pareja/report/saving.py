"""Writing a result in the form that its name asks for: what ``save`` does, and ``-o``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import singledispatch
from pathlib import Path
from typing import Any

from pareja.errors import OutputError
from pareja.files import atomic_write, staged_directory
from pareja.report.contact_sheet import render_contact_sheet, render_review
from pareja.report.folder import write_folder
from pareja.report.located import render_located
from pareja.report.models import write_model_report
from pareja.report.overlay import outlined_png
from pareja.report.tuning import write_tuning
from pareja.tasks.compare import ModelComparison
from pareja.tasks.compare_export import comparison_to_json
from pareja.tasks.labelling import Labelled
from pareja.tasks.labelling_export import labelled_to_csv, labelled_to_json
from pareja.tasks.locating import Located
from pareja.tasks.locating_export import located_to_coco, located_to_csv, located_to_json
from pareja.tasks.moderation import Review, review_to_csv, review_to_json
from pareja.tasks.study import StudyResult
from pareja.tasks.tuned import Tuned
from pareja.words.wording import Lang

SUFFIXES = (".csv", ".json", ".html")
"""How the name of a file with labels or flags ends."""


@singledispatch
def save(result: object, path: Path, **options: Any) -> Path:
    """Write a result to a file or a folder; return its absolute path.

    Raises
    ------
    OutputError
        If it exists and `force` is off, cannot be written, or its name does not say what to write.
    """
    raise TypeError(f"nothing writes a result of type {type(result).__name__}")


@save.register
def _(result: Labelled, path: Path, *, lang: Lang, most: int | None, force: bool) -> Path:
    check_suffix(path)
    return atomic_write(path, labelled_text(result, path, lang=lang, most=most), force=force)


@save.register
def _(result: Located, path: Path, *, lang: Lang, force: bool) -> Path:
    check_located(path, len(result.pictures))
    return atomic_write(path, located_bytes(result, path, lang=lang), force=force)


@save.register
def _(result: Review, path: Path, *, lang: Lang, force: bool) -> Path:
    check_suffix(path)
    return atomic_write(path, review_text(result, path, lang=lang), force=force)


@save.register
def _(result: StudyResult, path: Path, *, langs: Sequence[Lang], force: bool) -> Path:
    with staged_directory(path, force=force) as folder:
        write_folder(result, folder, langs=langs)
    return path.absolute()


@save.register
def _(result: ModelComparison, path: Path, *, langs: Sequence[Lang], force: bool) -> Path:
    with staged_directory(path, force=force) as folder:
        write_comparison(result, folder, langs=langs)
    return path.absolute()


@save.register
def _(result: Tuned, path: Path, *, langs: Sequence[Lang], force: bool) -> Path:
    with staged_directory(path, force=force) as folder:
        write_tuning(result, folder, langs=langs)
    return path.absolute()


def check_suffix(path: Path) -> None:
    """Raise unless a file's name says which form of labels or flags it is to hold."""
    if path.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{path}: end its name in .csv, .json or .html.")


def labelled_text(labelled: Labelled, path: Path, *, lang: Lang, most: int | None) -> str:
    """Return labelled pictures as a table, JSON or a page, as the ending of `path` says."""
    match path.suffix.lower():
        case ".csv":
            return labelled_to_csv(labelled, most)
        case ".json":
            return as_text(labelled_to_json(labelled, most))
        case _:
            return render_contact_sheet(labelled, lang)


def review_text(review: Review, path: Path, *, lang: Lang) -> str:
    """Return flagged pictures as a table, JSON or a page, as the ending of `path` says."""
    match path.suffix.lower():
        case ".csv":
            return review_to_csv(review)
        case ".json":
            return as_text(review_to_json(review))
        case _:
            return render_review(review, lang)


def check_located(path: Path, pictures: int = 1) -> None:
    """Raise unless a file's name says which form of located words it is to hold.

    Parameters
    ----------
    path
        The file.
    pictures
        How many pictures are to be shown in it.

    Raises
    ------
    OutputError
        If its ending is unknown, or says one picture where there are several.
    """
    suffix = path.suffix.lower()
    if suffix not in (*SUFFIXES, ".png"):
        raise OutputError(f"{path}: end its name in .csv, .json, .coco.json, .png or .html.")
    if suffix == ".png" and pictures > 1:
        raise OutputError(
            f"{path}: a .png shows one picture, and there are {pictures}. End the name in .html."
        )


def located_bytes(located: Located, path: Path, *, lang: Lang) -> bytes:
    """Return located words in the form that the ending of `path` says."""
    if path.suffix.lower() == ".png":
        return outlined_png(located.pictures[0])
    match path.suffix.lower():
        case ".csv":
            text = located_to_csv(located)
        case ".json" if path.name.lower().endswith(".coco.json"):
            text = as_text(located_to_coco(located))
        case ".json":
            text = as_text(located_to_json(located))
        case _:
            text = render_located(located, lang)
    return text.encode()


def write_comparison(
    comparison: ModelComparison, folder: Path, *, langs: Sequence[Lang], command: str = ""
) -> None:
    """Write the reports of a comparison and ``compare.json`` into a folder that is there."""
    for lang in langs:
        write_model_report(comparison, folder, lang=lang, command=command)
    text = as_text(comparison_to_json(comparison))
    (folder / "compare.json").write_text(text, encoding="utf-8")


def as_text(value: Any) -> str:
    """Return a JSON document for a file."""
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
