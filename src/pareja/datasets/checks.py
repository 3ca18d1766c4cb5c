"""Everything that may be wrong with a dataset, found in one pass: ``pareja check``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pareja.datasets.captions import MISMATCH_MIN_PICTURES
from pareja.datasets.findings import (
    Finding,
    at,
    count,
    in_captions,
    in_duplicates,
    in_flags,
    in_languages,
    in_pictures,
    in_provenance,
    in_similarity,
)
from pareja.datasets.inspection import inspect_pictures
from pareja.datasets.profiles import SEVERITIES, Profile, Severity, find_profile
from pareja.datasets.records import Dataset, Record
from pareja.files import atomic_write

# Names that share about as much as two names of which one is misspelt.
_NEAR = 0.8


@dataclass(frozen=True)
class Problem:
    """Something that is wrong with a dataset, or may be.

    Parameters
    ----------
    code
        One of `CODES`.
    severity
        How serious it is to the profile.
    path
        The picture, as the dataset names it; empty where the dataset as a whole is meant.
    message
        What is wrong, what was found and what to do, as sentences.
    values
        What was found, by name, for the sentences of other languages: ``case`` is the sentence
        that fits, where a code has several.
    """

    code: str
    severity: Severity
    path: str
    message: str
    values: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckReport:
    """The result of `check_dataset`.

    Parameters
    ----------
    problems
        All of them: errors, warnings, notes; within each the dataset as a whole first, then its
        pictures in order.
    summary
        What was checked, as plain JSON values: ``dataset``, ``profile``, ``pictures``,
        ``captions``, ``categories`` and ``licenses`` (name to number), ``problems`` (severity to
        number) and ``left_out`` (checks that were not made, and why).
    """

    problems: tuple[Problem, ...]
    summary: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether there are no errors; warnings and notes may be there."""
        return not self.errors

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that the profile does not accept."""
        return tuple(p for p in self.problems if p.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """The problems that a person should look at."""
        return tuple(p for p in self.problems if p.severity == "warning")

    def to_json(self) -> dict[str, Any]:
        """Return ``{"ok", "problems": [{"code", "severity", "path", "message"}], "summary"}``.

        Returns
        -------
        dict
            Plain values for `json.dumps`.
        """
        return {
            "ok": self.ok,
            "problems": [
                {"code": p.code, "severity": p.severity, "path": p.path, "message": p.message}
                for p in self.problems
            ],
            "summary": dict(self.summary),
        }

    def save(self, path: Path | str, *, force: bool = False) -> Path:
        """Write the report as JSON; return the file's absolute path.

        Raises
        ------
        OutputError
            If the file exists and `force` is off, or cannot be written.
        """
        text = json.dumps(self.to_json(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        return atomic_write(path, text, force=force)


def check_dataset(
    dataset: Dataset,
    *,
    profile: str | Profile = "general",
    similarity: NDArray[np.floating] | None = None,
    flagged: Sequence[tuple[int, str, float]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Find all problems of a dataset at once.

    Each picture is read and decoded once, a few at a time; one that cannot be decoded does not stop
    the others.

    Parameters
    ----------
    dataset
        The dataset, read with ``on_missing="keep"`` so that rows without a picture are reported
        with everything else.
    profile
        What it is held to, or the name of that: see `pareja.datasets.profiles.profiles`.
    similarity
        What an encoder makes of it, ``(n_images, n_captions)``, rows in the order of the records,
        columns of ``dataset.captions``. Finds captions that belong to another picture, by the rule
        of `pareja.datasets.captions.mismatches`.
    flagged
        Pictures that a moderation encoder flags: ``(index of the record, reason, score)``. An empty
        sequence says that none was flagged, None that nobody looked.
    progress
        Called with the number of pictures done and of all pictures, after each.

    Returns
    -------
    CheckReport
        The problems and a summary, which names the checks that were left out.

    Raises
    ------
    DatasetError
        If the profile is unknown, or `similarity` or `flagged` do not fit the dataset.

    Examples
    --------
    >>> report = check_dataset(Dataset("empty", (), "nowhere"))
    >>> report.ok, [problem.code for problem in report.errors]
    (False, ['no_pictures'])
    """
    held_to = find_profile(profile) if isinstance(profile, str) else profile
    records = dataset.records
    # First, since wrong arguments should not cost a minute of decoding.
    judged = [*in_similarity(dataset, similarity), *in_flags(records, flagged)]
    inspections = []
    for done, inspection in enumerate(inspect_pictures(records), start=1):
        inspections.append(inspection)
        if progress is not None:
            progress(done, len(records))
    meant = _meant(dataset)
    findings = chain(
        _counts(dataset, held_to, len(meant)),
        _files(dataset, meant),
        _notes(dataset),
        in_pictures(inspections, held_to),
        in_duplicates(records, inspections),
        in_captions(records, held_to),
        in_languages(dataset),
        in_provenance(records),
        judged,
    )
    problems = [(f.index, _problem(f, records, held_to)) for f in findings]
    problems.sort(key=lambda item: (SEVERITIES.index(item[1].severity), item[0]))
    ordered = tuple(problem for _, problem in problems)
    return CheckReport(ordered, _summary(dataset, held_to, ordered, similarity, flagged))


