"""The small encoders of drawn shapes have learned what they were shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pareja
from pareja.datasets import load_dataset
from pareja.encoders.loading import require_dual


@pytest.mark.parametrize("name", ["clip-shapes", "siglip-shapes"])
def test_they_find_captions_and_pictures_that_they_have_not_seen(name: str) -> None:
    encoder = require_dual(pareja.load(name, device="cpu", precision="float32"))
    records = load_dataset("shapes:100:1").records
    pictures = pareja.embed([r.source.read() for r in records], encoder, cache=False).vectors
    captions = encoder.encode_texts([r.caption for r in records])
    similarity = pictures @ captions.T
    own = np.arange(len(records))
    # Chance is 0.01.
    assert np.mean(similarity.argmax(axis=1) == own) > 0.7
    assert np.mean(similarity.argmax(axis=0) == own) > 0.7
    spanish = encoder.encode_texts([r.caption_es or "" for r in records])
    assert np.mean((pictures @ spanish.T).argmax(axis=1) == own) > 0.5


def test_they_are_part_of_the_package() -> None:
    cards = {card.name: card for card in pareja.list_models()}
    for name in ("clip-shapes", "siglip-shapes"):
        encoder = require_dual(pareja.load(name))
        assert cards[name].repository is None
        assert (encoder.image_dim, encoder.image_side) == (cards[name].dim, cards[name].side)
        assert encoder.loss == cards[name].loss


def test_a_collection_of_theirs_warns_of_no_text_that_nobody_wrote(tmp_path: Path) -> None:
    encoder = pareja.load("clip-shapes", device="cpu", precision="float32")
    shelf = pareja.open(tmp_path / "index", create=True)
    # Warnings are errors; what the collection asks by itself is longer than this network reads.
    shelf.index("shapes:10", model=encoder, cache=False)
    assert shelf.search("a red star")[0].picture.caption
