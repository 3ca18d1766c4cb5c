from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from pareja.datasets import load_dataset
from pareja.datasets.shapes import DOMAINS, SIDE
from pareja.errors import DatasetError


def test_a_picture_is_the_same_whenever_it_is_drawn_and_however_many_there_are() -> None:
    few, many = load_dataset("shapes:5"), load_dataset("shapes:50")
    assert [r.caption for r in few] == [r.caption for r in many.records[:5]]
    assert few.records[3].source.read() == many.records[3].source.read()
    other = load_dataset("shapes:5:1")
    assert other.records[3].source.read() != few.records[3].source.read()


@pytest.mark.parametrize("domain", DOMAINS)
def test_boxes_hold_the_colours_that_the_caption_names(domain: str) -> None:
    colours = {colour.en: colour.rgb for colour in DOMAINS[domain].colours}
    for record in load_dataset(f"{domain}:60"):
        pixels = np.asarray(Image.open(io.BytesIO(record.source.read())))
        assert pixels.shape == (SIDE, SIDE, 3)
        boxes = json.loads(record.extra["boxes"])
        assert len(boxes) == 2
        for box in boxes:
            assert box["label"] in record.caption
            x, y, width, height = box["box"]
            assert x >= 0
            assert y >= 0
            assert x + width <= SIDE
            assert y + height <= SIDE
            inside = (pixels == colours[box["label"].split()[0]]).all(axis=2)
            ys, xs = slice(y, y + height), slice(x, x + width)
            assert inside[ys, xs].sum() > 0.08 * width * height
            if boxes[0]["label"].split()[0] != boxes[1]["label"].split()[0]:
                assert inside.sum() == inside[ys, xs].sum()


def test_the_relation_in_the_caption_holds_in_the_picture() -> None:
    for record in load_dataset("shapes:60"):
        boxes = {b["label"]: b["box"] for b in json.loads(record.extra["boxes"])}
        one = record.label
        assert one is not None
        (other,) = [label for label in boxes if label != one]
        (x, y, *_), (u, v, *_) = boxes[one], boxes[other]
        caption = record.caption
        holds = {"left of": x < u, "right of": x > u, "above": y < v, "below": y > v}
        (relation,) = [words for words in holds if words in caption]
        assert holds[relation], caption


def test_the_new_domain_shares_no_colour_with_the_first() -> None:
    first, new = (
        {colour.en for colour in DOMAINS[name].colours} for name in ("shapes", "shapes-new")
    )
    assert not first & new


def test_spanish_captions_agree_in_gender() -> None:
    said = " ".join(record.caption_es or "" for record in load_dataset("shapes:300"))
    assert "una estrella roja" in said
    assert "un círculo rojo" in said
    assert "una estrella rojo" not in said


@pytest.mark.parametrize("name", ["shapes:", "shapes:0", "shapes:x", "shapes:5:", "shapes:2000000"])
def test_a_wrong_name_says_how_to_write_it(name: str) -> None:
    with pytest.raises(DatasetError, match="Write shapes:2000"):
        load_dataset(name)
