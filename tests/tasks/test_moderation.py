from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import pareja
from pareja.errors import InputError
from pareja.tasks.moderation import (
    ModerationPrompts,
    default_prompts,
    flag,
    moderation_scores,
)

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder

PROMPTS = ModerationPrompts(
    flags={"blood": ["a red stain", "red all over"], "ice": ["blue ice"]},
    neutral=["a green field", "a white wall", "yellow sand"],
)


@pytest.fixture
def pictures() -> list[Image.Image]:
    return [Image.new("RGB", (20, 20), colour) for colour in ("red", "green", "blue", "white")]


def test_scores_are_shares_of_one_softmax(
    colours: ColourEncoder, pictures: list[Image.Image]
) -> None:
    images = colours.encode_images(pictures)
    scores = moderation_scores(images, colours, PROMPTS)
    assert scores.shape == (4, 2)
    texts = [*PROMPTS.flags["blood"], *PROMPTS.flags["ice"], *PROMPTS.neutral]
    logits = 20 * np.array([[float(i @ t) for t in colours.encode_texts(texts)] for i in images])
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores[:, 0], shares[:, :2].sum(axis=1), atol=1e-6)
    np.testing.assert_allclose(scores[:, 1], shares[:, 2], atol=1e-6)


def test_only_what_resembles_a_flag_is_flagged(
    colours: ColourEncoder, pictures: list[Image.Image]
) -> None:
    flags = flag(colours.encode_images(pictures), colours, prompts=PROMPTS)
    assert {(found.image, found.category) for found in flags} == {(0, "blood"), (2, "ice")}
    assert [found.score for found in flags] == sorted((f.score for f in flags), reverse=True)


@pytest.mark.parametrize("threshold", [float("nan"), -0.1, 1.01])
def test_a_threshold_that_would_list_all_or_none_is_refused(
    colours: ColourEncoder, pictures: list[Image.Image], threshold: float
) -> None:
    with pytest.raises(InputError, match=r"`threshold` is .* in \[0, 1\]"):
        pareja.moderate(pictures, model=colours, threshold=threshold, cache=False)
    with pytest.raises(InputError, match=r"`unknown` is .* in \[0, 1\]"):
        pareja.classify(pictures, ["a", "b"], model=colours, unknown=threshold, cache=False)


def test_the_threshold_is_respected(colours: ColourEncoder, pictures: list[Image.Image]) -> None:
    images = colours.encode_images(pictures)
    assert flag(images, colours, prompts=PROMPTS, threshold=1.01) == []
    assert len(flag(images, colours, prompts=PROMPTS, threshold=0.0)) == len(pictures)


def test_no_pictures_give_no_flags(colours: ColourEncoder) -> None:
    assert flag(colours.encode_images([]), colours) == []


def test_the_default_prompts_are_distinct_texts() -> None:
    prompts = default_prompts()
    texts = [text for group in prompts.flags.values() for text in group] + [*prompts.neutral]
    assert len(texts) == len(set(texts))
    assert all(prompts.flags.values())
    assert prompts.neutral