def _problem(finding: Finding, records: Sequence[Record], profile: Profile) -> Problem:
    path = finding.path if finding.index < 0 else records[finding.index].file_name
    severity = profile.severity(finding.code)
    return Problem(finding.code, severity, path, finding.message, finding.values)


def _summary(
    dataset: Dataset,
    profile: Profile,
    problems: Sequence[Problem],
    similarity: NDArray[np.floating] | None,
    flagged: Sequence[tuple[int, str, float]] | None,
) -> dict[str, Any]:
    left_out = {}
    if similarity is None:
        left_out["caption_mismatch"] = "needs an encoder"
    elif len(dataset) < MISMATCH_MIN_PICTURES:
        left_out["caption_mismatch"] = f"needs at least {MISMATCH_MIN_PICTURES} pictures"
    if flagged is None:
        left_out["flagged"] = "needs an encoder"
    severities = Counter(problem.severity for problem in problems)
    return {
        "dataset": dataset.name,
        "profile": profile.name,
        "pictures": len(dataset),
        "captions": len(dataset.captions),
        "categories": _category_sizes(dataset),
        "licenses": dict(Counter(record.license or "" for record in dataset).most_common()),
        "problems": {severity: severities[severity] for severity in SEVERITIES},
        "left_out": left_out,
    }


def _category_sizes(dataset: Dataset) -> dict[str, int]:
    return dict(Counter(r.category for r in dataset if r.category is not None))


def _meant(dataset: Dataset) -> dict[str, str]:
    """Return which picture that no row names each row without a picture seems to mean.

    One misspelt name is one mistake: the picture is there, and so is the row.
    """
    free = {name.lower(): name for name in dataset.unlisted}
    meant: dict[str, str] = {}
    for _, name in dataset.missing:
        near = get_close_matches(name.lower(), free, n=1, cutoff=_NEAR)
        if near:
            meant[name] = free.pop(near[0])
    return meant


def _counts(dataset: Dataset, profile: Profile, misspelt: int) -> Iterator[Finding]:
    """Report how many pictures and categories there are; a misspelt one counts as there."""
    sizes = _category_sizes(dataset)
    pictures = len(dataset) + misspelt
    if not pictures:
        yield Finding("no_pictures", -1, "The dataset has no pictures. Add some, with captions.")
        return
    if profile.pictures is not None and profile.pictures != pictures:
        yield Finding(
            "picture_count",
            -1,
            f"The dataset has {count(pictures, 'picture')} and should have "
            f"{profile.pictures}. {_add_or_remove(pictures, profile.pictures)}.",
            values={"pictures": pictures, "wanted": profile.pictures},
        )
    elif pictures == 1:
        yield Finding(
            "picture_count",
            -1,
            "There is one picture, and nothing to compare it with. Add more.",
            values={"case": "one"},
        )
    if profile.categories is not None and profile.categories != len(sizes):
        named = f" ({', '.join(sizes)})" if sizes else ""
        yield Finding(
            "category_count",
            -1,
            f"The dataset has {count(len(sizes), 'category')}{named} and should have "
            f"{profile.categories}. Change the column 'category' of the metadata.",
            values={"categories": len(sizes), "named": named, "wanted": profile.categories},
        )
    lacking = sum(max(0, (profile.per_category or 0) - size) for size in sizes.values())
    explained = 0 < lacking <= misspelt
    for category, size in sizes.items():
        wanted = profile.per_category
        if wanted is None or wanted == size or (explained and size < wanted):
            continue
        yield Finding(
            "category_size",
            -1,
            f"Category {category!r} has {count(size, 'picture')} and should have {wanted}. "
            f"{_add_or_remove(size, wanted)}.",
            values={"category": category, "pictures": size, "wanted": wanted},
        )


def _add_or_remove(number: int, wanted: int) -> str:
    difference = wanted - number
    return f"{'Add' if difference > 0 else 'Remove'} {abs(difference)}"


def _files(dataset: Dataset, meant: Mapping[str, str]) -> Iterator[Finding]:
    for where, name in dataset.missing:
        if name in meant:
            yield Finding(
                "file_missing",
                -1,
                f"{at(where)}the picture does not exist, and no row names {meant[name]!r}. Did you "
                "mean that one? Write its name as it is.",
                name,
                {"case": "meant", "other": meant[name]},
            )
            continue
        yield Finding(
            "file_missing",
            -1,
            f"{at(where)}the picture does not exist. Add the file, or mend or remove the row.",
            name,
        )
    for name in dataset.unlisted:
        if name in meant.values():
            continue
        yield Finding(
            "file_unlisted",
            -1,
            "The metadata does not name this picture. Add a row for it, or remove the file.",
            name,
        )


def _notes(dataset: Dataset) -> Iterator[Finding]:
    """Report what was noticed while the dataset was read."""
    places = {record.file_name: index for index, record in enumerate(dataset)}
    for note in dataset.notes:
        # "Write captions" would be wrong advice beside a file that is full of them.
        unread = note.code == "file_unread" and not dataset.captions
        yield Finding(
            "captions_unread" if unread else note.code,
            places.get(note.path, -1),
            f"{note.message} No picture has a caption." if unread else note.message,
            note.path,
        )
