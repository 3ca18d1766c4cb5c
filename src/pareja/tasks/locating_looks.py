"""How a model looks at pictures for words, put so that the pipeline of embeddings can carry it.

The pipeline decodes pictures in threads, skips those that cannot be read and shows progress. What
comes out of it is a row of numbers for each picture: in place of an embedding, all that a model
says of the words.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pareja.encoders.protocols import DualEncoder, Embeddings, Fingerprint, Pixels
from pareja.regions.crops import region_encoder
from pareja.regions.detectors import Detector
from pareja.regions.maps import Box, Map, boxes, peak
from pareja.regions.thresholds import Threshold, known_threshold

_MOST_BOXES = 100


@dataclass(frozen=True, eq=False)
class Place:
    """Where in one picture some words are.

    Parameters
    ----------
    words
        What was looked for.
    score
        How well the picture as a whole fits them: the cosine of their embeddings, in [-1, 1]. Of a
        detector the score of its best box, in [0, 1]; 0 where it draws none.
    here
        Whether `score` reaches the threshold; None where there is no threshold.
    boxes
        Rectangles in pixels of the upright picture, best first; their scores are at most `score`.
    point
        The place that fits best, ``(x, y)`` in pixels: the middle of the map's highest cell, or of
        a detector's best box. The middle of the picture where there is no box.
    heat
        How much each place speaks for the words, ``(rows, cols)``; None of a detector.
    seen
        The part of the picture that `heat` covers: left, top, width and height in pixels.
    """

    words: str
    score: float
    here: bool | None
    boxes: tuple[Box, ...]
    point: tuple[float, float]
    heat: Map | None
    seen: tuple[float, float, float, float]


class Looker(ABC):
    """What the pipeline takes for an encoder of pictures.

    Parameters
    ----------
    name
        How the model is called.
    template
        What words are put into.
    threshold
        From which score on words are taken to be there, unless another one is asked for.
    """

    image_side: int
    most_at_once: int | None = None

    def __init__(self, name: str, template: str, threshold: Threshold | None) -> None:
        self.name = name
        self.threshold = threshold
        self._template = template
        self._words: tuple[str, ...] = ()
        self._limit: Threshold | None = None

    def look_for(self, words: Sequence[str], limit: Threshold | None) -> None:
        """Say what the next pictures are looked at for, and from which score on it is there."""
        self._words, self._limit = tuple(words), limit

    @property
    def _prompts(self) -> list[str]:
        return [self._template.replace("{}", words) for words in self._words]

    @property
    def image_fingerprint(self) -> Fingerprint:
        """Of no space: nothing is kept of what the rows hold."""
        return Fingerprint(self.name, "", "", "places")

    @property
    @abstractmethod
    def image_dim(self) -> int:
        """Length of a row."""

    @abstractmethod
    def prepare(self, image: Image.Image) -> Pixels:
        """Bring one RGB picture to what the model sees."""

    @abstractmethod
    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        """Return a row for each prepared picture."""

    @abstractmethod
    def places(self, row: Embeddings, size: tuple[int, int]) -> tuple[Place, ...]:
        """Return the place of each of the words in a picture of that size, out of its row."""

    def encode_images(self, images: Image.Image | Sequence[Image.Image]) -> Embeddings:
        """Return a row for each picture."""
        listed = [images] if isinstance(images, Image.Image) else list(images)
        return np.concatenate([self.encode_pixels(self.prepare(image)[None]) for image in listed])

    def _here(self, score: float) -> bool | None:
        return None if self._limit is None else score >= self._limit.score


class MapLooker(Looker):
    """Maps of an encoder: a row holds the words' cosines, ``(q,)``, and maps, ``(q, rows, cols)``.

    Parameters
    ----------
    encoder
        What embeds pictures and words.
    template
        What words are put into.
    """

    def __init__(self, encoder: DualEncoder, template: str) -> None:
        super().__init__(encoder.name, template, known_threshold(encoder))
        self.image_side = encoder.image_side
        self._encoder = encoder
        self._regions = region_encoder(encoder)
        self._texts: Embeddings = np.empty((0, encoder.text_dim), np.float32)
        self._grid = (0, 0)

    def look_for(self, words: Sequence[str], limit: Threshold | None) -> None:
        """Embed the words."""
        super().look_for(words, limit)
        self._texts = self._encoder.encode_texts(self._prompts)

    @property
    def image_dim(self) -> int:
        """Length of a row, once a picture was looked at."""
        return len(self._texts) * (1 + self._grid[0] * self._grid[1])

    def prepare(self, image: Image.Image) -> Pixels:
        """Bring one RGB picture to what the network sees."""
        return self._regions.prepare(image)

    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        """Return the cosines of pictures with the words, and the words' maps, in a row each."""
        found = self._regions.encode_regions(pixels)
        self._grid = found.cells.shape[1:3]
        maps = np.einsum("nrcd,qd->nqrc", found.cells, self._texts, optimize=True)
        return np.concatenate(
            [found.pictures @ self._texts.T, maps.reshape(len(pixels), -1)], axis=1
        )

    def places(self, row: Embeddings, size: tuple[int, int]) -> tuple[Place, ...]:
        """Return points and boxes by the rule of `pareja.regions.maps`."""
        seen = self._regions.seen(*size)
        count = len(self._words)
        scores, maps = row[:count], row[count:].reshape(count, *self._grid)
        return tuple(
            Place(
                words=words,
                score=score,
                here=self._here(score),
                boxes=boxes(heat, seen, size, score),
                point=peak(heat, seen, size),
                heat=heat.copy(),
                seen=seen,
            )
            for words, score, heat in zip(self._words, map(float, scores), maps, strict=True)
        )


