"""Drawn pictures of coloured forms in relations, with captions, labels and boxes.

``shapes:2000`` is a dataset of 2000 such pictures, ``shapes:2000:7`` another 2000 (seed 7), and
``shapes-new:100`` shows colours and a relation that ``shapes`` has not. Nothing is stored: a
picture is drawn when it is read, from its domain, its seed and its number alone.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from pareja.datasets.records import Dataset, Record
from pareja.errors import DatasetError

SIDE = 96
"""Width and height of every picture, in pixels."""

MOST = 1_000_000
"""How many pictures a dataset may have."""

_NAME = re.compile(r"(shapes|shapes-new):(\d{1,9})(?::(\d{1,9}))?")
# Drawn this many times larger and then reduced, so that edges are smooth.
_FINE = 4


@dataclass(frozen=True)
class Colour:
    """A colour with its name in English and Spanish (masculine, feminine)."""

    rgb: tuple[int, int, int]
    en: str
    es: tuple[str, str]


@dataclass(frozen=True)
class Form:
    """A form with its name in English and Spanish, and the Spanish gender (0 masculine)."""

    en: str
    es: str
    gender: int


@dataclass(frozen=True)
class Relation:
    """How two forms lie: the words from the first to the second, and back.

    Parameters
    ----------
    en, en_back, es, es_back
        As in "a red star *above* a blue ring", "a blue ring *below* a red star".
    """

    en: str
    en_back: str
    es: str
    es_back: str


FORMS = (
    Form("circle", "círculo", 0),
    Form("square", "cuadrado", 0),
    Form("triangle", "triángulo", 0),
    Form("star", "estrella", 1),
    Form("cross", "cruz", 1),
    Form("ring", "anillo", 0),
)
_LEFT = Relation("left of", "right of", "a la izquierda de", "a la derecha de")
_ABOVE = Relation("above", "below", "encima de", "debajo de")
_INSIDE = Relation("inside", "around", "dentro de", "alrededor de")


@dataclass(frozen=True)
class Domain:
    """What the pictures of a kind may show."""

    colours: tuple[Colour, ...]
    relations: tuple[Relation, ...]


DRAWN = ("shapes:2000", "shapes-new:100")
"""Names that say how many pictures are drawn, as messages list them."""

DOMAINS: Mapping[str, Domain] = {
    "shapes": Domain(
        (
            Colour((214, 39, 40), "red", ("rojo", "roja")),
            Colour((31, 98, 200), "blue", ("azul", "azul")),
            Colour((44, 150, 44), "green", ("verde", "verde")),
            Colour((245, 205, 20), "yellow", ("amarillo", "amarilla")),
            Colour((240, 125, 15), "orange", ("naranja", "naranja")),
            Colour((125, 50, 170), "purple", ("morado", "morada")),
            Colour((20, 20, 20), "black", ("negro", "negra")),
        ),
        (_LEFT, _ABOVE),
    ),
    "shapes-new": Domain(
        (
            Colour((245, 140, 185), "pink", ("rosa", "rosa")),
            Colour((120, 72, 30), "brown", ("marrón", "marrón")),
            Colour((40, 195, 190), "turquoise", ("turquesa", "turquesa")),
            Colour((135, 135, 140), "grey", ("gris", "gris")),
        ),
        (_LEFT, _ABOVE, _INSIDE),
    ),
}
"""By the name that a dataset begins with. The second has no colour of the first."""


@dataclass(frozen=True)
class _Drawn:
    """One form in a picture: centre and half its width, in parts of the side."""

    form: Form
    colour: Colour
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Scene:
    """What a picture shows: two forms, and how they lie."""

    first: _Drawn
    second: _Drawn
    relation: Relation
    ground: int
    back: bool


@dataclass(frozen=True)
class ShapesSource:
    """A picture that is drawn when it is read.

    Parameters
    ----------
    domain, seed, number
        Which picture; the same three always give the same bytes.
    """

    domain: str
    seed: int
    number: int

    def __str__(self) -> str:
        return f"{self.domain}:{self.number + 1}:{self.seed}/{self.number:06}.png"

    def read(self) -> bytes:
        """Return the picture as PNG."""
        scene = scene_of(self.domain, self.seed, self.number)
        stream = io.BytesIO()
        draw(scene).save(stream, "PNG", compress_level=1)
        return stream.getvalue()


def is_shapes(name: str) -> bool:
    """Whether a dataset's name means drawn pictures."""
    return name.partition(":")[0] in DOMAINS and ":" in name


