from __future__ import annotations

import dataclasses
import re

import pytest

from pareja.encoders import list_models
from pareja.encoders.catalogue import ModelCard, find_card, list_detectors, suggestions
from pareja.encoders.loading import BUNDLED

CARDS = list_models()


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_card_is_complete_and_says_where_its_numbers_are_from(card) -> None:  # type: ignore[no-untyped-def]
    assert re.fullmatch(r"[a-z0-9-]+", card.name)
    assert card.licence
    assert card.dim > 0
    bundled = (BUNDLED / card.name).is_dir()
    assert (card.repository is None) == (card.loader == "embedded" or bundled)
    assert card.revision is None or re.fullmatch(r"[0-9a-f]{40}", card.revision)
    figures = [card.imagenet, card.coco, card.flickr, card.xm3600]
    for figure in filter(None, figures):
        values = dataclasses.asdict(figure)
        assert values.pop("source")
        known = [value for value in values.values() if value is not None]
        assert known
        assert all(0 < value < 100 for value in known)
    assert (card.side is None) == (card.kind == "text")
    assert (card.loss is None) == (card.kind != "dual")
    assert (card.languages is None) == (card.kind == "image")


@pytest.mark.parametrize("card", list_detectors(), ids=lambda card: card.name)
def test_detectors_are_found_by_name_and_are_no_encoders(card: ModelCard) -> None:
    assert card not in CARDS
    assert find_card(card.name) is card
    assert card.repository
    assert card.revision is None or re.fullmatch(r"[0-9a-f]{40}", card.revision)
    assert card.lvis is None or card.lvis.source


def test_the_models_of_the_course_are_there() -> None:
    names = {card.name for card in CARDS}
    assert {"starter", "starter-unaligned", "resnet50", "distiluse"} <= names
    assert {"clip-vit-b32", "siglip2-b16"} <= names
    repositories = [card.repository for card in CARDS if card.repository]
    assert len(repositories) == len(set(repositories))


@pytest.mark.parametrize("card", [c for c in CARDS if c.xm3600], ids=lambda card: card.name)
def test_a_model_that_finds_spanish_as_well_as_english_says_so(card: ModelCard) -> None:
    assert card.xm3600 is not None
    spanish = card.languages == "many" or "es" in str(card.languages)
    assert spanish == (card.xm3600.es > 0.9 * card.xm3600.en)


def test_near_names_are_suggested_best_first() -> None:
    assert suggestions("clip-vit-b-32")[0] == "clip-vit-b32"
    assert suggestions("SIGLIP2_B16")[0] == "siglip2-b16"
    assert suggestions("nothing like it") == []


def test_prefixes_of_e5_are_in_its_card() -> None:
    card = find_card("e5-small")
    assert card is not None
    assert card.text_prefix == "query: "
