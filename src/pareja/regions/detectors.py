"""Open-vocabulary detectors, which draw boxes around what words name.

transformers builds and runs them, prepares their pictures and words, and turns their outputs into
boxes. They run on torch, whichever device was asked for: OpenVINO is not used.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from PIL import Image

from pareja.encoders import hub
from pareja.encoders.backends import choose
from pareja.encoders.catalogue import find_card
from pareja.encoders.checkpoint import Checkpoint, folder_named, require
from pareja.encoders.model_files import require_weights
from pareja.encoders.weights import quiet_transformers, refuse_broken, unreadable
from pareja.errors import EncoderError
from pareja.regions import omdet_turbo
from pareja.regions.maps import Box

DETECTORS = {
    "owlvit": 0.1,
    "owlv2": 0.1,
    "grounding-dino": 0.25,
    "mm-grounding-dino": 0.25,
    "omdet-turbo": 0.3,
}
"""By the ``model_type`` of a checkpoint: the score from which transformers keeps a box."""

_LOADING = threading.Lock()


@dataclass(eq=False)
class Detector:
    """A detector whose network is loaded when it is first used.

    Parameters
    ----------
    name
        How it is called.
    checkpoint
        Its files.
    device
        ``"cuda"``, ``"mps"`` or ``"cpu"``.
    """

    name: str
    checkpoint: Checkpoint = field(repr=False)
    device: str

    @property
    def model_type(self) -> str:
        """Which architecture it is, one of `DETECTORS`."""
        return str(self.checkpoint.config["model_type"])

    @property
    def default_threshold(self) -> float:
        """The score from which a box is kept unless another one is asked for."""
        return DETECTORS[self.model_type]

    def detect(
        self, image: Image.Image, words: Sequence[str], threshold: float
    ) -> list[tuple[Box, ...]]:
        """Draw boxes around what words name in one picture.

        Parameters
        ----------
        image
            RGB.
        words
            What to look for.
        threshold
            The score above which a box is kept, in [0, 1].

        Returns
        -------
        list of tuple of Box
            For each of the words its boxes, best first, in pixels and inside of the picture. Scores
            are probabilities.

        Raises
        ------
        EncoderError
            If its files cannot be loaded.
        """
        if self.model_type.startswith("owl"):
            return self._detect(image, list(words), threshold)
        # The others join several words into one text: what one of them finds would depend on the
        # rest, and Grounding DINO gives phrases that need not be those that were put in.
        return [self._detect(image, [text], threshold)[0] for text in words]

    def _detect(
        self, image: Image.Image, words: list[str], threshold: float
    ) -> list[tuple[Box, ...]]:
        import torch

        with _LOADING:
            processor, model = self._loaded
        run = _run_omdet if self.model_type == "omdet-turbo" else _run
        with torch.inference_mode(), warnings.catch_warnings():
            # Of 'labels', which will be numbers one day; they are not read here.
            warnings.simplefilter("ignore", FutureWarning)
            found = run(processor, model, image, words, threshold)
        grouped: list[list[Box]] = [[] for _ in words]
        for owner, score, edges in found:
            box = _clipped(edges, image.size, score)
            if box is not None:
                grouped[owner].append(box)
        return [tuple(sorted(boxes, key=lambda box: -box.score)) for boxes in grouped]

    @cached_property
    def _loaded(self) -> tuple[Any, Any]:
        """The processor and the network, in float32 and evaluation mode."""
        import transformers

        auto: Any = transformers
        with quiet_transformers():
            try:
                where = {"local_files_only": True, "trust_remote_code": False}
                read = auto.AutoProcessor.from_pretrained
                if self.model_type == "omdet-turbo":
                    read = omdet_turbo.read_processor
                processor = read(self.checkpoint.folder, **where)
                model, loading = auto.AutoModelForZeroShotObjectDetection.from_pretrained(
                    self.checkpoint.folder, output_loading_info=True, dtype="float32", **where
                )
            except Exception as error:  # what transformers raises here is not documented
                raise unreadable(self.checkpoint, error) from error
        if loading["missing_keys"]:
            raise self.checkpoint.error(
                f"its weights do not fit its config.json: {len(loading['missing_keys'])} tensors "
                f"are missing, {min(loading['missing_keys'])} for one"
            )
        model = model.eval().requires_grad_(False)
        refuse_broken(self.checkpoint, model.state_dict())
        return processor, model.to(self.device)


Found = list[tuple[int, float, list[float]]]
"""Which of the words, the probability, and left, top, right and bottom in pixels."""


def _run(
    processor: Any, model: Any, image: Image.Image, words: list[str], threshold: float
) -> Found:
    inputs = processor(
        images=image, text=[words], return_tensors="pt", padding=True, truncation=True
    ).to(model.device)
    outputs = model(**inputs)
    (found,) = processor.post_process_grounded_object_detection(
        outputs, threshold=threshold, target_sizes=[(image.height, image.width)]
    )
    scores, edges = found["scores"].tolist(), found["boxes"].tolist()
    owners = map(int, found["labels"]) if len(words) > 1 else [0] * len(scores)
    return list(zip(owners, scores, edges, strict=True))


def _run_omdet(
    processor: Any, model: Any, image: Image.Image, words: list[str], threshold: float
) -> Found:
    outputs = model(**processor(images=image, text=[words], return_tensors="pt").to(model.device))
    (logits,), (places,) = outputs.decoder_class_logits.cpu(), outputs.decoder_coord_logits.cpu()
    return [
        (owner, score, edges)
        for owner in range(len(words))
        for score, edges in omdet_turbo.strongest(
            logits[:, owner].numpy(), places.numpy(), threshold, image.size
        )
    ]


def _clipped(edges: Sequence[float], size: tuple[int, int], score: float) -> Box | None:
    """Return the part of a box that lies in the picture; None where none does."""
    x0, x1 = (min(max(edge, 0.0), size[0]) for edge in (edges[0], edges[2]))
    y0, y1 = (min(max(edge, 0.0), size[1]) for edge in (edges[1], edges[3]))
    return Box(x0, y0, x1 - x0, y1 - y0, score) if x1 > x0 and y1 > y0 else None


def find_detector(given: object, device: str | None = None) -> Detector | None:
    """Return the detector that is meant, or None where something else is.

    Parameters
    ----------
    given
        A detector; or a name of the catalogue, a folder or a repository that was fetched.
    device
        ``"cuda"``, ``"mps"``, ``"openvino"`` or ``"cpu"``; OpenVINO stands for the CPU.

    Raises
    ------
    ModelUnavailableError
        If it is a detector of the catalogue that is not on this machine.
    EncoderError
        If a file of it is missing, or the device does not exist.
    """
    if isinstance(given, Detector):
        return given
    if not isinstance(given, str | os.PathLike):
        return None
    name = os.fspath(given)
    checkpoint = _checkpoint(name)
    if checkpoint is None or checkpoint.config.get("model_type") not in DETECTORS:
        return None
    require("torch", "transformers", purpose=f"to load {name}")
    checkpoint.check_files()
    require_weights(checkpoint)
    if checkpoint.config["model_type"] == "omdet-turbo":
        omdet_turbo.require_timm(checkpoint)
    where, _ = choose(device, "float32")
    return Detector(name, checkpoint, "cpu" if where == "openvino" else where)


def _checkpoint(name: str) -> Checkpoint | None:
    """Return the files that a name may stand for, if they are a detector's or may be."""
    card = find_card(name)
    if card is not None and card.kind != "detector":
        return None
    folder = folder_named(name if card is None or card.folder is None else card.folder)
    if folder is not None and (card is None or card.folder is not None):
        found = Checkpoint(folder, name, name)
        return found if found.has("config.json") else None
    if card is None:
        try:
            local = hub.status(name) if hub.is_repository(name) else None
        except EncoderError:
            return None
        if local is None:
            return None
    else:
        local = hub.snapshot(name)
    return Checkpoint(local.folder, name, local.repository, local.commit)