def load_shapes(name: str, limit: int | None = None) -> Dataset:
    """Return a dataset of drawn pictures.

    Parameters
    ----------
    name
        ``shapes:N`` or ``shapes:N:SEED``, and the same with ``shapes-new``. The first pictures of
        a larger dataset are those of a smaller one with the same seed.
    limit
        Only so many of them.

    Returns
    -------
    Dataset
        Each record has one English and one Spanish caption, the label (``"red star"``) of the
        form that its caption names first, the category (that form), and in ``extra["boxes"]`` a
        JSON list of ``{"label", "box": [x, y, width, height]}`` in pixels.

    Raises
    ------
    DatasetError
        If the name is of another form, or asks for none or for more than a million.

    Examples
    --------
    >>> dataset = load_shapes("shapes:3")
    >>> dataset.records[0].caption, dataset.records[0].label
    ('an orange triangle right of a purple cross', 'orange triangle')
    """
    match = _NAME.fullmatch(name)
    if not match or not 1 <= int(match[2]) <= MOST:
        raise DatasetError(
            f"{name!r} names no drawn pictures. Write shapes:2000 or shapes-new:100 (1 to {MOST}), "
            "and another seed as in shapes:2000:7."
        )
    domain, seed = match[1], int(match[3] or 0)
    count = int(match[2]) if limit is None else min(int(match[2]), limit)
    return Dataset(name, tuple(_record(domain, seed, i) for i in range(count)), name)


def _record(domain: str, seed: int, number: int) -> Record:
    scene = scene_of(domain, seed, number)
    shown = _subject(scene)
    boxes = [
        {"label": label(drawn), "box": list(_box(drawn))} for drawn in (scene.first, scene.second)
    ]
    return Record(
        file_name=f"{number:06}.png",
        source=ShapesSource(domain, seed, number),
        captions=(caption(scene, "en"),),
        category=shown.form.en,
        label=label(shown),
        caption_es=caption(scene, "es"),
        author="drawn by pareja",
        license="CC0-1.0",
        extra={"boxes": json.dumps(boxes)},
    )


