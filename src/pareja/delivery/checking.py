"""Checking a delivery against the practical's own list, with the weights of its parts."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pareja.delivery.criteria import (
    Criterion,
    Part,
    in_code,
    in_dataset,
    in_git,
    in_memoria,
    in_run,
    in_surroundings,
)
from pareja.delivery.places import deliveries_in, is_delivery, opened
from pareja.errors import InputError
from pareja.words.wording import Lang, Wording

PARTS: tuple[Part, ...] = ("dataset", "pre_clip", "clip", "memoria", "reproducible")


@dataclass(frozen=True)
class DeliveryReview:
    """What was found in one delivery.

    Parameters
    ----------
    name
        What it is called: the folder or zip.
    criteria
        Everything that was looked at, part by part.
    weights
        What each part is worth.
    words
        Words of running text in the document; None where there is none.
    """

    name: str
    criteria: tuple[Criterion, ...]
    weights: Mapping[str, float]
    words: int | None

    @property
    def ok(self) -> bool:
        """Whether nothing that was looked at is missing or wrong."""
        return all(criterion.ok is not False for criterion in self.criteria)

    def part(self, part: Part) -> tuple[Criterion, ...]:
        """Return what was looked at of one part."""
        return tuple(criterion for criterion in self.criteria if criterion.part == part)

    def met(self, part: Part) -> tuple[int, int]:
        """Return how many criteria of a part are met, and how many could be looked at."""
        looked = [criterion.ok for criterion in self.part(part) if criterion.ok is not None]
        return sum(looked), len(looked)

    def to_json(self) -> dict[str, Any]:
        """Return plain values: ``name``, ``ok``, ``words``, ``parts`` and ``criteria``."""
        return {
            "name": self.name,
            "ok": self.ok,
            "words": self.words,
            "parts": {
                part: {
                    "weight": self.weights[part],
                    "met": self.met(part)[0],
                    "of": self.met(part)[1],
                }
                for part in PARTS
            },
            "criteria": [
                {**asdict(criterion), "details": list(criterion.details)}
                for criterion in self.criteria
            ],
        }


def check_delivery(
    path: Path | str,
    *,
    deadline: datetime | str | None = None,
    run: bool = False,
    weights: Mapping[str, float] | None = None,
    profile: str = "course",
    lang: Lang = "en",
) -> DeliveryReview:
    """Go through the practical's list for one delivery.

    Parameters
    ----------
    path
        Its folder or its zip.
    deadline
        When it was due, as ``"2026-10-31T23:59"``, in this machine's time zone unless it names
        one: then the delivery has to be a git repository without later commits.
    run
        Run its scripts and notebook from a fresh copy. This runs somebody else's code here.
    weights
        What each part is worth: ``dataset``, ``pre_clip``, ``clip``, ``memoria`` and
        ``reproducible``.
    profile
        The rules that the dataset is held to.
    lang
        The language of what is found.

    Returns
    -------
    DeliveryReview
        Each criterion with what was found, and what each part is worth.

    Raises
    ------
    InputError
        If there is no such folder or zip, `deadline` is no time, or `weights` name other parts.
    """
    return _reviewed(
        Path(path),
        deadline=_moment(deadline),
        run=run,
        weights=_weights(weights),
        profile=profile,
        lang=lang,
        own_repository=False,
    )


def check_deliveries(
    path: Path | str,
    *,
    deadline: datetime | str | None = None,
    run: bool = False,
    weights: Mapping[str, float] | None = None,
    profile: str = "course",
    lang: Lang = "en",
) -> list[DeliveryReview]:
    """Go through the practical's list for one delivery, or for each one in a folder.

    Parameters
    ----------
    path
        A delivery, or a folder whose folders and zips are deliveries, one a student.
    deadline, run, weights, profile, lang
        When they were due, whether they are run, what each part is worth, the rules of the
        datasets, and the language: see `check_delivery`.

    Returns
    -------
    list of DeliveryReview
        One for each, by name. A zip that cannot be opened is one that fails.

    Raises
    ------
    InputError
        If there is none, `deadline` is no time, or `weights` name other parts.
    """
    given, due, worth = Path(path), _moment(deadline), _weights(weights)
    alone = not given.exists() or is_delivery(given)
    each = [given] if alone else deliveries_in(given)
    if not each:
        raise InputError(
            f"{given} holds no delivery: there is no folder and no zip in it. Give a delivery, or "
            "the folder that holds those of a class."
        )
    reviews: list[DeliveryReview] = []
    for one in each:
        try:
            review = _reviewed(
                one,
                deadline=due,
                run=run,
                weights=worth,
                profile=profile,
                lang=lang,
                own_repository=not alone,
            )
        except InputError as error:
            if alone:
                raise
            unread = Criterion("unreadable", "dataset", False, str(error))
            review = DeliveryReview(one.name, (unread,), worth, None)
        reviews.append(review)
    return reviews


def _reviewed(
    path: Path,
    *,
    deadline: datetime | None,
    run: bool,
    weights: Mapping[str, float],
    profile: str,
    lang: Lang,
    own_repository: bool,
) -> DeliveryReview:
    words = Wording(lang)
    with opened(path.resolve()) as folder:
        pictures, criteria = in_dataset(folder, words, profile)
        criteria += in_code(folder, words, pictures)
        length, written = in_memoria(folder, words, lang)
        criteria += written
        criteria += in_surroundings(folder, words)
        criteria += in_git(folder, words, deadline, own=own_repository)
        if run:
            criteria += in_run(folder, words)
    # What was unpacked lay somewhere that nobody has to know.
    criteria = [_without(folder, criterion) for criterion in criteria]
    criteria.sort(key=lambda criterion: PARTS.index(criterion.part))
    return DeliveryReview(path.resolve().name, tuple(criteria), weights, length)


def _without(folder: Path, criterion: Criterion) -> Criterion:
    def cut(text: str) -> str:
        return text.replace(f"{folder}/", "")

    details = tuple(cut(detail) for detail in criterion.details)
    return replace(criterion, found=cut(criterion.found), details=details)


def _moment(deadline: datetime | str | None) -> datetime | None:
    if deadline is None:
        return None
    if isinstance(deadline, str):
        try:
            deadline = datetime.fromisoformat(deadline)
        except ValueError as error:
            raise InputError(
                f"`deadline` is {deadline!r}, which is no time. Write it as 2026-10-31T23:59."
            ) from error
    return deadline if deadline.tzinfo else deadline.astimezone()


@cache
def default_weights() -> Mapping[str, float]:
    """Return what each part is worth where a course does not say it."""
    text = (resources.files("pareja.delivery") / "rubric.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _weights(given: Mapping[str, float] | None) -> Mapping[str, float]:
    if given is None:
        return default_weights()
    if set(given) != set(PARTS):
        raise InputError(
            f"the rubric has weights for {', '.join(given)}. Give a number for each of "
            f"{', '.join(PARTS)}."
        )
    return given
