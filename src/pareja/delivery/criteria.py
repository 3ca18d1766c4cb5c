"""What is looked at in a delivery: each criterion with what was found, in words."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pareja.datasets.checks import CheckReport, check_dataset
from pareja.datasets.formats import load_dataset
from pareja.delivery import git
from pareja.delivery.memoria import LEAST, MOST, SOURCE
from pareja.delivery.places import first_named, paths_of, script_of
from pareja.delivery.running import run_delivery
from pareja.errors import ParejaError, some_of
from pareja.report.prose_pages import Prose
from pareja.words.checks import problem_text
from pareja.words.wording import Lang, Wording

Part = Literal["dataset", "pre_clip", "clip", "memoria", "reproducible"]

_GROUPS = {
    "counts": ("no_pictures", "picture_count", "category_count", "category_size", "category_"),
    "quality": ("undecodable", "resolution_", "blurred", "soft", "duplicate", "near_duplicate"),
    "captions": ("caption", "captions"),
    "generated": ("generated",),
    "provenance": ("author_", "license_", "source_", "c2pa_"),
}
# What a check notes beyond these is about the files of the dataset.
_OTHERS = "files"
_MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)
_LEAST_README = 30


@dataclass(frozen=True)
class Criterion:
    """Something that a delivery is held to.

    Parameters
    ----------
    code
        Its name, the same in every language.
    part
        The part of the practical that it belongs to.
    ok
        Whether it is met; None where it could not be looked at.
    found
        What was found, as a sentence.
    details
        Further lines, one a problem.
    """

    code: str
    part: Part
    ok: bool | None
    found: str
    details: tuple[str, ...] = ()


def in_dataset(folder: Path, words: Wording, profile: str) -> tuple[int | None, list[Criterion]]:
    """Look at the dataset; also returns how many pictures it has."""
    found = _dataset_of(folder)
    if found is None:
        missing = words.text("delivery.dataset_missing")
        return None, [Criterion("dataset", "dataset", False, missing)]
    try:
        dataset = load_dataset(str(found), on_missing="keep")
        report = check_dataset(dataset, profile=profile)
    except ParejaError as error:
        return None, [Criterion("dataset", "dataset", False, str(error))]
    there = words.text("delivery.dataset_there", name=found.relative_to(folder).as_posix())
    criteria = [Criterion("dataset", "dataset", True, there)]
    criteria += [_group(code, report, words) for code in (*_GROUPS, _OTHERS)]
    return len(dataset), criteria


def _dataset_of(folder: Path) -> Path | None:
    zips = [path for path in paths_of(folder) if path.suffix.lower() == ".zip"]
    named = [path for path in zips if re.search("data|datos", path.name, re.IGNORECASE)]
    if named or zips:
        return (named or zips)[0]
    table = first_named(folder, r"metadata\.(csv|jsonl)")
    return table.parent if table else None


def _group(code: str, report: CheckReport, words: Wording) -> Criterion:
    """Return what a check found of one kind; only errors count against it."""
    every = tuple(start for starts in _GROUPS.values() for start in starts)
    own = _GROUPS.get(code)
    problems = [
        problem
        for problem in report.problems
        if problem.severity != "note"
        and (problem.code.startswith(own) if own else not problem.code.startswith(every))
    ]
    errors = sum(problem.severity == "error" for problem in problems)
    details = tuple(
        (f"{problem.path}: " if problem.path else "") + problem_text(problem, words.lang)
        for problem in problems
    )
    key = f"delivery.{code}_{'bad' if errors else 'doubt' if problems else 'ok'}"
    sizes = report.summary["categories"]
    found = words.text(
        key,
        pictures=words.count("picture", report.summary["pictures"]),
        categories=words.count("category", len(sizes)),
        sizes=", ".join(f"{name} ({size})" for name, size in sizes.items()),
        n=len(problems),
    )
    return Criterion(code, "dataset", not errors, found, details)


def in_code(folder: Path, words: Wording, pictures: int | None) -> list[Criterion]:
    """Look at the scripts of the tasks, and at the numbers of the study."""
    criteria: list[Criterion] = []
    parts: tuple[tuple[int, Part], ...] = ((2, "pre_clip"), (3, "clip"))
    for task, part in parts:
        script = script_of(folder, task)
        if script is None:
            missing = words.text("delivery.script_missing", task=task)
            criteria.append(Criterion("script", part, False, missing))
            continue
        name = script.relative_to(folder).as_posix()
        wrong = _syntax_error(script.read_text(encoding="utf-8", errors="replace"))
        key = "script_wrong" if wrong else "script_there"
        found = words.text(f"delivery.{key}", name=name, reason=wrong)
        criteria.append(Criterion("script", part, not wrong, found))
    return criteria + _in_study(folder, words, pictures)


def _in_study(folder: Path, words: Wording, pictures: int | None) -> list[Criterion]:
    path = first_named(folder, r"study\.json")
    encoders: dict[str, Any] = {}
    comparisons: list[Any] = []
    reason = words.text("delivery.study_missing")
    if path is not None:
        try:
            results = json.loads(path.read_text(encoding="utf-8"))
            encoders, comparisons = results["encoders"], results["comparisons"]
            studied = results["dataset"]["images"]
            reason = ""
            if pictures not in {None, studied}:
                reason = words.text("delivery.study_other", studied=studied, pictures=pictures)
        except (ValueError, KeyError, TypeError) as error:
            reason = words.text("delivery.study_wrong", reason=error)
    criteria: list[Criterion] = []
    wanted: tuple[tuple[Part, str], ...] = (("pre_clip", "pair"), ("clip", "dual"))
    for part, kind in wanted:
        names = [name for name, encoder in encoders.items() if encoder["kind"] == kind]
        said = reason or words.text(
            f"delivery.{kind}_{'there' if names else 'missing'}", names=words.listing(names)
        )
        criteria.append(Criterion("numbers", part, bool(names) and not reason, said))
    compared = [f"{one['a']} / {one['b']}" for one in comparisons]
    key = "there" if compared else "missing"
    said = reason or words.text(f"delivery.comparison_{key}", names=words.listing(compared))
    criteria.append(Criterion("comparison", "clip", bool(compared) and not reason, said))
    return criteria


def _syntax_error(text: str) -> str:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError) as error:
        return str(error)
    return ""


def in_memoria(folder: Path, words: Wording, lang: Lang) -> tuple[int | None, list[Criterion]]:
    """Look at the document; also returns how many words it has."""
    source = first_named(folder, re.escape(SOURCE), r"memoria.*\.md")
    printed = first_named(folder, r"memoria.*\.pdf")
    names = [path.relative_to(folder).as_posix() for path in (source, printed) if path]
    key = "there" if source and printed else "partly" if names else "missing"
    found = words.text(f"delivery.memoria_{key}", names=words.listing(names))
    criteria = [Criterion("memoria", "memoria", bool(source and printed), found)]
    if source is None:
        unknown = words.text("delivery.length_unknown")
        return None, [*criteria, Criterion("length", "memoria", None, unknown)]
    text = source.read_text(encoding="utf-8-sig", errors="replace")
    prose = Prose.read(source, text, lang)
    length = prose.words.body
    fits = LEAST <= length <= MOST
    key = "ok" if fits else "short" if length < LEAST else "long"
    told = words.count("word", length)
    said = words.text(f"delivery.length_{key}", words=told, least=LEAST, most=MOST)
    criteria.append(Criterion("length", "memoria", fits, said))
    places = len(prose.unwritten)
    said = words.text(f"delivery.unwritten_{'some' if places else 'none'}", n=places)
    criteria.append(Criterion("unwritten", "memoria", not places, said))
    try:
        pictures = len(prose.pictures)
    except ParejaError as error:
        criteria.append(Criterion("figures", "memoria", False, str(error)))
    else:
        said = words.text(f"delivery.figures_{'there' if pictures else 'missing'}", n=pictures)
        criteria.append(Criterion("figures", "memoria", pictures > 0, said))
    return length, criteria


def in_surroundings(folder: Path, words: Wording) -> list[Criterion]:
    """Look at what explains the delivery and runs it elsewhere."""
    criteria: list[Criterion] = []
    readme = first_named(folder, r"readme(\.\w+)?", r"l[eé]eme(\.\w+)?")
    text = readme.read_text(encoding="utf-8", errors="replace") if readme else ""
    says = len(text.split()) >= _LEAST_README
    key = "there" if says else "short" if readme else "missing"
    found = words.text(f"delivery.readme_{key}", words=words.count("word", len(text.split())))
    criteria.append(Criterion("readme", "reproducible", says, found))
    rules = {"dockerfile": r"^\s*FROM\s+\S+", "makefile": r"^[\w.-]+\s*:"}
    for code, rule in rules.items():
        path = first_named(folder, code, rf"{code}\..+|.+\.{code}")
        text = path.read_text(encoding="utf-8", errors="replace") if path else ""
        works = re.search(rule, text, re.MULTILINE | re.IGNORECASE) is not None
        key = "there" if works else "wrong" if path else "missing"
        found = words.text(f"delivery.{code}_{key}")
        criteria.append(Criterion(code, "reproducible", works, found))
    notebook = first_named(folder, r".+\.ipynb")
    wrong = _wrong_in_notebook(notebook) if notebook else ""
    key = "missing" if notebook is None else "wrong" if wrong else "there"
    name = notebook.relative_to(folder).as_posix() if notebook else ""
    found = words.text(f"delivery.notebook_{key}", name=name, reason=wrong)
    criteria.append(Criterion("notebook", "reproducible", key == "there", found))
    return criteria


def _wrong_in_notebook(path: Path) -> str:
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    if not any(text.strip() for text in code):
        return "no code"
    # Lines for the notebook's own commands are no Python.
    return _syntax_error("\n".join(_MAGIC.sub("", text) for text in code))


def in_git(
    folder: Path, words: Wording, deadline: datetime | None, *, own: bool
) -> list[Criterion]:
    """Look at the repository: its commits, and what of the delivery is not in it."""
    if not git.repository(folder, own=own):
        said = words.text("delivery.git_missing")
        return [Criterion("git", "reproducible", None if deadline is None else False, said)]
    commits = git.commits(folder)
    last = words.text("delivery.git_none")
    if commits:
        when = commits[0].when.isoformat(" ", "minutes")
        last = words.text("delivery.git_last", n=len(commits), when=when, name=commits[0].name)
    criteria = [Criterion("git", "reproducible", bool(commits), last)]
    if deadline is not None:
        late = [commit for commit in commits if commit.when > deadline]
        key = "late" if late else "in_time"
        when = deadline.isoformat(" ", "minutes")
        said = words.text(f"delivery.git_{key}", n=len(late), deadline=when)
        details = tuple(f"{c.name} {c.when.isoformat(' ', 'minutes')} {c.subject}" for c in late)
        criteria.append(Criterion("deadline", "reproducible", not late, said, details))
    unsaved = git.unsaved(folder, [path for path in paths_of(folder) if path.name[0] != "."])
    ignored = [name for name, is_ignored in unsaved if is_ignored]
    left_out = [name for name, is_ignored in unsaved if not is_ignored]
    said = words.text("delivery.git_complete")
    if unsaved:
        said = words.text("delivery.git_unsaved", left=some_of(left_out), ignored=some_of(ignored))
    criteria.append(Criterion("committed", "reproducible", not unsaved, said))
    return criteria


_SAME = {True: "same", False: "differ", None: "none"}


def in_run(folder: Path, words: Wording) -> list[Criterion]:
    """Run the delivery from a fresh copy."""
    scripts: Sequence[Path] = [path for task in (2, 3) if (path := script_of(folder, task))]
    ran, differences = run_delivery(folder, scripts, first_named(folder, r".+\.ipynb"))
    criteria = []
    for one in ran:
        key = "unknown" if one.ok is None else "ok" if one.ok else "failed"
        said = words.text(f"delivery.run_{key}", name=one.name)
        details = (one.said,) if one.said else ()
        criteria.append(Criterion("run", "reproducible", one.ok, said, details))
    if not ran:
        said = words.text("delivery.run_nothing")
        criteria.append(Criterion("run", "reproducible", False, said))
    elif all(one.ok is not False for one in ran):
        same = None if differences is None else not differences
        said = words.text(f"delivery.numbers_{_SAME[same]}")
        criteria.append(Criterion("numbers", "reproducible", same, said, tuple(differences or ())))
    return criteria