@lru_cache(maxsize=4096)
def scene_of(domain: str, seed: int, number: int) -> Scene:
    """Choose what a picture shows."""
    kind = DOMAINS[domain]
    rng = np.random.default_rng((list(DOMAINS).index(domain), seed, number))
    # Two forms that differ in form or colour: else the caption would fit its own reverse.
    kinds = len(FORMS) * len(kind.colours)
    chosen = rng.choice(kinds, size=2, replace=False)
    forms = [(FORMS[i % len(FORMS)], kind.colours[i // len(FORMS)]) for i in chosen]
    relation = kind.relations[rng.integers(len(kind.relations))]
    along, across = rng.uniform(0.22, 0.30), rng.uniform(-0.10, 0.10, size=2)
    small, large = rng.uniform(0.13, 0.19, size=2)
    if relation is _INSIDE:
        x, y = rng.uniform(0.42, 0.58, size=2)
        # Only forms with room in the middle can hold another one.
        holders = [form for form in FORMS if form.en in ("circle", "square", "ring")]
        forms[1] = (holders[rng.integers(len(holders))], forms[1][1])
        if forms[0] == forms[1] or forms[0][1] == forms[1][1]:
            others = [colour for colour in kind.colours if colour is not forms[1][1]]
            forms[0] = (forms[0][0], others[rng.integers(len(others))])
        places = [(x, y, 0.11), (x, y, rng.uniform(0.28, 0.36))]
    elif relation is _LEFT:
        places = [(0.5 - along, 0.5 + across[0], small), (0.5 + along, 0.5 + across[1], large)]
    else:
        places = [(0.5 + across[0], 0.5 - along, small), (0.5 + across[1], 0.5 + along, large)]
    first, second = (
        _Drawn(form, colour, *map(float, place))
        for (form, colour), place in zip(forms, places, strict=True)
    )
    return Scene(first, second, relation, int(rng.integers(215, 256)), bool(rng.integers(2)))


def _subject(scene: Scene) -> _Drawn:
    return scene.second if scene.back else scene.first


def label(drawn: _Drawn) -> str:
    """Return ``"red star"``."""
    return f"{drawn.colour.en} {drawn.form.en}"


def label_es(name: str) -> str:
    """Return a label's Spanish name with its article: of ``"red star"``, ``"una estrella roja"``.

    Raises
    ------
    KeyError
        If no drawn form has that name.
    """
    for kind in DOMAINS.values():
        for form in FORMS:
            for colour in kind.colours:
                drawn = _Drawn(form, colour, 0.0, 0.0, 0.0)
                if label(drawn) == name:
                    return _spanish(drawn)
    raise KeyError(name)


def caption(scene: Scene, lang: str) -> str:
    """Return what a scene shows in one sentence, in English (``en``) or Spanish (``es``)."""
    one, other = scene.first, scene.second
    relation = scene.relation.en if lang == "en" else scene.relation.es
    if scene.back:
        one, other = other, one
        relation = scene.relation.en_back if lang == "en" else scene.relation.es_back
    if lang == "en":
        return f"{_article(one)} {relation} {_article(other)}"
    return f"{_spanish(one)} {relation} {_spanish(other)}"


def _article(drawn: _Drawn) -> str:
    name = label(drawn)
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _spanish(drawn: _Drawn) -> str:
    gender = drawn.form.gender
    return f"{('un', 'una')[gender]} {drawn.form.es} {drawn.colour.es[gender]}"


def _box(drawn: _Drawn) -> tuple[int, int, int, int]:
    """Return left, top, width and height in pixels."""
    left, top = (math.floor((centre - drawn.radius) * SIDE) for centre in (drawn.x, drawn.y))
    # Pillow draws the last of the fine pixels as well.
    right, bottom = (
        math.ceil((centre + drawn.radius) * SIDE + 1 / _FINE) for centre in (drawn.x, drawn.y)
    )
    return left, top, right - left, bottom - top


def draw(scene: Scene) -> Image.Image:
    """Draw a scene, ``SIDE`` by ``SIDE`` pixels, RGB."""
    size = SIDE * _FINE
    image = Image.new("RGB", (size, size), (scene.ground,) * 3)
    canvas = ImageDraw.Draw(image)
    # The larger one first where one lies inside the other.
    for drawn in sorted((scene.first, scene.second), key=lambda drawn: -drawn.radius):
        _draw_form(canvas, drawn, size, (scene.ground,) * 3)
    return image.reduce(_FINE)


def _draw_form(
    canvas: ImageDraw.ImageDraw, drawn: _Drawn, size: int, ground: tuple[int, int, int]
) -> None:
    x, y, r = drawn.x * size, drawn.y * size, drawn.radius * size
    colour = drawn.colour.rgb
    box = (x - r, y - r, x + r, y + r)
    match drawn.form.en:
        case "circle":
            canvas.ellipse(box, fill=colour)
        case "square":
            canvas.rectangle(box, fill=colour)
        case "ring":
            canvas.ellipse(box, fill=colour)
            inner = 0.6 * r
            canvas.ellipse((x - inner, y - inner, x + inner, y + inner), fill=ground)
        case "cross":
            arm = 0.36 * r
            canvas.rectangle((x - r, y - arm, x + r, y + arm), fill=colour)
            canvas.rectangle((x - arm, y - r, x + arm, y + r), fill=colour)
        case "triangle":
            canvas.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=colour)
        case "star":
            points = []
            for i in range(10):
                reach = r if i % 2 == 0 else 0.42 * r
                angle = math.pi * (i / 5 - 0.5)
                points.append((x + reach * math.cos(angle), y + reach * math.sin(angle)))
            canvas.polygon(points, fill=colour)