class DetectorLooker(Looker):
    """Boxes of a detector: a row holds up to 100 for each of the words, as parts of the picture.

    Parameters
    ----------
    detector
        What draws them.
    template
        What words are put into.
    """

    image_side = 800
    # Pictures keep their ratio, so that no two of them need be of one size.
    most_at_once = 1

    def __init__(self, detector: Detector, template: str) -> None:
        super().__init__(detector.name, template, Threshold.given(detector.default_threshold))
        self._detector = detector

    @property
    def image_dim(self) -> int:
        """Length of a row."""
        return len(self._words) * _MOST_BOXES * 5

    def prepare(self, image: Image.Image) -> Pixels:
        """Return the pixels as they are: the detector's own processor prepares them."""
        return np.asarray(image)

    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        """Return the boxes in prepared pictures, ``(n, height, width, 3)``; NaN where none is."""
        limit = self._detector.default_threshold if self._limit is None else self._limit.score
        rows = np.full((len(pixels), len(self._words), _MOST_BOXES, 5), np.nan, np.float32)
        for number, picture in enumerate(pixels):
            height, width = picture.shape[:2]
            detected = self._detector.detect(Image.fromarray(picture), self._prompts, limit)
            for words, found in enumerate(detected):
                for place, box in enumerate(found[:_MOST_BOXES]):
                    rows[number, words, place] = (
                        box.left / width,
                        box.top / height,
                        box.width / width,
                        box.height / height,
                        box.score,
                    )
        return rows.reshape(len(pixels), -1)

    def places(self, row: Embeddings, size: tuple[int, int]) -> tuple[Place, ...]:
        """Return the detector's boxes in pixels of the picture."""
        width, height = size
        found = []
        for words, parts in zip(self._words, row.reshape(-1, _MOST_BOXES, 5), strict=True):
            drawn = tuple(
                Box(x * width, y * height, w * width, h * height, score)
                for x, y, w, h, score in parts[~np.isnan(parts[:, 0])].tolist()
            )
            point = width / 2, height / 2
            if drawn:
                best = drawn[0]
                point = best.left + best.width / 2, best.top + best.height / 2
            score = drawn[0].score if drawn else 0.0
            found.append(
                Place(
                    words=words,
                    score=score,
                    here=self._here(score) if drawn else False,
                    boxes=drawn,
                    point=point,
                    heat=None,
                    seen=(0.0, 0.0, float(width), float(height)),
                )
            )
        return tuple(found)
