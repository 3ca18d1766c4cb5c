from __future__ import annotations

import json
import shutil
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from tiny_detectors import omdet

import pareja
from pareja.encoders.weights import quiet_transformers
from pareja.errors import MissingDependencyError
from pareja.regions.detectors import Detector, find_detector
from pareja.regions.omdet_turbo import read_processor, strongest

WORDS = ["a cat", "dog"]


@cache
def _folder() -> Path:
    with quiet_transformers():
        return omdet(Path(mkdtemp(prefix="pareja-detector-")) / "omdet")


@cache
def _detector() -> Detector:
    detector = find_detector(str(_folder()))
    assert detector is not None
    return detector


@cache
def _by_transformers() -> tuple[Any, Any]:
    auto: Any = transformers
    with quiet_transformers():
        processor = read_processor(_folder(), local_files_only=True)
        return processor, auto.OmDetTurboForObjectDetection.from_pretrained(_folder()).eval()


def _picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))


def _remove_overlaps(boxes: Any, scores: Any, labels: Any, limit: float) -> Any:
    """Do what torchvision's ``batched_nms`` does, one pair of boxes after the other."""
    kept: list[int] = []

    def overlap(one: int, other: int) -> float:
        a, b = (list(map(float, boxes[index])) for index in (one, other))
        wide, high = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
        shared = max(wide, 0) * max(high, 0)
        return shared / (sum((e[2] - e[0]) * (e[3] - e[1]) for e in (a, b)) - shared)

    for one in sorted(range(len(scores)), key=lambda index: -float(scores[index])):
        rivals = [other for other in kept if int(labels[one]) == int(labels[other])]
        if all(overlap(one, other) <= limit for other in rivals):
            kept.append(one)
    return torch.tensor(kept, dtype=torch.long)


@pytest.mark.parametrize("threshold", [0.001, 0.5])
def test_boxes_are_those_of_transformers(monkeypatch: pytest.MonkeyPatch, threshold: float) -> None:
    image = _picture()
    assert _detector().default_threshold == 0.3
    found = _detector().detect(image, WORDS, threshold)
    processing = import_module("transformers.models.omdet_turbo.processing_omdet_turbo")
    monkeypatch.setattr(processing, "batched_nms", _remove_overlaps, raising=False)
    processor, model = _by_transformers()
    with torch.inference_mode():
        for words, boxes in zip(WORDS, found, strict=True):
            outputs = model(**processor(images=image, text=[[words]], return_tensors="pt"))
            (expected,) = processor.post_process_grounded_object_detection(
                outputs, threshold=threshold, target_sizes=[(image.height, image.width)]
            )
            got = [[b.left, b.top, b.left + b.width, b.top + b.height, b.score] for b in boxes]
            assert got
            wanted = torch.cat([expected["boxes"], expected["scores"][:, None]], dim=1)
            np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-4, atol=1e-4)


def test_overlapping_boxes_are_removed_as_torchvision_does() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(0, 2, 200)
    middles, sides = random.uniform(0.3, 0.7, (200, 2)), random.uniform(0.2, 0.5, (200, 2))
    found = strongest(logits, np.concatenate([middles, sides], axis=1), 0.3, (300, 200))
    scores = 1 / (1 + np.exp(-logits))
    edges = np.concatenate([middles - sides / 2, middles + sides / 2], axis=1)
    edges *= [300, 200, 300, 200]
    likely = np.flatnonzero(scores > 0.3)
    kept = _remove_overlaps(edges[likely], scores[likely], np.zeros(len(likely)), 0.5)
    kept = likely[kept.numpy()]
    assert 3 < len(kept) < len(likely)
    np.testing.assert_allclose([score for score, _ in found], scores[kept])
    np.testing.assert_allclose([box for _, box in found], edges[kept])
    assert strongest(logits, np.ones((200, 4)), 1.0, (300, 200)) == []


def test_what_is_found_for_some_words_does_not_depend_on_others() -> None:
    found = pareja.locate(WORDS, _picture(), model=_detector(), threshold=0.001)
    assert found.boxes
    alone = pareja.locate("dog", _picture(), model=_detector(), threshold=0.001)
    assert alone.pictures[0].places[0].boxes == found.pictures[0].places[1].boxes


@pytest.mark.parametrize(
    "backbone", [None, {"model_type": "timm_backbone", "backbone": "swin_tiny_patch4_window7_224"}]
)
def test_a_picture_network_of_timm_asks_for_timm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backbone: dict[str, str] | None
) -> None:
    folder = shutil.copytree(_folder(), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"backbone_config": backbone}))
    monkeypatch.setattr("pareja.regions.omdet_turbo.find_spec", lambda _: None)
    with pytest.raises(MissingDependencyError, match=r"timm is needed to load .*model"):
        find_detector(str(folder))
