"""Which model to take for Spanish, for a slow CPU, for commercial use: by what is published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from pareja.encoders.catalogue import ModelCard, find_card, list_models
from pareja.errors import InputError, some_of

Use = Literal["es", "slow-cpu", "commercial"]
"""Spanish texts; a computer without a GPU; selling what is made with the model."""

_FREE = {"MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "CC0-1.0"}
# The model that most people begin with.
_COMMON = "clip-vit-b32"


@dataclass(frozen=True)
class Recommendation:
    """A model, and why it is recommended.

    Parameters
    ----------
    card
        The model.
    reasons
        One sentence for each use that was asked for, and one on how well it finds pictures.
    measured
        Whether a figure is published for what the models are ranked by. The others stand last.
    """

    card: ModelCard
    reasons: tuple[str, ...]
    measured: bool


def recommend_models(*uses: Use) -> tuple[Recommendation, ...]:
    """Return the dual encoders that serve all of these uses, the best first.

    They are ranked by how often a caption finds its picture first: for Spanish with the Spanish
    captions of Crossmodal-3600, otherwise with the English ones of COCO. Models without such a
    figure follow, ranked by COCO and by ImageNet. What comes with pareja is left out: it is for
    teaching and for trying things out.

    Parameters
    ----------
    uses
        ``"es"``: texts in Spanish. ``"slow-cpu"``: over about 30 pictures a second on a laptop.
        ``"commercial"``: the licence of the weights allows commercial use; what they were trained
        on is another question.

    Raises
    ------
    InputError
        If a use is none of these, or there is none at all.

    Examples
    --------
    >>> [found.card.name for found in recommend_models("es") if found.measured]
    ['siglip-i18n-b16', 'siglip-b16', 'dfn2b-b16']
    >>> recommend_models("slow-cpu", "commercial")[0].reasons[1]
    'commercial: the licence Apache-2.0 allows it'
    """
    known = get_args(Use)
    if not uses or (wrong := [use for use in uses if use not in known]):
        got = some_of(map(repr, wrong)) if uses else "nothing"
        raise InputError(f"`uses` takes {', '.join(map(repr, known))}, one or several; got {got}.")
    spanish = "es" in uses
    found = [
        Recommendation(card, _reasons(card, uses), _measure(card, spanish) is not None)
        for card in list_models()
        if card.kind == "dual"
        and not card.comes_with_pareja
        and all(_SERVES[use](card) for use in uses)
    ]

    def rank(recommendation: Recommendation) -> tuple[float, ...]:
        card = recommendation.card
        imagenet = card.imagenet.percent if card.imagenet else 0
        return (_measure(card, spanish) or 0, _measure(card, spanish=False) or 0, imagenet)

    return tuple(sorted(found, key=rank, reverse=True))


def _measure(card: ModelCard, spanish: bool) -> float | None:
    """Return the percentage of captions that find their picture first."""
    if spanish:
        return None if card.xm3600 is None else card.xm3600.es
    return None if card.coco is None else card.coco.pictures


def _reads_spanish(card: ModelCard) -> bool:
    return card.languages == "many" or "es" in str(card.languages).split(", ")


_SERVES: dict[Use, Callable[[ModelCard], bool]] = {
    "es": _reads_spanish,
    "slow-cpu": lambda card: card.speed == "fast",
    "commercial": lambda card: card.licence in _FREE,
}


def _reasons(card: ModelCard, uses: tuple[Use, ...]) -> tuple[str, ...]:
    """Say why a model serves these uses, and how well."""
    reasons = []
    for use in dict.fromkeys(uses):
        if use == "slow-cpu":
            reasons.append("slow CPU: roughly over 30 pictures a second on a laptop")
        elif use == "commercial":
            reasons.append(f"commercial: the licence {card.licence} allows it")
        else:
            reasons.append(f"Spanish: {_found(card, spanish=True)}")
    if "es" not in uses:
        reasons.append(f"English: {_found(card, spanish=False)}")
    return tuple(reasons)


def _found(card: ModelCard, spanish: bool) -> str:
    """Say how often a caption finds its picture, beside the model that most people begin with."""
    value = _measure(card, spanish)
    if value is None:
        reads = "it reads many languages, and " if spanish and card.languages == "many" else ""
        return f"{reads}no figure is published"
    published = card.xm3600 if spanish else card.coco
    source = published.source if published else ""
    common = find_card(_COMMON)
    usual = common and card.name != _COMMON and _measure(common, spanish)
    beside = f"; with {_COMMON}, {usual:.1f} %" if usual else ""
    return f"{value:.1f} % of captions find their picture first ({source}){beside}"
