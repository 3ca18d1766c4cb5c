"""Words and pictures in, places in the pictures out: what ``pareja locate`` does."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from pareja.datasets.records import Record
from pareja.embedding.natural import Model, loaded
from pareja.embedding.paths import none_decoded
from pareja.embedding.pipeline import OnProgress, stream_images
from pareja.encoders import require_dual
from pareja.errors import InputError
from pareja.inputs import Given, Pictures, find_dataset, find_pictures, find_texts, within
from pareja.regions.detectors import Detector, find_detector
from pareja.regions.maps import Box
from pareja.regions.thresholds import Threshold
from pareja.tasks.locating_looks import DetectorLooker, Looker, MapLooker, Place
from pareja.tasks.locating_measures import (
    Answer,
    PlaceScores,
    labels_of,
    score_places,
    true_places,
)
from pareja.tasks.results import write

MOST_WORDS = 100
"""How many words are looked for at once; each takes a map of every picture."""


@dataclass(frozen=True)
class LocatedPicture:
    """A picture, and where in it each of the words are.

    Parameters
    ----------
    record
        The picture.
    width, height
        In pixels, upright.
    places
        One for each of the words, in their order.
    """

    record: Record
    width: int
    height: int
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Located:
    """Where in pictures words are.

    Parameters
    ----------
    words
        What was looked for.
    pictures
        The pictures that decoded, in the order given.
    name
        What the pictures are called together.
    model
        What looked.
    threshold
        From which score on the words are taken to be in a picture; None where that was never
        measured for the model.
    skipped
        ``(name, reason)`` of the pictures that did not decode.
    seconds
        How long it took.
    measured
        How well that fits what is known of the pictures; None where nobody asked.
    """

    words: tuple[str, ...]
    pictures: tuple[LocatedPicture, ...]
    name: str
    model: str
    threshold: Threshold | None
    skipped: tuple[tuple[str, str], ...]
    seconds: float
    measured: PlaceScores | None = None

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Every box of all pictures and words, but of words that are taken not to be there.

        Picture by picture, word by word, best first.
        """
        return tuple(box for _, place in self.found() for box in place.boxes)

    def found(self) -> Iterator[tuple[LocatedPicture, Place]]:
        """Yield each picture with each of the words that may be in it."""
        for picture in self.pictures:
            for place in picture.places:
                if place.here is not False:
                    yield picture, place

    def save(
        self, path: Path | str, *, lang: Literal["en", "es"] = "en", force: bool = False
    ) -> Path:
        """Write the result to one file.

        Parameters
        ----------
        path
            Ends in ``.csv`` (a table), ``.json`` (everything), ``.coco.json`` (a list of results as
            COCO's tools read it), ``.png`` (one picture with outlines and what they are) or
            ``.html`` (a page with maps and outlines).
        lang
            The language of the page.
        force
            Replace a file that exists.

        Returns
        -------
        Path
            Absolute path of the file.

        Raises
        ------
        OutputError
            If it has another ending, exists and `force` is off, cannot be written, or is to be one
            picture of several.
        """
        return write(self, path, lang=lang, force=force)


