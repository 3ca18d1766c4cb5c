from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from tiny_detectors import grounding, owl

import pareja
from pareja.encoders.weights import quiet_transformers
from pareja.errors import EncoderError, ModelUnavailableError
from pareja.regions.detectors import find_detector

KINDS = ("owlvit", "owlv2", "GroundingDino", "MMGroundingDino")
WORDS = ["a cat", "dog"]


@cache
def _folder(kind: str) -> Path:
    with quiet_transformers():
        path = Path(mkdtemp(prefix="pareja-detector-")) / kind
        return owl(path, kind) if kind.startswith("owl") else grounding(path, kind)


def _picture(width: int = 60, height: int = 40) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def _expected(kind: str, image: Image.Image, words: list[str], threshold: float) -> Any:
    """What transformers' own processor, model and post-processing give."""
    auto: Any = transformers
    with quiet_transformers(), torch.inference_mode():
        processor = auto.AutoProcessor.from_pretrained(_folder(kind))
        model = auto.AutoModelForZeroShotObjectDetection.from_pretrained(_folder(kind)).eval()
        inputs = processor(images=image, text=[words], return_tensors="pt")
        (found,) = processor.post_process_grounded_object_detection(
            model(**inputs), threshold=threshold, target_sizes=[(image.height, image.width)]
        )
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:The key `labels`:FutureWarning")
def test_boxes_are_those_of_transformers(kind: str) -> None:
    image, threshold = _picture(), 0.001
    detector = find_detector(str(_folder(kind)))
    assert detector is not None
    found = detector.detect(image, WORDS, threshold)
    together = kind.startswith("owl")
    for number, words in enumerate(WORDS):
        own = _expected(kind, image, WORDS if together else [words], threshold)
        expected = [
            (min(max(x0, 0), 60), min(max(y0, 0), 40), min(x1, 60), min(y1, 40), score)
            for i, ((x0, y0, x1, y1), score) in enumerate(
                zip(own["boxes"].tolist(), own["scores"].tolist(), strict=True)
            )
            if not together or int(own["labels"][i]) == number
        ]
        expected = [e for e in expected if e[2] > e[0] and e[3] > e[1]]
        got = [(b.left, b.top, b.left + b.width, b.top + b.height, b.score) for b in found[number]]
        assert got, kind
        np.testing.assert_allclose(
            got, sorted(expected, key=lambda edges: -edges[4]), rtol=1e-4, atol=1e-4
        )


def test_a_detector_takes_the_place_of_an_encoder(tmp_path: Path) -> None:
    _picture().save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    found = pareja.locate(WORDS, tmp_path, model=_folder("owlvit"), threshold=0.2)
    assert [Path(name).name for name, _ in found.skipped] == ["b.png"]
    (picture,) = found.pictures
    for place in picture.places:
        assert place.heat is None
        assert all(box.score > 0.2 for box in place.boxes)
        assert place.here is bool(place.boxes)
        best = place.boxes[0]
        assert place.point == (best.left + best.width / 2, best.top + best.height / 2)
    assert found.save(tmp_path / "places.html").stat().st_size
    none = pareja.locate("dog", _picture(), model=_folder("owlvit"), threshold=0.9999)
    assert none.boxes == ()
    assert none.pictures[0].places[0].here is False


def test_a_large_picture_is_measured_in_its_own_pixels(tmp_path: Path) -> None:
    """JPEGs are decoded at a reduced scale, and boxes must not show it."""
    _picture(30, 20).resize((4800, 3200)).save(tmp_path / "large.jpg")
    found = pareja.locate("dog", tmp_path / "large.jpg", model=_folder("owlvit"), threshold=0.01)
    assert max(box.left + box.width for box in found.boxes) > 2400


def test_what_is_no_detector_is_left_to_others(tmp_path: Path) -> None:
    for given in ("starter", "clip-shapes", "clip-vit-b32", "nothing like it", "", 3, tmp_path):
        assert find_detector(given) is None


def test_a_detector_of_the_catalogue_is_fetched_first_and_embeds_nothing() -> None:
    with pytest.raises(ModelUnavailableError, match="pareja models fetch owlv2-b16"):
        pareja.locate("dog", _picture(), model="owlv2-b16")
    with pytest.raises(EncoderError, match="is a detector: it says where things are"):
        pareja.load("owlv2-b16")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors", None, "its weights are missing"),
        ("model.safetensors", b"broken", "its weights cannot be loaded"),
        ("preprocessor_config.json", b"{", "its weights cannot be loaded"),
    ],
)
def test_a_damaged_folder_is_one_line(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    folder = shutil.copytree(_folder("owlvit"), tmp_path / "model")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(EncoderError, match=message) as caught:
        pareja.locate("dog", _picture(), model=folder)
    assert "\n" not in str(caught.value)
