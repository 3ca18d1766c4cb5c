from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pareja.arrays import unit
from pareja.search import Collection
from pareja.search.captions import best_and_worst, captioned
from pareja.search.contracts import Picture

if TYPE_CHECKING:
    from tests.conftest import ColourEncoder


@pytest.fixture
def pictures(tmp_path: Path, colour_folder: Path, colours: ColourEncoder) -> list[Picture]:
    with Collection.open(tmp_path / "collection", create=True) as collection:
        collection.index([colour_folder], colours)
        return collection.pictures()


def test_the_first_picture_of_equal_captions_stands_for_it(pictures: list[Picture]) -> None:
    first, second, third, *_ = pictures
    again = replace(second, caption=first.caption)
    bare = replace(third, caption=None)
    assert captioned([first, again, bare, second]) == [first, second]


def test_captions_are_ranked_from_both_ends(
    pictures: list[Picture], colours: ColourEncoder
) -> None:
    captions = colours.encode_texts([picture.caption or "" for picture in pictures])
    image = captions[3]
    best, worst = best_and_worst(pictures, captions, image, 2)
    assert best[0].picture == pictures[3]
    assert best[0].caption == pictures[3].caption
    assert best[0].score == pytest.approx(1, abs=1e-6)
    scores = sorted((unit(captions) @ unit(image[None])[0]).tolist())
    assert [match.score for match in worst] == pytest.approx(scores[:2])
    assert [match.score for match in best] == pytest.approx(scores[:-3:-1])


def test_no_caption_is_both_best_and_worst_unless_it_is_the_only_one(
    pictures: list[Picture], colours: ColourEncoder
) -> None:
    captions = colours.encode_texts([picture.caption or "" for picture in pictures])
    for total, each in ((1, 1), (2, 1), (3, 1), (5, 2)):
        best, worst = best_and_worst(pictures[:total], captions[:total], captions[0], 4)
        assert len(best) == len(worst) == each
        shared = {m.picture.id for m in best} & {m.picture.id for m in worst}
        assert len(shared) == (total == 1)