def locate(
    words: str | Iterable[str] | None,
    pictures: Pictures,
    *,
    model: Model | Detector = "starter",
    template: str = "{}",
    threshold: float | None = None,
    calibrate: Pictures | None = None,
    measure: bool = False,
    split: str | None = None,
    resamples: int = 2000,
    seed: int = 0,
    device: str | None = None,
    batch_size: int | None = None,
    progress: OnProgress | None = None,
) -> Located:
    """Find where in pictures words are.

    Parameters
    ----------
    words
        What to look for, one or several, at most 100. None looks for every label of the dataset
        that is measured.
    pictures
        What `pareja.embed` takes: paths, folders, patterns, datasets, images, bytes.
    model
        A dual encoder, or what `pareja.load` takes. CLIP, MetaCLIP 2 and SigLIP say what each patch
        adds to a picture's embedding; ``starter`` what each place of its last feature map shows,
        which takes five times as long as the embedding; every other encoder embeds overlapping
        crops, which takes 26 times as long. Or a detector:
        a name of the catalogue, a folder or a repository with OWL-ViT, OWLv2, Grounding DINO,
        MM-Grounding-DINO, LLMDet or OMDet-Turbo, which draws boxes and has no maps.
    template
        What each of the words is put into, with ``{}`` for it, as in ``"a photo of a {}"``.
    threshold
        From which score on the words are taken to be in a picture; by default what was measured for
        the model, if anything, and for a detector the score from which its authors keep a box.
    calibrate
        A dataset with a column ``boxes`` or ``label`` from which the threshold is found, with its
        error rates there.
    measure
        Whether the result is measured against the dataset's own ``boxes`` and ``label``, whose case
        does not count.
    split
        Of a dataset only this part, as ``"test"``.
    resamples, seed
        Of the bootstrap behind every interval.
    device
        What a model that is named here runs on: ``"cuda"``, ``"mps"``, ``"openvino"`` or
        ``"cpu"``; by default the first of these that this machine has.
    batch_size
        Pictures that the model gets at once; 32 by default.
    progress
        Called after each batch, in the caller's thread.

    Returns
    -------
    Located
        For each picture and each of the words a score, a map, a point and boxes. ``skipped`` names
        the pictures that cannot be read.

    Raises
    ------
    InputError
        If there are no words or too many, one is empty, `template` has no ``{}``, `threshold` is
        outside [-1, 1], or something else was given.
    ImageError
        If one picture was given, and it cannot be decoded.
    DatasetError
        If there are no pictures, none of them decodes, or nothing says what is in those that are
        measured.
    EncoderError
        If the model cannot be loaded, or its words share no space with its pictures.

    Examples
    --------
    >>> found = locate(["a circle", "a star"], "shapes:1", model="starter")
    >>> [place.heat.shape for place in found.pictures[0].places]
    [(17, 17), (17, 17)]
    """
    start = time.perf_counter()
    if template.count("{}") != 1:
        raise InputError(f"`template` is {template!r}. Write {{}} once, for the words.")
    if words is None and not measure:
        raise InputError("words is None. Say what to look for, or give `measure=True`.")
    if threshold is not None and calibrate is not None:
        raise InputError("`calibrate` finds a threshold, and `threshold` is one: give one of them.")
    if threshold is not None:
        within("threshold", threshold, -1, 1)
    listed = None if words is None else _checked_words(words)
    looker = _looker(model, device, template)
    given = find_pictures(pictures, split=split)
    run: dict[str, Any] = {"batch_size": batch_size, "progress": progress}
    drawn: dict[str, Any] = {"resamples": resamples, "seed": seed}
    limit = looker.threshold if threshold is None else Threshold.given(threshold)
    if calibrate is not None:
        limit = _calibrated(calibrate, looker, run, drawn).threshold
    if listed is None:
        listed = list(labels_of(map(true_places, given.dataset), given.dataset.name))
    found, skipped = _look(listed, given, looker, limit, **run)
    return Located(
        words=tuple(listed),
        pictures=tuple(found),
        name=given.dataset.name,
        model=looker.name,
        threshold=limit,
        measured=_measured(found, given.dataset.name, drawn) if measure else None,
        skipped=tuple(skipped),
        seconds=time.perf_counter() - start,
    )


def _looker(model: Model | Detector, device: str | None, template: str) -> Looker:
    detector = find_detector(model, device)
    if detector is not None:
        return DetectorLooker(detector, template)
    return MapLooker(require_dual(loaded(cast(Model, model), device)), template)


def _look(
    words: Sequence[str],
    given: Given,
    looker: Looker,
    limit: Threshold | None,
    *,
    batch_size: int | None,
    progress: OnProgress | None,
) -> tuple[list[LocatedPicture], list[tuple[str, str]]]:
    """Return the pictures with the places of words, and what could not be read."""
    looker.look_for(words, limit)
    found: list[LocatedPicture] = []
    skipped: list[tuple[str, str]] = list(given.skipped)
    batches = stream_images(
        given.sources,
        looker,
        batch_size=looker.most_at_once or batch_size,
        on_error="raise" if given.one else "skip",
        progress=progress,
    )
    for batch in batches:
        skipped += batch.skipped
        for index, size, row in zip(batch.indices, batch.sizes, batch.embeddings, strict=True):
            assert size is not None  # noqa: S101  without a cache every picture is read
            record = given.dataset.records[index]
            found.append(LocatedPicture(record, *size, looker.places(row, size)))
    if not found:
        raise none_decoded(tuple(skipped))
    return found, skipped


def _calibrated(
    pictures: Pictures,
    looker: Looker,
    run: Mapping[str, Any],
    drawn: Mapping[str, Any],
) -> PlaceScores:
    """Measure a model on other pictures, with every label that they have."""
    given = find_pictures(find_dataset(pictures, "calibrate"))
    words = labels_of(map(true_places, given.dataset), given.dataset.name)
    found, _ = _look(words, given, looker, None, **run)
    return _measured(found, given.dataset.name, drawn)


def _measured(found: Sequence[LocatedPicture], name: str, drawn: Mapping[str, Any]) -> PlaceScores:
    return score_places(
        [
            {place.words: Answer(place.score, place.point, place.boxes) for place in picture.places}
            for picture in found
        ],
        [true_places(picture.record) for picture in found],
        [(picture.width, picture.height) for picture in found],
        name,
        **drawn,
    )


def _checked_words(words: str | Iterable[str]) -> list[str]:
    listed, _ = find_texts(words, "words")
    listed = list(dict.fromkeys(" ".join(text.split()) for text in listed))
    if "" in listed:
        raise InputError("words: one of them is empty. Say what to look for, as in 'a red hat'.")
    if len(listed) > MOST_WORDS:
        raise InputError(
            f"words: {len(listed)} are looked for at once, and the most is {MOST_WORDS}. Look for "
            "the others afterwards."
        )
    return listed
