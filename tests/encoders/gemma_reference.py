"""Embeddings of EmbeddingGemma 2 by transformers' own processor and forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoModel, AutoTokenizer
from transformers.models.embedding_gemma2.processing_embedding_gemma2 import (
    EmbeddingGemma2Processor,
)
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil


class Processor(EmbeddingGemma2Processor):
    """transformers' processor; that of videos needs torchvision, and sounds need none here."""

    def check_argument_for_proper_class(self, name: str, argument: Any) -> Any:
        return type(argument)


def by_transformers(
    path: Path, texts: Sequence[str], shown: Sequence[Image.Image] | None = None
) -> NDArray[np.float32]:
    """Embed texts, prompt and ``<|image|>`` included, with the pictures that belong to them.

    One after the other, so that nothing is padded. ``(n, dim)``, of length 1.
    """
    model = AutoModel.from_pretrained(path).eval()
    processor = Processor(
        feature_extractor=None,
        image_processor=Gemma4ImageProcessorPil.from_pretrained(path),
        tokenizer=AutoTokenizer.from_pretrained(path),
        video_processor=None,
    )
    rows = []
    for place, text in enumerate(texts):
        given: dict[str, Any] = {"truncation": True}
        if shown is not None:
            given = {"images": [[shown[place]]]}
        inputs = processor(text=[text], return_tensors="pt", **given)
        inputs.pop("num_soft_tokens_per_image", None)
        with torch.inference_mode():
            hidden = model(**inputs).last_hidden_state
        rows.append(torch.nn.functional.normalize(hidden[0].mean(0), dim=0).numpy())
    return np.array(rows)
