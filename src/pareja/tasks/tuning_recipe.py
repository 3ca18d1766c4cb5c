"""From what an encoder was adapted, and how: what a report and a model card say of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pareja.encoders.catalogue import ModelCard, list_models
from pareja.encoders.protocols import Encoder

if TYPE_CHECKING:
    from pareja.training.lora import Rank, Towers
    from pareja.training.losses import Loss
    from pareja.training.schedule import Schedule


@dataclass(frozen=True)
class Recipe:
    """How an encoder was adapted.

    Parameters
    ----------
    dataset
        The name of what it learned from.
    by
        ``"splits"`` where the dataset's own splits said what is held out, ``"chance"`` otherwise.
    loss
        ``"softmax"`` or ``"sigmoid"``.
    towers
        Whose weights were trained.
    rank
        What low-rank adapters look like, and which blocks were trained.
    schedule
        How training ran.
    """

    dataset: str
    by: str
    loss: Loss
    towers: Towers
    rank: Rank
    schedule: Schedule


def cards_of(encoder: Encoder) -> tuple[ModelCard, ...]:
    """Return the catalogue's cards of an encoder, or of the two of a pair; none for a folder."""
    cards = {card.name: card for card in list_models()}
    by_repository = {card.repository: card for card in cards.values() if card.repository}
    parts: Sequence[str] = [encoder.name] if encoder.name in cards else encoder.name.split("+")
    found = [cards.get(part) or by_repository.get(part) for part in parts]
    return tuple(card for card in found if card is not None) if all(found) else ()


def short_name(encoder: Encoder) -> str:
    """Return the name of an encoder; of a folder the last part alone.

    Examples
    --------
    >>> from pareja import load
    >>> short_name(load("starter"))
    'starter'
    """
    folder = Path(encoder.name).expanduser()
    return folder.resolve().name if folder.is_dir() else encoder.name
